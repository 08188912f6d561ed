//! The way from a shard to the recorder: `src/shard/recorder-link.ts`.

use crate::layout::{Header, OUTPUT_HEADER_BYTES, kind, mark};
use crate::memory::Memory;

use super::{Link, Place, split_space};

/// Corrections leave free one part in so many of the ring.
const KEPT_FOR_FRAMES: usize = 4;

/// Frames of one channel that the full ring refused and that no mark has reported yet, in samples.
struct Refused {
    stream: i32,
    channel: u8,
    start: f64,
    end: f64,
}

/// A record without payload, aligned as records are.
#[repr(align(8))]
struct Mark([u8; OUTPUT_HEADER_BYTES]);

impl Mark {
    fn new(refused: &Refused) -> Self {
        let mut bytes = Self([0; OUTPUT_HEADER_BYTES]);
        let (header, _) = split_space(&mut bytes.0);
        header.common = Header {
            length: OUTPUT_HEADER_BYTES as i32,
            kind: kind::MARK,
            channel: refused.channel,
            flags: mark::NOT_RECORDED,
            stream: refused.stream,
            position: refused.start,
            duration: (refused.end - refused.start) as i32,
            ..Header::default()
        };
        bytes
    }
}

pub struct RecorderLink {
    link: Link,
    refused: Vec<Refused>,
}

impl RecorderLink {
    pub fn new(memory: Memory, place: Place) -> Self {
        Self { link: Link::new(memory, place), refused: Vec::new() }
    }

    /// Copies a frame or an edge, which begins with its header. False when the ring refuses it.
    pub fn data(&mut self, record: &mut [u8]) -> bool {
        let header = split_space(record).0.common;
        let is_sent = self.report(&header, record.len()) && self.link.data(record);
        if !is_sent && header.kind == kind::FRAME {
            self.refuse(&header);
        }
        is_sent
    }

    /// The same for a CODED_FRAME, whose payload lies apart from its header.
    pub fn coded(&mut self, header: &mut [u8], payload: &[u8]) -> bool {
        let common = split_space(header).0.common;
        let is_sent = self.report(&common, header.len() + payload.len()) && self.link.parts(header, payload);
        if !is_sent {
            self.refuse(&common);
        }
        is_sent
    }

    /// Whether the ring takes a record of `length` bytes now, and a report of what was refused in front of it.
    pub fn has_space(&mut self, length: usize) -> bool {
        self.link.has_space(OUTPUT_HEADER_BYTES + length)
    }

    /// The same of corrections that can wait: they leave a part of the ring to frames, which cannot.
    pub fn has_space_to_spare(&mut self, length: usize) -> bool {
        self.link.free_bytes() > self.link.capacity() / KEPT_FOR_FRAMES && self.has_space(length)
    }

    /// Takes a whole OPEN, CLOSE or MARK. It waits here while the ring is full, behind a report of what was refused.
    pub fn control(&mut self, record: &mut [u8]) {
        let stream = split_space(record).0.common.stream;
        for channel in [0, 1] {
            if let Some(at) = self.refused.iter().position(|one| one.stream == stream && one.channel == channel) {
                self.link.queue(&Mark::new(&self.refused.swap_remove(at)).0);
            }
        }
        self.link.control(record);
    }

    pub fn retry(&mut self) {
        self.link.retry();
    }

    pub fn has_waiting(&self) -> bool {
        self.link.has_waiting()
    }

    /// Reports what the record's channel has lost. False while there is no space for that and the record together.
    fn report(&mut self, record: &Header, length: usize) -> bool {
        let is_same = |one: &Refused| one.stream == record.stream && one.channel == record.channel;
        let Some(at) = self.refused.iter().position(is_same) else { return true };
        if !self.link.has_space(OUTPUT_HEADER_BYTES + length) {
            return false;
        }
        self.link.put(&Mark::new(&self.refused.swap_remove(at)).0)
    }

    fn refuse(&mut self, frame: &Header) {
        let end = frame.position + f64::from(frame.duration);
        let known = self.refused.iter_mut().find(|one| one.stream == frame.stream && one.channel == frame.channel);
        match known {
            Some(refused) => refused.end = refused.end.max(end),
            None => {
                self.refused.push(Refused { stream: frame.stream, channel: frame.channel, start: frame.position, end })
            }
        }
    }
}

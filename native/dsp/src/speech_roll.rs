//! The silence around the speech of one channel: `src/shard/roll/speech-roll.ts`.

use std::mem::offset_of;

use crate::layout::{Header, OUTPUT_HEADER_BYTES, align_record};

const SPEECH_POSITION_BYTES: usize = size_of::<f64>();
const LONGEST_FRAME_MS: usize = 120;
const SHORTEST_FRAME_MS: usize = 5;

fn record_bytes(samples: usize) -> usize {
    align_record(OUTPUT_HEADER_BYTES + samples * size_of::<i16>()) + SPEECH_POSITION_BYTES
}

/// The silent frames before speech, as records in a ring that grows to what they need.
#[derive(Debug)]
pub struct SpeechRoll {
    /// End of the last frame with speech, in samples.
    pub speech_end: f64,
    sample_rate: usize,
    ring: Vec<u8>,
    /// Of the records that are kept.
    bytes: usize,
    /// Where the oldest record begins, and where the youngest ends.
    first: usize,
    next: usize,
    /// Where the records end behind which the ring begins again; 0 while it has not.
    wrap: usize,
    /// End of the youngest frame, in samples.
    end: f64,
}

impl SpeechRoll {
    pub fn new(sample_rate: u32) -> Self {
        Self {
            speech_end: f64::NEG_INFINITY,
            sample_rate: sample_rate as usize,
            ring: Vec::new(),
            bytes: 0,
            first: 0,
            next: 0,
            wrap: 0,
            end: 0.0,
        }
    }

    /// Of the records that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps the record of a silent frame, which begins at sample `position`, and forgets what lies more than `pre_roll`
    /// samples before its end.
    pub fn keep(&mut self, record: &[u8], position: f64, samples: usize, pre_roll: usize) {
        self.trim(position, pre_roll as f64 - samples as f64);
        let length = record_bytes(samples);
        let to = loop {
            if let Some(to) = self.place(length) {
                break to;
            }
            if !self.grow(pre_roll.div_ceil(samples) * length, pre_roll) {
                if self.bytes == 0 {
                    return;
                }
                self.drop_oldest();
            }
        };
        self.ring[to..][..record.len()].copy_from_slice(record);
        self.put(to + offset_of!(Header, length), (length as i32).to_le_bytes());
        self.next = to + length;
        self.end = position + samples as f64;
        self.bytes += length;
    }

    /// Forgets what does not lie within `pre_roll` samples before `position`.
    pub fn trim(&mut self, position: f64, pre_roll: f64) {
        // The time line has jumped back.
        if position < self.end {
            self.clear();
        }
        while self.bytes > 0 && self.end_of_oldest() <= position - pre_roll {
            self.drop_oldest();
        }
    }

    pub fn clear(&mut self) {
        self.bytes = 0;
        self.end = 0.0;
    }

    /// Length of the oldest record; None when there is none.
    pub fn oldest_bytes(&self) -> Option<usize> {
        (self.bytes > 0).then(|| self.oldest_length())
    }

    /// Moves the oldest record, before speech at `position`, into space of oldest_bytes().
    pub fn take(&mut self, space: &mut [u8], position: f64) {
        let length = self.oldest_length();
        space[..length].copy_from_slice(&self.ring[self.first..][..length]);
        space[length - SPEECH_POSITION_BYTES..length].copy_from_slice(&position.to_le_bytes());
        self.drop_oldest();
    }

    fn oldest_length(&self) -> usize {
        i32::from_le_bytes(self.read(self.first + offset_of!(Header, length))) as usize
    }

    fn end_of_oldest(&self) -> f64 {
        let position = f64::from_le_bytes(self.read(self.first + offset_of!(Header, position)));
        position + f64::from(i32::from_le_bytes(self.read(self.first + offset_of!(Header, duration))))
    }

    fn drop_oldest(&mut self) {
        let length = self.oldest_length();
        self.first += length;
        self.bytes -= length;
        if self.first == self.wrap {
            self.first = 0;
            self.wrap = 0;
        }
    }

    /// Where the next record begins; None when there is no space for it.
    fn place(&mut self, length: usize) -> Option<usize> {
        if self.bytes == 0 {
            (self.first, self.next, self.wrap) = (0, 0, 0);
        }
        if self.wrap > 0 {
            return (self.next + length <= self.first).then_some(self.next);
        }
        if self.next + length <= self.ring.len() {
            return Some(self.next);
        }
        if length > self.first {
            return None;
        }
        self.wrap = self.next;
        Some(0)
    }

    /// False when the ring is as large as it may be.
    fn grow(&mut self, wanted: usize, pre_roll: usize) -> bool {
        let capacity = self.ring.len();
        let most = self.most_bytes(pre_roll);
        if capacity >= most {
            return false;
        }
        let mut ring = vec![0; most.min(wanted.max(capacity * 2))];
        let to_end = if self.wrap > 0 { self.wrap - self.first } else { self.bytes };
        ring[..to_end].copy_from_slice(&self.ring[self.first..][..to_end]);
        ring[to_end..self.bytes].copy_from_slice(&self.ring[..self.bytes - to_end]);
        self.ring = ring;
        (self.first, self.next, self.wrap) = (0, self.bytes, 0);
        true
    }

    fn most_bytes(&self, pre_roll: usize) -> usize {
        let in_samples = |ms: usize| ms * self.sample_rate / 1000;
        let frames = pre_roll.div_ceil(in_samples(SHORTEST_FRAME_MS)) + 2;
        align_record((pre_roll + in_samples(LONGEST_FRAME_MS)) * size_of::<i16>()) + frames * record_bytes(0)
    }

    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.ring[at + i])
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.ring[at..at + N].copy_from_slice(&bytes);
    }
}

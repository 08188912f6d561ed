//! A whole shard on memory of its own: what is left after a panic, and what redundancy recovers. That its output is
//! otherwise the same as that of the JavaScript backend is tested in `test/conformance`.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;

use opusic_sys as ffi;

use crate::config::Config;
use crate::layout::*;
use crate::memory::Memory;
use crate::ring::{Consumer, Place, Producer};
use crate::shard::{BLOCKED, Shard};
use crate::silence::Settings;

const RING_BYTES: usize = 1 << 16;
const STREAMS: usize = 4;
const INPUT: Place = Place { offset: 256, capacity: RING_BYTES };
const OUTPUT: Place = Place { offset: INPUT.offset + ring::DATA + RING_BYTES, capacity: RING_BYTES / 2 };
const TABLE: usize = OUTPUT.offset + ring::DATA + RING_BYTES / 2;
const BYTES: usize = TABLE + STREAMS * stream::BYTES;

struct Rig {
    shard: Shard,
    input: Producer,
    output: Consumer,
    memory: Memory,
    words: *mut [u64],
}

impl Drop for Rig {
    fn drop(&mut self) {
        // SAFETY: from Box::into_raw; shard and rings have no drop that reaches it.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

/// A frame as it came out: flags and samples.
type Frame = (u8, Vec<i16>);

impl Rig {
    fn new() -> Self {
        let words = Box::into_raw(vec![0_u64; BYTES / 8].into_boxed_slice());
        // SAFETY: freed only when the rig is dropped.
        let memory = unsafe { Memory::new(words.cast(), BYTES) }.unwrap();
        let config = Config {
            control: 0,
            counters: 128,
            input: INPUT,
            output: OUTPUT,
            recorder: None,
            table: TABLE,
            streams: STREAMS,
            silence: Settings { threshold: 0.01, window_ms: 20.0 },
            speech: None,
        };
        let shard = Shard::new(memory, &config);
        Self { shard, input: Producer::new(memory, INPUT), output: Consumer::new(memory, OUTPUT), memory, words }
    }

    fn open(&mut self, stream: i32, codec: i32, sample_rate: i32) {
        for (field, value) in [
            (stream::CODEC, codec),
            (stream::CLOCK_RATE, sample_rate),
            (stream::SAMPLE_RATE, sample_rate),
            (stream::CHANNELS, 1),
            (stream::WANTS, want::SPEECH_PCM | want::SILENT_PCM),
        ] {
            self.memory.word(TABLE + stream as usize * stream::BYTES + field).store(value, SeqCst);
        }
        self.put(kind::OPEN, stream, 0.0, 0, b"{}");
    }

    fn put(&mut self, kind: u8, stream: i32, sequence: f64, duration: i32, payload: &[u8]) {
        self.put_record(Header { kind, stream, sequence, duration, ..Header::default() }, payload);
    }

    fn put_record(&mut self, header: Header, payload: &[u8]) {
        let header = Header { position: header.sequence * 320.0, payload_length: payload.len() as i32, ..header };
        let space = self.input.claim(HEADER_BYTES + payload.len()).expect("space in the input ring");
        // SAFETY: a header has no padding, so all of it is bytes.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const header).cast::<u8>(), HEADER_BYTES) };
        space[..HEADER_BYTES].copy_from_slice(bytes);
        space[HEADER_BYTES..][..payload.len()].copy_from_slice(payload);
        self.input.commit(HEADER_BYTES + payload.len());
        self.input.publish();
    }

    fn drain(&mut self) -> i32 {
        self.shard.drain(256, || 0.0)
    }

    fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while self.output.peek() {
            let record = self.output.record();
            if record.header.kind == kind::FRAME {
                // In output rings the header is longer, which a record of the input does not know.
                let at = record.payload.as_ptr().addr() - self.words.cast::<u8>().addr() + OUTPUT_HEADER_BYTES
                    - HEADER_BYTES;
                let address = self.memory.address(at, record.payload.len(), 2);
                // SAFETY: the payload of a FRAME lies there, and the record is claimed.
                let bytes = unsafe { std::slice::from_raw_parts(address, record.payload.len()) };
                let pcm = bytes.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
                frames.push((record.header.flags, pcm));
            }
            self.output.release();
        }
        frames
    }

    fn counter(&self, counter: usize) -> i32 {
        self.memory.word(128 + counter).load(SeqCst)
    }
}

#[test]
fn a_panic_costs_one_packet_and_nothing_else() {
    let mut rig = Rig::new();
    for stream in [0, 1] {
        rig.open(stream, codec::PCMU, 16_000);
        rig.put(kind::PACKET, stream, 0.0, 0, &[0x12; 320]);
    }
    rig.put(kind::PACKET, 0, 1.0, 0, b"PANIC");
    rig.put(kind::PACKET, 1, 1.0, 0, &[0x34; 320]);
    rig.put(kind::PACKET, 0, 2.0, 0, &[0x56; 320]);
    assert_eq!(rig.drain(), 7);
    let frames = rig.frames();
    let flags: Vec<u8> = frames.iter().map(|(flags, _)| flags & !flag::SILENT).collect();
    assert_eq!(flags, [0, 0, flag::CONCEALED | flag::DECODE_ERROR, 0, 0]);
    assert_eq!(frames[4].1.len(), 320);
    assert_eq!(rig.counter(shard_counters::POISONED), 1);
    assert_eq!(rig.counter(shard_counters::DECODE_ERRORS), 1);
    assert_eq!(rig.drain(), 0);
}

#[test]
fn frames_share_a_time_but_none_is_done_before_it_came() {
    let mut rig = Rig::new();
    rig.open(0, codec::PCMU, 16_000);
    for (k, arrival_us) in [0.0, 1.0, 50.0, 60.0].into_iter().enumerate() {
        let header = Header { kind: kind::PACKET, sequence: k as f64, arrival_us, ..Header::default() };
        rig.put_record(header, &[0x12; 320]);
    }
    let readings = Cell::new(0);
    let clock = || {
        readings.set(readings.get() + 1);
        f64::from(readings.get() * 100 - 95)
    };
    assert_eq!(rig.shard.drain(256, clock), 5);
    let mut processed_us = Vec::new();
    while rig.output.peek() {
        let record = rig.output.record();
        if record.header.kind == kind::FRAME {
            // In output rings the mean square and this come before the samples.
            processed_us.extend(record.payload.as_chunks().0.get(1).copied().map(f64::from_le_bytes));
        }
        rig.output.release();
    }
    assert_eq!(processed_us, [5.0, 5.0, 105.0, 105.0]);
}

#[test]
fn a_record_of_no_stream_is_skipped_and_counted() {
    let mut rig = Rig::new();
    for stream in [-1, STREAMS as i32, i32::MAX] {
        for kind in [kind::PACKET, kind::LOST, kind::MARK, kind::OPEN, kind::CLOSE, 99] {
            rig.put(kind, stream, 0.0, 160, &[1, 2, 3]);
        }
    }
    assert_eq!(rig.drain(), 18);
    assert_eq!(rig.counter(shard_counters::REJECTED), 18);
    rig.open(0, codec::PCMA, 8_000);
    rig.put(kind::PACKET, 0, 0.0, 0, &[0x55; 160]);
    rig.drain();
    assert_eq!(rig.frames().len(), 1);
}

#[test]
fn a_full_output_ring_blocks_and_loses_nothing() {
    let mut rig = Rig::new();
    rig.open(0, codec::L16, 48_000);
    let count = if cfg!(miri) { 20 } else { 200 };
    let mut pushed = 0;
    let (mut blocked, mut frames) = (0, 0);
    while pushed < count {
        for _ in 0..20 {
            rig.put(kind::PACKET, 0, f64::from(pushed), 0, &[7; 1_920]);
            pushed += 1;
        }
        loop {
            match rig.drain() {
                BLOCKED => blocked += 1,
                0 => break,
                _ => continue,
            }
            frames += rig.frames().len();
        }
        frames += rig.frames().len();
    }
    assert_eq!(frames, count as usize);
    assert!(blocked > 0, "the ring was never full, so this has shown nothing");
}

/// Packets of a swept tone with redundancy for the packet before, as a sender on a lossy link makes them.
fn packets_with_redundancy(sample_rate: i32, count: usize) -> Vec<Vec<u8>> {
    let samples = sample_rate as usize / 50;
    let mut error = 0;
    // SAFETY: a known rate, one channel.
    let encoder = unsafe { ffi::opus_encoder_create(sample_rate, 1, ffi::OPUS_APPLICATION_VOIP as c_int, &mut error) };
    assert_eq!(error, 0);
    for (request, value) in [
        (ffi::OPUS_SET_INBAND_FEC_REQUEST, 1),
        (ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, 30),
        (ffi::OPUS_SET_BITRATE_REQUEST, 32_000),
    ] {
        // SAFETY: each of these takes one int.
        assert_eq!(unsafe { ffi::opus_encoder_ctl(encoder, request as c_int, value) }, 0);
    }
    let packets = (0..count)
        .map(|k| {
            let pcm: Vec<i16> = (k * samples..(k + 1) * samples)
                .map(|i| {
                    let t = i as f64 / f64::from(sample_rate);
                    (9_000.0 * (2.0 * std::f64::consts::PI * (200.0 + 300.0 * t) * t).sin()) as i16
                })
                .collect();
            let mut packet = vec![0; 1_276];
            // SAFETY: the samples of one frame, and space for the largest packet.
            let length = unsafe {
                ffi::opus_encode(encoder, pcm.as_ptr(), samples as c_int, packet.as_mut_ptr(), packet.len() as i32)
            };
            packet.truncate(length as usize);
            packet
        })
        .collect();
    // SAFETY: made above, and not used again.
    unsafe { ffi::opus_encoder_destroy(encoder) };
    packets
}

fn distance(a: &[i16], b: &[i16]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

#[test]
#[cfg_attr(miri, ignore = "calls C")]
fn redundancy_brings_back_a_lost_packet() {
    const LOST: usize = 20;
    let packets = packets_with_redundancy(16_000, 30);
    let run = |lost: Option<&[u8]>| {
        let mut rig = Rig::new();
        rig.open(0, codec::OPUS, 16_000);
        for (k, packet) in packets.iter().enumerate() {
            match lost.filter(|_| k == LOST) {
                Some(next) => rig.put(kind::LOST, 0, k as f64, 320, next),
                None => rig.put(kind::PACKET, 0, k as f64, 0, packet),
            }
        }
        while rig.drain() > 0 {}
        let counts = [shard_counters::RECOVERED_BY_FEC, shard_counters::CONCEALED].map(|counter| rig.counter(counter));
        (rig.frames(), counts)
    };
    let (sent, _) = run(None);
    let (recovered, counts) = run(Some(&packets[LOST + 1]));
    assert_eq!(counts, [1, 0]);
    let (concealed, counts) = run(Some(&[]));
    assert_eq!(counts, [0, 1]);
    assert_eq!(recovered.len(), 30);
    assert_eq!(recovered[LOST].0 & (flag::LOST | flag::CONCEALED), flag::LOST);
    assert_eq!(concealed[LOST].0 & (flag::LOST | flag::CONCEALED), flag::LOST | flag::CONCEALED);
    let (with, without) = (distance(&sent[LOST].1, &recovered[LOST].1), distance(&sent[LOST].1, &concealed[LOST].1));
    assert!(with < without / 4.0, "with redundancy {with:.0}, without {without:.0}");
}

#[test]
#[cfg_attr(miri, ignore = "calls C")]
fn concealment_of_opus_has_any_length() {
    let packets = packets_with_redundancy(16_000, 5);
    let mut rig = Rig::new();
    rig.open(0, codec::OPUS, 16_000);
    rig.put(kind::LOST, 0, 0.0, 100, &[]);
    rig.put(kind::PACKET, 0, 1.0, 0, &packets[0]);
    let lengths = [1, 39, 40, 41, 320, 1_000, 4_001];
    for length in lengths {
        rig.put(kind::LOST, 0, 2.0, length, &[]);
    }
    rig.drain();
    let frames = rig.frames();
    assert!(frames[0].1.iter().all(|&sample| sample == 0), "before the first packet there is silence");
    let made: Vec<i32> = frames[2..].iter().map(|(_, pcm)| pcm.len() as i32).collect();
    assert_eq!(made, lengths);
}

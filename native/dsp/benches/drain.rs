//! What a packet costs in drain(), by codec, and an Opus packet in a plain loop over libopus on the same packets.
//!
//!     cargo bench --package trunkline-dsp

use std::ffi::c_int;
use std::hint::black_box;
use std::time::{Duration, Instant};

use opusic_sys as ffi;
use trunkline_dsp::config::Config;
use trunkline_dsp::detector::detector_id;
use trunkline_dsp::layout::*;
use trunkline_dsp::memory::Memory;
use trunkline_dsp::ring::{Consumer, Place, Producer};
use trunkline_dsp::shard::Shard;
use trunkline_dsp::silence::Settings;
use trunkline_dsp::{g711, level};

/// As many as one shard of a large node has: their state does not fit into the cache of a core.
const STREAMS: usize = 2_000;
const RING_BYTES: usize = 1 << 24;
const INPUT: Place = Place { offset: 256, capacity: RING_BYTES };
const OUTPUT: Place = Place { offset: INPUT.offset + ring::DATA + RING_BYTES, capacity: RING_BYTES };
const TABLE: usize = OUTPUT.offset + ring::DATA + RING_BYTES;
const BYTES: usize = TABLE + STREAMS * stream::BYTES;
/// Packets of every stream in turn, of which there are so many rounds. One of the quickest rounds counts: other work on the
/// machine, which takes time and cache, makes half of them longer where there is some.
const ROUNDS: usize = 300;

fn quick_nanos(mut rounds: Vec<Duration>, each: usize) -> f64 {
    rounds.sort();
    rounds[rounds.len() / 20].as_nanos() as f64 / each as f64
}

/// A voice of a kind, half of the time.
fn sound(sample_rate: i32, frame: usize, stream: usize) -> Vec<i16> {
    let samples = sample_rate as usize / 50;
    (frame * samples..(frame + 1) * samples)
        .map(|i| {
            let t = i as f64 / f64::from(sample_rate);
            let envelope = if (t * 0.7 + stream as f64 * 0.13).fract() < 0.5 { 6_000.0 } else { 20.0 };
            let pitch = 120.0 + (stream % 17) as f64 * 9.0 + 20.0 * (t * 3.0).sin();
            (1..6)
                .map(|n| envelope / f64::from(n) * (std::f64::consts::TAU * f64::from(n) * pitch * t).sin())
                .sum::<f64>() as i16
        })
        .collect()
}

fn opus_packets(sample_rate: i32, stream: usize) -> Vec<Vec<u8>> {
    let mut error = 0;
    // SAFETY: a known rate, one channel.
    let encoder = unsafe { ffi::opus_encoder_create(sample_rate, 1, ffi::OPUS_APPLICATION_VOIP as c_int, &mut error) };
    // SAFETY: takes one int.
    unsafe { ffi::opus_encoder_ctl(encoder, ffi::OPUS_SET_BITRATE_REQUEST as c_int, 24_000) };
    let packets = (0..50)
        .map(|frame| {
            let pcm = sound(sample_rate, frame, stream);
            let mut packet = vec![0; 1_276];
            // SAFETY: one frame, and space for the largest packet.
            let length =
                unsafe { ffi::opus_encode(encoder, pcm.as_ptr(), pcm.len() as c_int, packet.as_mut_ptr(), 1_276) };
            packet.truncate(length as usize);
            packet
        })
        .collect();
    // SAFETY: made above.
    unsafe { ffi::opus_encoder_destroy(encoder) };
    packets
}

/// A loop over all streams in turn, as their packets come over the wire, through rings and all.
struct Drain {
    shard: Shard,
    input: Producer,
    output: Consumer,
    turn: usize,
    samples: usize,
}

impl Drain {
    fn new(codec: i32, sample_rate: i32, detector: i32) -> Self {
        let words = vec![0_u64; BYTES / 8].leak();
        // SAFETY: leaked, and only this shard works on it.
        let memory = unsafe { Memory::new(words.as_mut_ptr().cast(), BYTES) }.unwrap();
        let shard = Shard::new(
            memory,
            &Config {
                control: 0,
                counters: 128,
                input: INPUT,
                output: OUTPUT,
                recorder: None,
                table: TABLE,
                streams: STREAMS,
                silence: Settings { threshold: 0.01, window_ms: 20.0 },
                speech: None,
            },
        );
        let mut drain = Self {
            shard,
            input: Producer::new(memory, INPUT),
            output: Consumer::new(memory, OUTPUT),
            turn: 0,
            samples: sample_rate as usize / 50,
        };
        for stream in 0..STREAMS {
            for (field, value) in [
                (stream::CODEC, codec),
                (stream::CLOCK_RATE, sample_rate),
                (stream::SAMPLE_RATE, sample_rate),
                (stream::CHANNELS, 1),
                (stream::WANTS, want::SPEECH_PCM),
                (stream::DETECTOR, detector),
            ] {
                memory.word(TABLE + stream * stream::BYTES + field).store(value, std::sync::atomic::Ordering::SeqCst);
            }
            drain.put(kind::OPEN, stream, &[]);
        }
        drain.input.publish();
        drain.work();
        drain
    }

    fn put(&mut self, kind: u8, stream: usize, payload: &[u8]) {
        let header = Header {
            kind,
            stream: stream as i32,
            position: (self.turn * self.samples) as f64,
            payload_length: payload.len() as i32,
            ..Header::default()
        };
        let space = self.input.claim(HEADER_BYTES + payload.len()).unwrap();
        // SAFETY: a header has no padding.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const header).cast::<u8>(), HEADER_BYTES) };
        space[..HEADER_BYTES].copy_from_slice(bytes);
        space[HEADER_BYTES..][..payload.len()].copy_from_slice(payload);
        self.input.commit(HEADER_BYTES + payload.len());
    }

    /// Time in drain() alone, for one packet of each stream.
    fn tick(&mut self, packets: &[Vec<Vec<u8>>]) -> Duration {
        for stream in 0..STREAMS {
            let packet = &packets[stream % packets.len()];
            self.put(kind::PACKET, stream, &packet[(self.turn + stream * 7) % packet.len()]);
        }
        self.turn += 1;
        self.input.publish();
        self.work()
    }

    fn work(&mut self) -> Duration {
        let began = Instant::now();
        let clock = Instant::now();
        while self.shard.drain(256, || clock.elapsed().as_nanos() as f64) > 0 {}
        let spent = began.elapsed();
        while self.output.peek() {
            self.output.release();
        }
        spent
    }
}

struct PlainLoop {
    decoders: Vec<*mut ffi::OpusDecoder>,
    turn: usize,
}

impl PlainLoop {
    fn new(sample_rate: i32) -> Self {
        let mut error = 0;
        // SAFETY: a known rate, one channel.
        let open = |_| unsafe { ffi::opus_decoder_create(sample_rate, 1, &mut error) };
        Self { decoders: (0..STREAMS).map(open).collect(), turn: 0 }
    }

    fn tick(&mut self, packets: &[Vec<Vec<u8>>]) -> Duration {
        let mut pcm = [0_i16; 5_760];
        let began = Instant::now();
        for (stream, &decoder) in self.decoders.iter().enumerate() {
            let all = &packets[stream % packets.len()];
            let packet = &all[(self.turn + stream * 7) % all.len()];
            // SAFETY: a live decoder, a whole packet, and space for 120 ms at 48 kHz.
            unsafe {
                ffi::opus_decode(decoder, packet.as_ptr(), packet.len() as c_int, pcm.as_mut_ptr(), 5_760, 0);
            }
        }
        self.turn += 1;
        began.elapsed()
    }
}

fn main() {
    println!("{:<34}{:>12}", "", "ns a packet");
    for (name, codec, sample_rate, bytes, detector) in [
        ("PCMU 8 kHz", codec::PCMU, 8_000, 160, detector_id::ADAPTIVE),
        ("PCMU 8 kHz, fixed detector", codec::PCMU, 8_000, 160, detector_id::FIXED),
        ("PCMA 8 kHz", codec::PCMA, 8_000, 160, detector_id::ADAPTIVE),
        ("L16 16 kHz", codec::L16, 16_000, 640, detector_id::ADAPTIVE),
    ] {
        let packets: Vec<Vec<Vec<u8>>> = (0..8)
            .map(|stream| {
                (0..50)
                    .map(|frame| {
                        sound(sample_rate, frame, stream).iter().flat_map(|s| s.to_be_bytes()).take(bytes).collect()
                    })
                    .collect()
            })
            .collect();
        let mut drain = Drain::new(codec, sample_rate, detector);
        println!(
            "{:<34}{:>12.0}",
            format!("drain, {name}"),
            quick_nanos((0..ROUNDS).map(|_| drain.tick(&packets)).collect(), STREAMS)
        );
    }
    for sample_rate in [8_000, 16_000, 48_000] {
        let packets: Vec<_> = (0..8).map(|stream| opus_packets(sample_rate, stream)).collect();
        let (mut drain, mut plain) =
            (Drain::new(codec::OPUS, sample_rate, detector_id::ADAPTIVE), PlainLoop::new(sample_rate));
        let (drains, plains) = (0..ROUNDS).map(|_| (drain.tick(&packets), plain.tick(&packets))).unzip();
        let (drain, plain) = (quick_nanos(drains, STREAMS), quick_nanos(plains, STREAMS));
        println!("{:<34}{drain:>12.0}", format!("drain, Opus {} kHz", sample_rate / 1000));
        println!("{:<34}{plain:>12.0}   drain is {:.3} of it", "  libopus alone", drain / plain);
    }
    let pcm = sound(8_000, 3, 1);
    let codes: Vec<u8> = (0..160).map(|i| i as u8).collect();
    let mut out = [0; 160];
    let parts: [(&str, &mut dyn FnMut()); 3] = [
        ("  µ-law, 160 samples", &mut || g711::decode_pcmu(black_box(&codes), black_box(&mut out))),
        ("  energy, 160 samples", &mut || _ = black_box(level::energy(black_box(&pcm)))),
        ("  peak, 160 samples", &mut || _ = black_box(level::peak(black_box(&pcm)))),
    ];
    for (name, part) in parts {
        let rounds = (0..ROUNDS).map(|_| {
            let began = Instant::now();
            (0..1_000).for_each(|_| part());
            began.elapsed()
        });
        let each = quick_nanos(rounds.collect(), 1_000);
        println!("{name:<34}{each:>12.1}");
    }
}

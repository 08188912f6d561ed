//! A plain loop over libopus, without rings or anything else: the baseline that `bench/capacity` compares shards with.
//!
//! Reads from stdin, as little-endian u32: sample rate, decoders, milliseconds to run, packets, the length of each
//! packet; then the packets, one for each decoder in turn. Prints how many of them could be decoded, and the CPU time of
//! one packet in microseconds.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use trunkline_dsp::opus::{OpusDecoder, packet_samples};

/// No packet is longer than 120 ms.
const MAX_PACKET_MS: usize = 120;

fn main() {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).expect("stdin");
    let (words, _) = input.as_chunks::<4>();
    let words: Vec<usize> = words.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
    let [sample_rate, decoders, run_ms, count, ..] = words[..] else { panic!("four numbers are missing") };
    let lengths = &words[4..4 + count];
    let packets = &input[(4 + count) * 4..];

    let mut decoders: Vec<_> =
        (0..decoders).map(|_| OpusDecoder::new(sample_rate as u32).expect("an Opus decoder")).collect();
    let mut pcm = vec![0; sample_rate * MAX_PACKET_MS / 1000];
    let mut decode_all = || {
        let mut at = 0;
        let mut decoded = 0;
        for (turn, &length) in lengths.iter().enumerate() {
            let packet = &packets[at..at + length];
            at += length;
            let index = turn % decoders.len();
            let Some(samples) = packet_samples(packet, sample_rate as u32) else { continue };
            decoded += usize::from(decoders[index].decode(packet, &mut pcm[..samples]));
        }
        decoded
    };

    let decoded = decode_all();
    let began = Instant::now();
    let cpu_before = cpu_time();
    let mut measured = 0;
    while began.elapsed() < Duration::from_millis(run_ms as u64) || measured == 0 {
        measured += decode_all();
    }
    let spent = cpu_time().zip(cpu_before).map_or(began.elapsed(), |(after, before)| after - before);
    println!("{decoded} {}", spent.as_secs_f64() * 1e6 / measured.max(1) as f64);
}

/// CPU time of this process; None where there is no /proc.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

//! G.711, L16, level, concealment and silence, each against an independent statement of the same rule.

use std::fs;

use trunkline_dsp::adaptive;
use trunkline_dsp::concealment::Concealment;
use trunkline_dsp::g711::{decode_pcma, decode_pcmu};
use trunkline_dsp::l16::{decode_l16, decode_l16_le};
use trunkline_dsp::layout::stream::SILENCE_SLOTS;
use trunkline_dsp::level::{energy, mean_square, peak};
use trunkline_dsp::silence::{self, Edge, Edges, Settings, slot};

/// Repeatable noise (xorshift).
fn noise(seed: u32, count: usize, amplitude: i32) -> Vec<i16> {
    let mut state = seed | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            ((i64::from(state as i32) * i64::from(amplitude)) >> 31) as i16
        })
        .collect()
}

/// Values of ITU-T G.711 tables 1a and 2a, as 16-bit samples: both ends, the zeros, and the steps between segments.
#[test]
fn g711_decodes_the_values_of_its_tables() {
    for (code, value) in [(0x00, -32124), (0x80, 32124), (0x7f, 0), (0xff, 0), (0xfe, 8), (0x8f, 16764), (0x90, 15996)]
    {
        let mut pcm = [1];
        decode_pcmu(&[code], &mut pcm);
        assert_eq!(pcm[0], value, "µ-law {code:#x}");
    }
    for (code, value) in [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0xda, 248), (0xc5, 264)] {
        let mut pcm = [1];
        decode_pcma(&[code], &mut pcm);
        assert_eq!(pcm[0], value, "A-law {code:#x}");
    }
}

#[test]
fn g711_is_odd_and_rises_with_its_code() {
    let all: Vec<u8> = (0..=255).collect();
    for (decode, ascending) in [(decode_pcmu as fn(&[u8], &mut [i16]), 0xff), (decode_pcma, 0x55 ^ 0x80)] {
        let mut pcm = [0; 256];
        decode(&all, &mut pcm);
        for code in 0..128_usize {
            assert_eq!(pcm[code], -pcm[code | 0x80]);
        }
        let rising: Vec<i16> = (0..128).map(|step| pcm[(step ^ ascending) as usize & 0xff]).collect();
        assert!(rising.windows(2).all(|pair| pair[0].unsigned_abs() < pair[1].unsigned_abs()), "{rising:?}");
    }
}

/// The ITU-T G.191 sweep, where the corpora are.
#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn g711_decodes_the_itu_sweep() {
    let folder = format!("{}/../../../shared/corpora/g711", env!("CARGO_MANIFEST_DIR"));
    for (codes, decoded, decode) in
        [("sweep-r.u", "sweep-r.reu", decode_pcmu as fn(&[u8], &mut [i16])), ("sweep-r.a", "sweep-r.rea", decode_pcma)]
    {
        let Ok(codes) = fs::read(format!("{folder}/{codes}")) else {
            eprintln!("skipped: no ITU sweep at {folder}");
            return;
        };
        let codes: Vec<u8> = codes.chunks(2).map(|word| word[0]).collect();
        let expected = fs::read(format!("{folder}/{decoded}")).unwrap();
        let expected: Vec<i16> = expected.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        let mut pcm = vec![0; codes.len()];
        decode(&codes, &mut pcm);
        assert_eq!(pcm.len(), 65_536);
        assert!(
            pcm == expected,
            "the first difference is at {:?}",
            pcm.iter().zip(&expected).position(|(a, b)| a != b)
        );
    }
}

#[test]
fn l16_is_read_in_either_byte_order() {
    let mut pcm = [0; 2];
    decode_l16(&[0x12, 0x34, 0xff, 0xfe], &mut pcm);
    assert_eq!(pcm, [0x1234, -2]);
    decode_l16_le(&[0x34, 0x12, 0xfe, 0xff], &mut pcm);
    assert_eq!(pcm, [0x1234, -2]);
}

#[test]
fn level_is_exact_at_every_length_and_for_the_largest_samples() {
    for length in (0..70).chain([160, 163, 960, 1919]) {
        for pcm in [noise(length as u32 + 1, length, 32_000), vec![i16::MIN; length], vec![i16::MAX; length]] {
            let sum: i128 = pcm.iter().map(|&sample| i128::from(sample).pow(2)).sum();
            assert_eq!(i128::from(energy(&pcm)), sum);
            let expected = if length == 0 { 0.0 } else { sum as f64 / (length as f64 * 1_073_741_824.0) };
            assert_eq!(mean_square(energy(&pcm), length), expected);
            assert_eq!(peak(&pcm), pcm.iter().map(|&sample| i32::from(sample).abs()).max().unwrap_or(0));
        }
    }
}

/// A sawtooth, whose period is found at a glance.
fn sawtooth(period: usize, samples: usize) -> Vec<i16> {
    (0..samples).map(|i| ((i % period) * 20_000 / period) as i16 - 10_000).collect()
}

#[test]
fn concealment_goes_on_with_the_period_and_fades_out_over_any_cut() {
    for rate in [8000, 12_000, 16_000, 24_000, 48_000_u32] {
        let tick = rate as usize / 100;
        let period = tick * 4 / 5 + 1;
        let sent = sawtooth(period, 18 * tick);
        let (decoded, lost) = sent.split_at(10 * tick);
        let conceal = |cut: usize| {
            let mut concealment = Concealment::new(rate);
            decoded.chunks(cut).for_each(|part| concealment.keep(part));
            let mut made = vec![99; lost.len()];
            made.chunks_mut(cut).for_each(|part| concealment.conceal(part, &[]));
            made
        };
        let made = conceal(tick);
        assert!(made[..tick] == lost[..tick], "{rate} Hz: the period is repeated");
        assert!(made[6 * tick..].iter().all(|&sample| sample == 0), "{rate} Hz: silence after 60 ms");
        let peak = |part: &[i16]| part.iter().map(|&sample| i32::from(sample).abs()).max();
        assert!(peak(&made[4 * tick..6 * tick]) < Some(4100), "{rate} Hz: faded");
        for cut in [1, 7, 2 * tick, 4 * tick + 3] {
            assert!(conceal(cut) == made, "{rate} Hz in parts of {cut}");
        }
    }
}

#[test]
fn concealment_ends_as_the_next_packet_begins() {
    let sent = sawtooth(67, 1280);
    let mut concealment = Concealment::new(8000);
    concealment.keep(&sent[..800]);
    assert_eq!(concealment.samples_to_fit(), 68);
    let mut alone = vec![0; 480];
    concealment.conceal(&mut alone, &[]);
    assert!(alone[479].abs() < 30);
    concealment.keep(&sent[..800]);
    let mut fitted = vec![0; 480];
    concealment.conceal(&mut fitted, &sent[800..1280]);
    assert!(fitted[..320] == alone[..320]);
    assert!((i32::from(fitted[479]) - i32::from(sent[800 - 1])).abs() < 400);
}

#[test]
fn silence_has_the_same_edges_however_the_sound_is_cut() {
    let loud = noise(1, 8_000, 12_000);
    let pcm: Vec<i16> = [vec![0; 1_000], loud.clone(), vec![3; 9_000], loud, vec![0; 6_000]].concat();
    let edges_of = |cut: usize| {
        let mut state = [0.0; SILENCE_SLOTS];
        silence::init(&mut state, Settings { threshold: 0.01, window_ms: 20.0 }, 8_000);
        let (mut all, mut edges) = (Vec::new(), Edges::default());
        for (k, part) in pcm.chunks(cut).enumerate() {
            edges.clear();
            silence::feed(&mut state, part, (k * cut) as f64, &mut edges);
            all.extend_from_slice(edges.as_slice());
        }
        all
    };
    let whole = edges_of(160);
    let silent: Vec<bool> = whole.iter().map(|edge| edge.silent).collect();
    assert_eq!(silent, [false, true, false, true]);
    for (Edge { position, .. }, expected) in whole.iter().zip([1_000.0, 9_000.0, 18_000.0, 26_000.0]) {
        // A hop before, or the window after.
        assert!((position - expected).abs() <= 160.0, "an edge at {position}, not {expected}");
    }
    // Each call costs Miri a millisecond or so.
    let cuts: &[usize] = if cfg!(miri) { &[161] } else { &[1, 39, 160, 161, 7_777] };
    for &cut in cuts {
        assert_eq!(edges_of(cut), whole, "in parts of {cut}");
    }
}

#[test]
fn silence_survives_any_state() {
    // The state lies in shared memory: whatever stands there, nothing loops and nothing is read beyond it.
    for seed in 1..50 {
        let mut state = [0.0; SILENCE_SLOTS];
        for (slot, sample) in state.iter_mut().zip(noise(seed, SILENCE_SLOTS, 32_767)) {
            *slot = f64::from(sample) / 100.0;
        }
        state[slot::HOP] = f64::from(seed % 3);
        let _ = std::panic::catch_unwind(move || {
            silence::feed(&mut state, &noise(seed, 500, 9_000), 5.0, &mut Edges::default());
        });
    }
}

#[test]
fn adaptive_detection_has_the_same_edges_however_the_sound_is_cut() {
    let quiet = noise(5, 24_000, 120);
    let loud = noise(1, 8_000, 9_000);
    let pcm: Vec<i16> = [quiet.clone(), loud.clone(), quiet.clone(), loud, quiet].concat();
    for (rate, cuts) in [(8_000, [1, 39, 160, 7_777]), (16_000, [13, 320, 333, 960]), (48_000, [960, 961, 2_880, 11])] {
        let edges_of = |cut: usize| {
            let mut state = [0.0; SILENCE_SLOTS];
            adaptive::init(&mut state, rate);
            let (mut all, mut edges) = (Vec::new(), Edges::default());
            for (k, part) in pcm.chunks(cut).enumerate() {
                edges.clear();
                adaptive::feed(&mut state, part, (k * cut) as f64, &mut edges);
                all.extend_from_slice(edges.as_slice());
            }
            (all, state[adaptive::slot::EVIDENCE])
        };
        let whole = edges_of(480);
        assert!(!whole.0.is_empty(), "no edge at {rate} Hz");
        for cut in cuts {
            assert_eq!(edges_of(cut), whole, "at {rate} Hz in parts of {cut}");
        }
    }
}

#[test]
fn adaptive_detection_survives_any_state() {
    for seed in 1..50 {
        let mut state = [0.0; SILENCE_SLOTS];
        for (slot, sample) in state.iter_mut().zip(noise(seed, SILENCE_SLOTS, 32_767)) {
            *slot = f64::from(sample) / 100.0;
        }
        state[adaptive::slot::DECIMATION] = [0.0, 1.0, 3.0, f64::NAN, 1e300][seed as usize % 5];
        let _ = std::panic::catch_unwind(move || {
            adaptive::feed(&mut state, &noise(seed, 500, 9_000), 5.0, &mut Edges::default());
        });
    }
}

//! Judges the windows of a recording and prints what one costs: `judge_windows PACKED SAMPLES [LOG-ODDS]`.
//! All are files of little-endian f32s, or of f64s for the log-odds to compare with.

use std::time::Instant;

use trunkline_dsp::silero::{BATCH, CONTEXT, WINDOW, Window, judge};

fn floats(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(file).expect("a readable file");
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let packed = floats(&args.next().expect("the packed weights"));
    let samples = floats(&args.next().expect("samples"));
    let expected = args.next().map(|file| std::fs::read(file).expect("a readable file"));
    let mut window = Window::default();
    let mut differing = 0;
    for (number, part) in samples.chunks_exact(WINDOW).enumerate() {
        window.input.copy_within(WINDOW.., 0);
        window.input[CONTEXT..].copy_from_slice(part);
        judge(&packed, &mut [&mut window]);
        if let Some(expected) = &expected {
            let want = f64::from_le_bytes(expected[8 * number..][..8].try_into().expect("eight bytes"));
            differing += usize::from(want.to_bits() != window.log_odds.to_bits());
        }
    }
    println!("{} windows, {differing} differ", samples.len() / WINDOW);
    let mut batch: Vec<Window> = (0..BATCH).map(|_| window.clone()).collect();
    for size in [1, 2, BATCH] {
        let mut best = f64::INFINITY;
        for _ in 0..200 {
            let began = Instant::now();
            for _ in 0..20 {
                judge(&packed, &mut batch[..size].iter_mut().collect::<Vec<_>>());
            }
            best = best.min(began.elapsed().as_secs_f64() / 20.0 / size as f64);
        }
        println!("batches of {size}: {:.1} us a window", best * 1e6);
    }
}

//! The forward pass of Silero VAD v6 at 8 kHz: `src/audio/neural/silero.ts`, with the same results to the bit.
//!
//! Each sum is taken in the order of its inputs, and every product is rounded before it is added (no fused
//! multiply-add), so that the width of the vectors changes nothing. On x64 the same code is compiled for AVX2 as well
//! and chosen at run time.

const FFT: usize = 128;
const HALF: usize = FFT / 2;
const BINS: usize = HALF + 1;
const COLUMNS: usize = 4;
pub const RATE: u32 = 8000;
pub const HIDDEN: usize = 128;
pub const WINDOW: usize = 256;
pub const CONTEXT: usize = 32;
pub const INPUT: usize = CONTEXT + WINDOW;
const TILE: usize = 16;
/// Windows whose recurrent layers share one pass over the weights.
pub const BATCH: usize = 4;

#[derive(Clone, Copy)]
struct Layer {
    at: usize,
    inputs: usize,
    outputs: usize,
}

impl Layer {
    const fn new(at: usize, inputs: usize, outputs: usize) -> Self {
        Self { at, inputs, outputs }
    }

    const fn end(&self) -> usize {
        self.at + (self.inputs + 1) * self.outputs
    }
}

// Places in the packed weights, in floats: PACKED of `src/audio/neural/silero-weights.ts`.
const COSINE: usize = FFT;
const SINE: usize = 2 * FFT;
const CONV0: Layer = Layer::new(3 * FFT, BINS * 3, 128);
const CONV1: Layer = Layer::new(CONV0.end(), 128 * 3, 64);
const CONV2: Layer = Layer::new(CONV1.end(), 64 * 2, 64);
const CONV3: Layer = Layer::new(CONV2.end(), 64, 128);
const LSTM: Layer = Layer::new(CONV3.end(), 2 * HIDDEN, 4 * HIDDEN);
const OUTPUT: usize = LSTM.end();
/// Where the kernels of the decimators begin.
pub const KERNELS: usize = (OUTPUT + HIDDEN + 1).next_multiple_of(TILE);

/// What a channel keeps between two windows.
#[derive(Clone, Debug)]
pub struct Memory {
    hidden: [f32; HIDDEN],
    cell: [f32; HIDDEN],
}

impl Default for Memory {
    fn default() -> Self {
        Self { hidden: [0.0; HIDDEN], cell: [0.0; HIDDEN] }
    }
}

/// A window to be judged: its input, what the channel remembers, and the log-odds that there is speech in it.
#[derive(Clone, Debug)]
pub struct Window {
    /// The end of the window before, and the window; −1 to 1.
    pub input: [f32; INPUT],
    pub memory: Memory,
    pub log_odds: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self { input: [0.0; INPUT], memory: Memory::default(), log_odds: 0.0 }
    }
}

/// Judges up to BATCH windows of different channels. `packed` is as packSilero() makes it.
pub fn judge(packed: &[f32], windows: &mut [&mut Window]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { judge_avx2(packed, windows) };
        return;
    }
    judge_any(packed, windows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn judge_avx2(packed: &[f32], windows: &mut [&mut Window]) {
    judge_any(packed, windows);
}

#[inline(always)]
fn judge_any(packed: &[f32], windows: &mut [&mut Window]) {
    for batch in windows.chunks_mut(BATCH) {
        let mut inputs = [[0.0; LSTM.inputs]; BATCH];
        let mut gates = [[0.0; LSTM.outputs]; BATCH];
        for (window, input) in batch.iter().zip(&mut inputs) {
            features(packed, &window.input, (&mut input[..HIDDEN]).try_into().expect("half of the inputs"));
            input[HIDDEN..].copy_from_slice(&window.memory.hidden);
        }
        match batch.len() {
            1 => dense::<1>(packed, LSTM, [&inputs[0]], &mut gates[..1]),
            2 => dense::<2>(packed, LSTM, [&inputs[0], &inputs[1]], &mut gates[..2]),
            _ => dense::<BATCH>(packed, LSTM, [&inputs[0], &inputs[1], &inputs[2], &inputs[3]], &mut gates),
        }
        for (window, gates) in batch.iter_mut().zip(&gates) {
            recur(&mut window.memory, gates);
            let mut sum = f64::from(packed[OUTPUT + HIDDEN]);
            for (weight, &value) in packed[OUTPUT..OUTPUT + HIDDEN].iter().zip(&window.memory.hidden) {
                if value > 0.0 {
                    sum += f64::from(*weight) * f64::from(value);
                }
            }
            window.log_odds = sum;
        }
    }
}

/// The convolutions.
#[inline(always)]
fn features(packed: &[f32], input: &[f32; INPUT], out: &mut [f32; HIDDEN]) {
    let magnitudes = transforms(packed, input);
    let mut taps0 = [[0.0; CONV0.inputs]; COLUMNS];
    for (column, taps) in taps0.iter_mut().enumerate() {
        for (bin, taps) in taps.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            for (tap, value) in taps.iter_mut().enumerate() {
                let at = column + tap;
                *value = if at == 0 || at > COLUMNS { 0.0 } else { magnitudes[bin][at - 1] };
            }
        }
    }
    let mut features0 = [[0.0; CONV0.outputs]; COLUMNS];
    dense::<COLUMNS>(packed, CONV0, [&taps0[0], &taps0[1], &taps0[2], &taps0[3]], &mut features0);
    rectify(features0.as_flattened_mut());

    let mut taps1 = [[0.0; CONV1.inputs]; 2];
    for (column, taps) in taps1.iter_mut().enumerate() {
        for (feature, taps) in taps.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            for (tap, value) in taps.iter_mut().enumerate() {
                let at = 2 * column + tap;
                *value = if at == 0 { 0.0 } else { features0[at - 1][feature] };
            }
        }
    }
    let mut features1 = [[0.0; CONV1.outputs]; 2];
    dense::<2>(packed, CONV1, [&taps1[0], &taps1[1]], &mut features1);
    rectify(features1.as_flattened_mut());

    let mut taps2 = [0.0; CONV2.inputs];
    for (feature, taps) in taps2.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        *taps = [features1[0][feature], features1[1][feature]];
    }
    let mut features2 = [[0.0; CONV2.outputs]; 1];
    dense::<1>(packed, CONV2, [&taps2], &mut features2);
    rectify(&mut features2[0]);
    let mut features3 = [[0.0; CONV3.outputs]; 1];
    dense::<1>(packed, CONV3, [&features2[0]], &mut features3);
    rectify(&mut features3[0]);
    *out = features3[0];
}

#[inline(always)]
fn rectify(values: &mut [f32]) {
    for value in values {
        *value = if *value > 0.0 { *value } else { 0.0 };
    }
}

/// Outputs of one layer for N inputs, tile by tile: each weight is read once.
#[inline(always)]
fn dense<const N: usize>(packed: &[f32], layer: Layer, inputs: [&[f32]; N], outputs: &mut [impl AsMut<[f32]>]) {
    let (weights, biases) = packed[layer.at..layer.end()].split_at(layer.inputs * layer.outputs);
    let (tiles, _) = weights.as_chunks::<TILE>();
    let (biases, _) = biases.as_chunks::<TILE>();
    let inputs = inputs.map(|input| &input[..layer.inputs]);
    for ((number, tile), bias) in tiles.chunks_exact(layer.inputs).enumerate().zip(biases) {
        let mut sums = [*bias; N];
        for (at, weights) in tile.iter().enumerate() {
            for (sum, input) in sums.iter_mut().zip(inputs) {
                let factor = input[at];
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum += weight * factor;
                }
            }
        }
        for (output, sum) in outputs.iter_mut().zip(&sums) {
            output.as_mut()[number * TILE..][..TILE].copy_from_slice(sum);
        }
    }
}

#[inline(always)]
fn recur(memory: &mut Memory, gates: &[f32; LSTM.outputs]) {
    for unit in 0..HIDDEN {
        let input = sigmoid(gates[unit].into());
        let forget = sigmoid(gates[HIDDEN + unit].into());
        let cell = tanh(gates[2 * HIDDEN + unit].into());
        let output = sigmoid(gates[3 * HIDDEN + unit].into());
        let next = (forget * f64::from(memory.cell[unit]) + input * cell) as f32;
        memory.cell[unit] = next;
        memory.hidden[unit] = (output * tanh(next.into())) as f32;
    }
}

/// One number of each of the four transforms of a window.
type Vector = [f32; COLUMNS];

#[inline(always)]
fn vector(of: impl Fn(usize) -> f32) -> Vector {
    std::array::from_fn(of)
}

/// Magnitudes of four transforms of FFT real samples, by complex transforms of half as many points.
#[inline(always)]
fn transforms(packed: &[f32], input: &[f32; INPUT]) -> [Vector; BINS] {
    let cosines = &packed[COSINE..COSINE + FFT];
    let sines = &packed[SINE..SINE + FFT];
    let (mut re, mut im) = ([[0.0; COLUMNS]; HALF], [[0.0; COLUMNS]; HALF]);
    for n in 0..HALF {
        let slot = n.reverse_bits() >> (usize::BITS - HALF.trailing_zeros());
        let sample = |column: usize, n: usize| packed[n] * mirrored(input, column * HALF + n);
        re[slot] = vector(|column| sample(column, 2 * n));
        im[slot] = vector(|column| sample(column, 2 * n + 1));
    }
    let mut half = 1;
    while half < HALF {
        for j in 0..half {
            let (cosine, sine) = (cosines[j * (HALF / half)], sines[j * (HALF / half)]);
            for a in (j..HALF).step_by(2 * half) {
                let b = a + half;
                let x = vector(|column| cosine * re[b][column] + sine * im[b][column]);
                let y = vector(|column| cosine * im[b][column] - sine * re[b][column]);
                re[b] = vector(|column| re[a][column] - x[column]);
                im[b] = vector(|column| im[a][column] - y[column]);
                re[a] = vector(|column| re[a][column] + x[column]);
                im[a] = vector(|column| im[a][column] + y[column]);
            }
        }
        half *= 2;
    }
    let mut magnitudes = [[0.0; COLUMNS]; BINS];
    for (bin, magnitude) in magnitudes.iter_mut().enumerate() {
        let (a, b) = (bin % HALF, (HALF - bin) % HALF);
        let (cosine, sine) = (cosines[bin], sines[bin]);
        *magnitude = vector(|column| {
            let even_re = (re[a][column] + re[b][column]) * 0.5;
            let even_im = (im[a][column] - im[b][column]) * 0.5;
            let odd_re = (im[a][column] + im[b][column]) * 0.5;
            let odd_im = (re[b][column] - re[a][column]) * 0.5;
            let x = even_re + (cosine * odd_re + sine * odd_im);
            let y = even_im + (cosine * odd_im - sine * odd_re);
            (x * x + y * y).sqrt()
        });
    }
    magnitudes
}

/// What lies beyond the input is its mirror image.
#[inline(always)]
fn mirrored(input: &[f32; INPUT], at: usize) -> f32 {
    input[if at < INPUT { at } else { 2 * (INPUT - 1) - at }]
}

#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exponential(-x))
}

#[inline(always)]
fn tanh(x: f64) -> f64 {
    2.0 / (1.0 + exponential(-2.0 * x)) - 1.0
}

const LARGEST_EXPONENT: f64 = 40.0;
const LOG2_E: f64 = std::f64::consts::LOG2_E;
const LN_2: f64 = std::f64::consts::LN_2;

/// e^x to nine digits: 2^n · e^r, |r| ≤ ln 2 / 2.
#[inline(always)]
fn exponential(x: f64) -> f64 {
    let bounded = x.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT);
    let n = (bounded * LOG2_E + 0.5).floor();
    let r = bounded - n * LN_2;
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0));
    let series = 1.0 + r * (1.0 + r * (1.0 / 2.0 + r * (1.0 / 6.0 + r * tail)));
    series * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_exact_to_nine_digits() {
        for step in -400..=400 {
            let x = f64::from(step) / 10.0;
            assert!((exponential(x) / x.exp() - 1.0).abs() < 1e-8, "{x}");
        }
        assert_eq!(exponential(-1e9), exponential(-LARGEST_EXPONENT));
    }

    #[test]
    fn a_batch_gives_what_its_windows_give_alone() {
        let packed: Vec<f32> = (0..KERNELS).map(|i| ((i * 7919 % 257) as f32 - 128.0) / 3000.0).collect();
        let mut windows: Vec<Window> = (0..7)
            .map(|n| Window {
                input: std::array::from_fn(|i| ((i * (n + 3)) % 97) as f32 / 97.0 - 0.5),
                ..Window::default()
            })
            .collect();
        let mut alone = windows.clone();
        for _ in 0..3 {
            judge(&packed, &mut windows.iter_mut().collect::<Vec<_>>());
            for window in &mut alone {
                judge(&packed, &mut [window]);
            }
        }
        for (together, alone) in windows.iter().zip(&alone) {
            assert_ne!(together.log_odds, 0.0);
            assert_eq!(together.log_odds.to_bits(), alone.log_odds.to_bits());
        }
        judge_any(&packed, &mut windows.iter_mut().collect::<Vec<_>>());
        judge(&packed, &mut alone.iter_mut().collect::<Vec<_>>());
        assert_eq!(windows[6].log_odds.to_bits(), alone[6].log_odds.to_bits());
    }
}

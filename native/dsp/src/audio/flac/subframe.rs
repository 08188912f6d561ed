//! One channel of a block: `src/audio/flac/subframe.ts`.

use super::bit_writer::{BitWriter, fold};

const MAX_ORDER: usize = 3;
/// Errors are at most 2^18, of which a sum of 31 bits takes so many.
const SUM_SAMPLES: usize = 4096;
const MAX_PARTITION_ORDER: u32 = 5;
const MAX_PARAMETER: u32 = 14;
const PARAMETER_BITS: u32 = 4;
const BITS: u32 = 16;
const CONSTANT: u32 = 0b000000;
const VERBATIM: u32 = 0b000001;
const FIXED: u32 = 0b001000;

pub struct SubframeEncoder {
    samples: Vec<i32>,
    errors: Vec<i32>,
    /// By partition, the finest first, then each pair added up: folded errors, added up.
    sums: [u64; 2 << MAX_PARTITION_ORDER],
}

impl SubframeEncoder {
    pub fn new(max_samples: usize) -> Self {
        Self { samples: vec![0; max_samples], errors: vec![0; max_samples], sums: [0; 2 << MAX_PARTITION_ORDER] }
    }

    /// Codes `count` samples, every `stride`-th of `source`.
    pub fn encode(&mut self, source: &[i16], stride: usize, count: usize, out: &mut BitWriter) {
        let Some(wasted) = self.load(source, stride, count) else {
            out.put(CONSTANT << 1, 8);
            out.put(source[0] as u32, BITS);
            return;
        };
        let bits = BITS - wasted;
        let order = self.choose_order(count);
        self.predict(order, count);
        let finest = self.sum_partitions(order, count);
        let (partition_order, best) = self.choose_partitions(finest, order, count);
        if best + (order as u64) * u64::from(bits) >= (count as u64) * u64::from(bits) {
            header(VERBATIM, wasted, out);
            for &sample in &self.samples[..count] {
                out.put(sample as u32, bits);
            }
            return;
        }
        header(FIXED | order as u32, wasted, out);
        for &sample in &self.samples[..order] {
            out.put(sample as u32, bits);
        }
        self.write_errors(partition_order, finest, order, count, out);
    }

    /// Takes the samples without their common zero bits; how many those are, or none when all samples are the same.
    fn load(&mut self, source: &[i16], stride: usize, count: usize) -> Option<u32> {
        let first = source[0];
        let (mut used, mut differs) = (0_i16, 0_i16);
        for (to, &sample) in self.samples[..count].iter_mut().zip(source.iter().step_by(stride)) {
            *to = i32::from(sample);
            used |= sample;
            differs |= sample ^ first;
        }
        if differs == 0 {
            return None;
        }
        let wasted = used.trailing_zeros();
        if wasted > 0 {
            for sample in &mut self.samples[..count] {
                *sample >>= wasted;
            }
        }
        Some(wasted)
    }

    /// The predictor with the smallest errors, of those that the block is long enough for.
    fn choose_order(&self, count: usize) -> usize {
        let mut sums = [0_u64; MAX_ORDER + 1];
        let mut at = MAX_ORDER;
        while at < count {
            let end = count.min(at + SUM_SAMPLES);
            let part = error_sums(&self.samples[at - MAX_ORDER..end]);
            for (sum, add) in sums.iter_mut().zip(part) {
                *sum += u64::from(add);
            }
            at += SUM_SAMPLES;
        }
        let mut best = 0;
        for order in 1..=MAX_ORDER {
            if sums[order] < sums[best] {
                best = order;
            }
        }
        best
    }

    /// The errors of a predictor, from index `order` on.
    fn predict(&mut self, order: usize, count: usize) {
        let samples = &self.samples[..count];
        let errors = &mut self.errors[..count];
        match order {
            0 => errors.copy_from_slice(samples),
            1 => fill_errors(errors, samples, |[a, b]| b - a),
            2 => fill_errors(errors, samples, |[a, b, c]| c - 2 * b + a),
            _ => fill_errors(errors, samples, |[a, b, c, d]| d - 3 * c + 3 * b - a),
        }
    }

    /// Adds up the errors of each partition; returns the finest order.
    fn sum_partitions(&mut self, order: usize, count: usize) -> u32 {
        let mut finest = MAX_PARTITION_ORDER;
        while finest > 0 && (!count.is_multiple_of(1 << finest) || count >> finest <= MAX_ORDER) {
            finest -= 1;
        }
        let length = count >> finest;
        let partitions = 1 << finest;
        for partition in 0..partitions {
            let start = if partition == 0 { order } else { partition * length };
            let errors = &self.errors[start..(partition + 1) * length];
            self.sums[partition] = errors.iter().map(|&error| u64::from(fold(error))).sum();
        }
        for i in 0..partitions - 1 {
            self.sums[partitions + i] = self.sums[2 * i] + self.sums[2 * i + 1];
        }
        finest
    }

    /// The order of partitions that takes the least bits, and how many those are at the most.
    fn choose_partitions(&self, finest: u32, order: usize, count: usize) -> (u32, u64) {
        let mut best = (0, u64::MAX);
        let mut from = 0;
        for partition_order in (0..=finest).rev() {
            let partitions = 1 << partition_order;
            let mut bits = 2 + u64::from(PARAMETER_BITS);
            for i in 0..partitions {
                let errors = ((count >> partition_order) - if i == 0 { order } else { 0 }) as u64;
                let sum = self.sums[from + i];
                bits += u64::from(PARAMETER_BITS) + rice_bits(sum, errors, rice_parameter(sum, errors));
            }
            if bits < best.1 {
                best = (partition_order, bits);
            }
            from += partitions;
        }
        best
    }

    fn write_errors(&self, partition_order: u32, finest: u32, order: usize, count: usize, out: &mut BitWriter) {
        out.put(0, 2);
        out.put(partition_order, PARAMETER_BITS);
        let from: usize = (partition_order + 1..=finest).map(|i| 1 << i).sum();
        let mut at = order;
        for i in 0..1 << partition_order {
            let errors = (count >> partition_order) - if i == 0 { order } else { 0 };
            let parameter = rice_parameter(self.sums[from + i], errors as u64);
            out.put(parameter, PARAMETER_BITS);
            out.put_rice(&self.errors[at..at + errors], parameter);
            at += errors;
        }
    }
}

/// The errors of each predictor, added up, of all samples but the first MAX_ORDER.
fn error_sums(samples: &[i32]) -> [u32; MAX_ORDER + 1] {
    let mut sums = [0_u32; MAX_ORDER + 1];
    for window in samples.windows(MAX_ORDER + 1) {
        let &[a, b, c, d] = window else { break };
        sums[0] += d.unsigned_abs();
        sums[1] += (d - c).unsigned_abs();
        sums[2] += (d - 2 * c + b).unsigned_abs();
        sums[3] += (d - 3 * c + 3 * b - a).unsigned_abs();
    }
    sums
}

/// What `error` makes of each N samples in a row stands where the last of them does.
fn fill_errors<const N: usize>(errors: &mut [i32], samples: &[i32], error: impl Fn([i32; N]) -> i32) {
    for i in N - 1..samples.len() {
        let mut window = [0; N];
        window.copy_from_slice(&samples[i + 1 - N..=i]);
        errors[i] = error(window);
    }
}

fn header(kind: u32, wasted: u32, out: &mut BitWriter) {
    out.put((kind << 1) | u32::from(wasted > 0), 8);
    if wasted > 0 {
        out.put(1, wasted);
    }
}

/// The parameter that suits `count` errors of that sum.
fn rice_parameter(sum: u64, count: u64) -> u32 {
    let mean = sum / count;
    let near = if mean < 2 { 0 } else { mean.ilog2().min(MAX_PARAMETER) };
    let before = near.saturating_sub(1);
    if rice_bits(sum, count, before) < rice_bits(sum, count, near) { before } else { near }
}

/// The bits of so many errors at the most.
fn rice_bits(sum: u64, count: u64, parameter: u32) -> u64 {
    count * (1 + u64::from(parameter)) + (sum >> parameter)
}

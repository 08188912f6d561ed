//! Loss concealment for G.711 and L16: `src/audio/concealment.ts`, which has the formula, and `concealment-history.ts`.
//! Decoded samples are kept here instead of encoded ones, since they are at hand.

use crate::memory::prefetch_to_write;

const COARSE_RATE: usize = 4000;
const COARSE_MIN_LAG: usize = 20;
const COARSE_MAX_LAG: usize = 60;
const COARSE_WINDOW: usize = 80;
const MIN_MEAN_SQUARE: usize = 4;
/// Samples of the coarse history at any sample rate.
const COARSE_SAMPLES: usize = COARSE_RATE * 39 / 800;
/// Longest time that concealment takes to become the next packet, in hundredths of a second.
const MAX_FIT_TICKS: usize = 2;

#[derive(Debug)]
pub struct Concealment {
    sample_rate: usize,
    /// The last 48.75 ms that were decoded; a ring, the oldest at `write_at`.
    ring: Box<[i16]>,
    write_at: usize,
    /// Samples concealed since the last packet.
    concealed: usize,
    period: usize,
}

impl Concealment {
    pub fn new(sample_rate: u32) -> Self {
        let sample_rate = sample_rate as usize;
        Self { sample_rate, ring: vec![0; sample_rate * 39 / 800].into(), write_at: 0, concealed: 0, period: 0 }
    }

    /// Begins to fetch the memory that keep() will copy so many samples to.
    pub fn prefetch(&self, samples: usize) {
        prefetch_to_write(&self.ring[self.write_at..][..samples.min(self.ring.len() - self.write_at)]);
    }

    /// Keeps decoded samples as the history.
    pub fn keep(&mut self, pcm: &[i16]) {
        let length = self.ring.len();
        let taken = &pcm[pcm.len() - pcm.len().min(length)..];
        let (to_end, rest) = taken.split_at(taken.len().min(length - self.write_at));
        self.ring[self.write_at..][..to_end.len()].copy_from_slice(to_end);
        self.ring[..rest.len()].copy_from_slice(rest);
        self.write_at += taken.len();
        if self.write_at >= length {
            self.write_at -= length;
        }
        self.concealed = 0;
    }

    /// Fills `pcm` with concealment. It ends as `next` begins, where that has `samples_to_fit()` samples: the beginning
    /// of the packet that follows at once.
    pub fn conceal(&mut self, pcm: &mut [i16], next: &[i16]) {
        self.start();
        let history = History { samples: &self.ring, period: self.period, tick: self.sample_rate / 100 };
        history.conceal(self.concealed, pcm);
        self.concealed += pcm.len();
        if next.len() > self.period {
            fit_to_next(next, self.period, self.sample_rate, pcm);
        }
    }

    /// Samples of the next packet that a loss can be fitted to, if it has that many.
    pub fn samples_to_fit(&mut self) -> usize {
        self.start();
        self.period + 1
    }

    /// Finds the pitch at the beginning of a loss.
    fn start(&mut self) {
        if self.concealed == 0 {
            self.ring.rotate_left(self.write_at);
            self.write_at = 0;
            self.period = pitch_period(&self.ring, self.sample_rate);
        }
    }
}

fn pitch_period(history: &[i16], sample_rate: usize) -> usize {
    let factor = sample_rate / COARSE_RATE;
    let mut coarse = [0_i32; COARSE_SAMPLES];
    let from = history.len() - coarse.len() * factor;
    for (sum, samples) in coarse.iter_mut().zip(history[from..].chunks_exact(factor)) {
        *sum = samples.iter().map(|&sample| i32::from(sample)).sum();
    }
    let coarse_lag = best_lag(&coarse, COARSE_WINDOW, COARSE_MIN_LAG, COARSE_MAX_LAG, factor * factor);
    let min = (COARSE_MIN_LAG * factor).max(coarse_lag * factor - factor + 1);
    let max = (COARSE_MAX_LAG * factor).min(coarse_lag * factor + factor - 1);
    best_lag(history, COARSE_WINDOW * factor, min, max, 1)
}

fn best_lag<T: Copy + Into<i64>>(samples: &[T], window: usize, min_lag: usize, max_lag: usize, gain: usize) -> usize {
    let product = |a: T, b: T| a.into() * b.into();
    let end = samples.len();
    let start = end - window;
    let min_energy = (window * MIN_MEAN_SQUARE * gain) as f64;
    let mut energy: i64 = samples[start - min_lag..end - min_lag].iter().map(|&sample| product(sample, sample)).sum();
    let mut best = 0.0;
    let mut best_at = min_lag;
    for lag in min_lag..=max_lag {
        let pairs = samples[start..end].iter().zip(&samples[start - lag..end - lag]);
        let correlation: i64 = pairs.map(|(&a, &b)| product(a, b)).sum();
        if correlation > 0 {
            let correlation = correlation as f64;
            let quality = (correlation * correlation) / (energy as f64).max(min_energy);
            if quality > best {
                best = quality;
                best_at = lag;
            }
        }
        if lag < max_lag {
            let (added, removed) = (samples[start - lag - 1], samples[end - lag - 1]);
            energy += product(added, added) - product(removed, removed);
        }
    }
    best_at
}

struct History<'a> {
    samples: &'a [i16],
    period: usize,
    /// A hundredth of a second.
    tick: usize,
}

impl History<'_> {
    fn conceal(&self, from: usize, pcm: &mut [i16]) {
        let tick = self.tick;
        for (k, out) in (from..).zip(pcm) {
            *out = if k < tick {
                self.first_periods(k) as i16
            } else if k < 6 * tick {
                (self.later_periods(k) * (6 * tick - k) as f64 / (5 * tick) as f64) as i16
            } else {
                0
            };
        }
    }

    fn at(&self, index: usize) -> f64 {
        f64::from(self.samples[index])
    }

    fn repeated(&self, periods: usize, i: usize) -> f64 {
        let span = periods * self.period;
        let quarter = self.period / 4;
        let at = self.samples.len() - span + i;
        let sample = self.at(at);
        if i + quarter < span {
            return sample;
        }
        let faded = i + quarter - span;
        sample + (self.at(at - span) - sample) * (faded + 1) as f64 / (quarter + 1) as f64
    }

    fn first_periods(&self, k: usize) -> f64 {
        let sample = self.repeated(1, k % self.period);
        let quarter = self.period / 4;
        if k >= quarter {
            return sample;
        }
        let last = self.samples.len() - 1;
        let step = self.at(last) - self.at(last - self.period);
        sample + step * (quarter - k) as f64 / (quarter + 1) as f64
    }

    fn later_periods(&self, k: usize) -> f64 {
        let stage = if k < 2 * self.tick { 1 } else { 2 };
        let sample = self.stage_periods(stage, k);
        let since = k - stage * self.tick;
        let quarter = self.period / 4;
        if since >= quarter {
            return sample;
        }
        let before = self.stage_periods(stage - 1, k);
        before + (sample - before) * (since + 1) as f64 / (quarter + 1) as f64
    }

    fn stage_periods(&self, stage: usize, k: usize) -> f64 {
        let phase = k - stage * self.tick + (stage * self.tick) % self.period;
        self.repeated(stage + 1, phase % ((stage + 1) * self.period))
    }
}

fn fit_to_next(next: &[i16], period: usize, sample_rate: usize, pcm: &mut [i16]) {
    let fitted = pcm.len().min(MAX_FIT_TICKS * sample_rate / 100);
    let quarter = period / 4;
    let step = f64::from(next[0]) - f64::from(next[period]);
    let from = pcm.len() - fitted;
    for (i, out) in pcm[from..].iter_mut().enumerate() {
        let back = fitted - 1 - i;
        let mut sample = f64::from(next[period - 1 - back % period]);
        if back < quarter {
            sample += step * (quarter - back) as f64 / (quarter + 1) as f64;
        }
        let forward = f64::from(*out);
        *out = (forward + (sample - forward) * (i + 1) as f64 / (fitted + 1) as f64) as i16;
    }
}

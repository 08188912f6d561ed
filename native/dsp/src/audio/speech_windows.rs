//! Cuts a channel's audio into the windows of the network: `src/audio/neural/speech-windows.ts`.

use crate::silero::{CONTEXT, INPUT, KERNELS, Memory, RATE, WINDOW, Window};

const FULL_SCALE: f32 = 32768.0;
/// A gap of audio after which what the network remembers says nothing of what comes: one second.
const FORGET_SAMPLES: f64 = RATE as f64;

/// Zero crossings and cut-off of the kernels: `src/audio/resample.ts`.
const CROSSINGS: f64 = 16.0;
const CUTOFF: f64 = 0.92;

/// Input rate, and the step of the output in input samples: step / phases.
struct Decimation {
    rate: u32,
    step: usize,
    phases: usize,
}

const DECIMATIONS: [Decimation; 4] = [
    Decimation { rate: 12_000, step: 3, phases: 2 },
    Decimation { rate: 16_000, step: 2, phases: 1 },
    Decimation { rate: 24_000, step: 3, phases: 1 },
    Decimation { rate: 48_000, step: 6, phases: 1 },
];

fn taps(rate: u32) -> usize {
    2 * (CROSSINGS * f64::from(rate) / f64::from(RATE) / CUTOFF).ceil() as usize + 1
}

/// Floats of the packed weights.
pub fn packed_length() -> usize {
    DECIMATIONS.iter().fold(KERNELS, |at, ratio| at + (ratio.phases * taps(ratio.rate)).next_multiple_of(16))
}

#[derive(Debug)]
pub struct SpeechWindows {
    /// The window that is judged; absent while it waits for that.
    pub window: Option<Box<Window>>,
    /// Context, and what there is of the window at hand.
    next: [f32; INPUT],
    fill: usize,
    decimator: Option<Decimator>,
    samples_per_output: f64,
    position: f64,
    /// What the network remembers is to be forgotten.
    forgets: bool,
}

impl SpeechWindows {
    /// None for a rate that there is no kernel for.
    pub fn new(sample_rate: u32) -> Option<Self> {
        let decimator = if sample_rate == RATE { None } else { Some(Decimator::new(sample_rate)?) };
        Some(Self {
            window: Some(Box::default()),
            next: [0.0; INPUT],
            fill: CONTEXT,
            decimator,
            samples_per_output: f64::from(sample_rate) / f64::from(RATE),
            position: -1.0,
            forgets: false,
        })
    }

    /// Audio goes on at `position`, in samples of the channel. After a gap the window at hand starts again.
    pub fn seek(&mut self, position: f64) {
        let gap = position - self.position;
        if gap == 0.0 {
            return;
        }
        self.position = position;
        self.fill = CONTEXT;
        self.next[..CONTEXT].fill(0.0);
        if let Some(decimator) = &mut self.decimator {
            decimator.reset();
        }
        if gap < 0.0 || gap > FORGET_SAMPLES * self.samples_per_output {
            self.forgets = true;
        }
    }

    /// Takes samples up to the end of `pcm` or of a window, and returns the rest. is_complete() says which; the window
    /// must then be taken with complete().
    pub fn take<'a>(&mut self, packed: &[f32], pcm: &'a [i16]) -> &'a [i16] {
        let mut taken = 0;
        for &sample in pcm {
            if self.fill == INPUT {
                break;
            }
            taken += 1;
            let sample = f32::from(sample) / FULL_SCALE;
            match &mut self.decimator {
                None => self.push(sample),
                Some(decimator) => {
                    if decimator.add(sample) {
                        let output = decimator.output(packed);
                        self.push(output);
                    }
                }
            }
        }
        self.position += taken as f64;
        &pcm[taken..]
    }

    fn push(&mut self, sample: f32) {
        self.next[self.fill] = sample;
        self.fill += 1;
    }

    pub fn is_complete(&self) -> bool {
        self.fill == INPUT
    }

    /// Hands the collected window over for judgement, unless it is to be passed over, and begins the next one.
    pub fn complete(&mut self, is_judged: bool) -> Option<Box<Window>> {
        let mut window = if is_judged { self.window.take() } else { None };
        if let Some(window) = &mut window {
            window.input = self.next;
            if std::mem::take(&mut self.forgets) {
                window.memory = Memory::default();
            }
        }
        self.next.copy_within(WINDOW.., 0);
        self.fill = CONTEXT;
        window
    }
}

/// Brings audio to 8 kHz, sample by sample.
#[derive(Debug)]
struct Decimator {
    kernels: usize,
    taps: usize,
    step: usize,
    phases: usize,
    /// The last samples, twice, so that a whole kernel's worth of them always lies together.
    history: Vec<f32>,
    at: usize,
    /// Input samples until the next output sample, and its phase.
    wait: usize,
    phase: usize,
}

impl Decimator {
    fn new(sample_rate: u32) -> Option<Self> {
        let mut kernels = KERNELS;
        for ratio in &DECIMATIONS {
            let taps = taps(ratio.rate);
            if ratio.rate == sample_rate {
                let history = vec![0.0; 2 * taps];
                let Decimation { step, phases, .. } = *ratio;
                return Some(Self { kernels, taps, step, phases, history, at: 0, wait: taps.div_ceil(2), phase: 0 });
            }
            kernels += (ratio.phases * taps).next_multiple_of(16);
        }
        None
    }

    fn reset(&mut self) {
        self.history.fill(0.0);
        self.at = 0;
        self.wait = self.taps.div_ceil(2);
        self.phase = 0;
    }

    /// True when that makes an output sample possible.
    fn add(&mut self, sample: f32) -> bool {
        self.history[self.at] = sample;
        self.history[self.at + self.taps] = sample;
        self.at = if self.at + 1 == self.taps { 0 } else { self.at + 1 };
        self.wait -= 1;
        self.wait == 0
    }

    fn output(&mut self, packed: &[f32]) -> f32 {
        let kernel = &packed[self.kernels + self.phase * self.taps..][..self.taps];
        let history = &self.history[self.at..][..self.taps];
        let sum: f64 =
            kernel.iter().zip(history).fold(0.0, |sum, (&tap, &sample)| sum + f64::from(tap) * f64::from(sample));
        let phase = self.phase + self.step;
        self.wait = phase / self.phases;
        self.phase = phase % self.phases;
        sum as f32
    }
}

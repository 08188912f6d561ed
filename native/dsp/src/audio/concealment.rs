//! Loss concealment for G.711 and L16. The formula is in `src/audio/concealment.ts`.

#[derive(Debug)]
pub struct Concealment {
    /// Samples concealed since the last decoded ones, up to three times the history.
    made: usize,
    /// The last 20 ms that were decoded, oldest first.
    history: Box<[i16]>,
}

impl Concealment {
    pub fn new(sample_rate: u32) -> Self {
        Self { made: 0, history: vec![0; sample_rate as usize / 50].into() }
    }

    /// Keeps decoded samples as the history.
    pub fn keep(&mut self, pcm: &[i16]) {
        let length = self.history.len();
        let taken = pcm.len().min(length);
        self.history.copy_within(taken.., 0);
        self.history[length - taken..].copy_from_slice(&pcm[pcm.len() - taken..]);
        self.made = 0;
    }

    /// Fills `pcm` with concealment.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        let length = self.history.len();
        let (full, end) = (length / 2, 3 * length);
        let ramp = (end - full) as i32;
        let sounding = pcm.len().min(end - self.made);
        let (sounding, silent) = pcm.split_at_mut(sounding);
        for out in sounding {
            let k = self.made;
            let j = k % (2 * length);
            let sample = self.history[if j < length { length - 1 - j } else { j - length }];
            *out = if k < full { sample } else { (i32::from(sample) * (end - k) as i32 / ramp) as i16 };
            self.made += 1;
        }
        silent.fill(0);
    }
}

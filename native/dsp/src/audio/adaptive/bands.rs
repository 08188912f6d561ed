//! The filter bank: `src/audio/adaptive/bands.ts`.

use super::slot::{BLOCK, BLOCK_FILL, DECIMATION, ENERGY, SAMPLE_FILL, SAMPLE_SUM};
use super::{BANDS, BLOCK_SAMPLES};
use crate::silence::State;

/// Adds whole blocks to the band energies.
pub fn add_blocks(state: &mut State, blocks: &[[i16; BLOCK_SAMPLES]]) {
    let mut energies = [0u64; BANDS];
    for block in blocks {
        let [a, b, c, d, e, f, g, h] = block.map(|sample| i32::from(sample >> 3));
        let (ab, cd, ef, gh) = ((a + b, a - b), (c + d, c - d), (e + f, e - f), (g + h, g - h));
        let first = (ab.0 + cd.0, ab.0 - cd.0, ab.1 + cd.1, ab.1 - cd.1);
        let second = (ef.0 + gh.0, ef.0 - gh.0, ef.1 + gh.1, ef.1 - gh.1);
        let coefficients = [
            first.0 - second.0,
            first.1 - second.1,
            first.1 + second.1,
            first.3 + second.3,
            first.3 - second.3,
            first.2 - second.2,
            first.2 + second.2,
        ];
        for (energy, coefficient) in energies.iter_mut().zip(coefficients) {
            // At most 2^15 squared.
            *energy += u64::from((coefficient * coefficient) as u32);
        }
    }
    for (band, energy) in energies.into_iter().enumerate() {
        state[ENERGY + band] += energy as f64;
    }
}

/// Adds one sample. True when that completes a block, which has been added to the band energies then.
pub fn add_sample(state: &mut State, sample: i16) -> bool {
    let decimation = state[DECIMATION];
    let sum = state[SAMPLE_SUM] + f64::from(sample);
    let taken = state[SAMPLE_FILL] + 1.0;
    if taken < decimation {
        state[SAMPLE_FILL] = taken;
        state[SAMPLE_SUM] = sum;
        return false;
    }
    state[SAMPLE_FILL] = 0.0;
    state[SAMPLE_SUM] = 0.0;
    let fill = (state[BLOCK_FILL] as usize).min(BLOCK_SAMPLES - 1);
    state[BLOCK + fill] = (sum / decimation).trunc();
    if fill + 1 < BLOCK_SAMPLES {
        state[BLOCK_FILL] = (fill + 1) as f64;
        return false;
    }
    state[BLOCK_FILL] = 0.0;
    let block = std::array::from_fn(|i| state[BLOCK + i] as i16);
    add_blocks(state, &[block]);
    true
}

/// Adds a block of 8 · `decimation` samples.
pub fn add_wide_block(state: &mut State, pcm: &[i16], decimation: usize) {
    let mut block = [0; BLOCK_SAMPLES];
    for (sample, group) in block.iter_mut().zip(pcm.chunks_exact(decimation)) {
        // Truncates towards 0.
        *sample = (group.iter().map(|&one| i32::from(one)).sum::<i32>() / decimation as i32) as i16;
    }
    add_blocks(state, &[block]);
}

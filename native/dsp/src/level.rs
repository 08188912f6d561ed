//! Level of a frame: `src/media/level.ts`. Sums are whole numbers below 2^53, so both paths have the same bits.

const FULL_SCALE_SQUARED: f64 = 32768.0 * 32768.0;

/// Mean of the squared samples of full scale; 0 for no samples.
pub fn mean_square(pcm: &[i16]) -> f64 {
    if pcm.is_empty() {
        return 0.0;
    }
    energy(pcm) as f64 / (pcm.len() as f64 * FULL_SCALE_SQUARED)
}

/// Largest magnitude, 0 to 32768.
pub fn peak(pcm: &[i16]) -> i32 {
    let (mut low, mut high) = (0, 0);
    for &sample in pcm {
        low = sample.min(low);
        high = sample.max(high);
    }
    i32::from(high).max(-i32::from(low))
}

/// Sum of the squared samples.
pub fn energy(pcm: &[i16]) -> u64 {
    pcm.iter().map(|&sample| u64::from(i32::from(sample).pow(2) as u32)).sum()
}

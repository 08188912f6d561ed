//! The filter bank: `src/audio/adaptive/bands.ts`.

use super::slot::{
    BLOCK, BLOCK_FILL, DECIMATION, ENERGY, LOUDEST_PAIR, LOW_ENERGY, LOW_SUM, PAIR, SAMPLE_FILL, SAMPLE_SUM,
};
use super::{BANDS, BLOCK_SAMPLES};
use crate::silence::State;

/// What blocks add up to. All are whole numbers, so that the order does not matter.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    /// Squares of the first coefficient, which is no band, and of those of the bands.
    squares: [u64; 1 + BANDS],
    /// Of the first coefficient.
    low: i64,
    /// Energy of the loudest pair of blocks.
    loudest: u64,
}

/// Adds whole blocks to the band energies.
#[inline(always)]
pub fn add_blocks(state: &mut State, blocks: &[[i16; BLOCK_SAMPLES]]) {
    let mut pair = if state[PAIR] < 0.0 { None } else { Some(state[PAIR] as u64) };
    #[cfg(target_arch = "x86_64")]
    let sums = if pair.is_none() && blocks.len().is_multiple_of(2) {
        sum_pairs(blocks)
    } else {
        sum_blocks(blocks, &mut pair)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let sums = sum_blocks(blocks, &mut pair);
    state[LOW_ENERGY] += sums.squares[0] as f64;
    state[LOW_SUM] += sums.low as f64;
    for band in 0..BANDS {
        state[ENERGY + band] += sums.squares[1 + band] as f64;
    }
    state[PAIR] = pair.map_or(-1.0, |energy| energy as f64);
    let loudest = sums.loudest as f64;
    if loudest > state[LOUDEST_PAIR] {
        state[LOUDEST_PAIR] = loudest;
    }
}

/// `pair`: the energy of a block whose pair is still to come.
#[inline(always)]
fn sum_blocks(blocks: &[[i16; BLOCK_SAMPLES]], pair: &mut Option<u64>) -> Sums {
    let mut sums = Sums::default();
    for block in blocks {
        let [a, b, c, d, e, f, g, h] = block.map(|sample| i32::from(sample >> 3));
        let (ab, cd, ef, gh) = ((a + b, a - b), (c + d, c - d), (e + f, e - f), (g + h, g - h));
        let first = (ab.0 + cd.0, ab.0 - cd.0, ab.1 + cd.1, ab.1 - cd.1);
        let second = (ef.0 + gh.0, ef.0 - gh.0, ef.1 + gh.1, ef.1 - gh.1);
        let coefficients = [
            first.0 + second.0,
            first.0 - second.0,
            first.1 - second.1,
            first.1 + second.1,
            first.3 + second.3,
            first.3 - second.3,
            first.2 - second.2,
            first.2 + second.2,
        ];
        // Each at most 2^15 squared, and all eight together at most 2^30.
        let squares = coefficients.map(|coefficient| u64::from((coefficient * coefficient) as u32));
        for (sum, square) in sums.squares.iter_mut().zip(squares) {
            *sum += square;
        }
        sums.low += i64::from(coefficients[0]);
        let energy = squares[1..].iter().sum::<u64>();
        match pair.take() {
            None => *pair = Some(energy),
            Some(earlier) => sums.loudest = sums.loudest.max(earlier + energy),
        }
    }
    sums
}

/// The same for whole pairs, eight blocks at a time: element n of a vector is of block n, and every coefficient fits into
/// its 16 bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sum_pairs(blocks: &[[i16; BLOCK_SAMPLES]]) -> Sums {
    use std::arch::x86_64::*;

    // SAFETY: every x86-64 processor has SSE2; loads and stores need no alignment and stay within their arrays.
    unsafe {
        let low_half = _mm_set1_epi64x(0xffff_ffff);
        let mut squares = [_mm_setzero_si128(); 1 + BANDS];
        let mut low = _mm_setzero_si128();
        let mut loudest = 0;
        for group in blocks.chunks(8) {
            let mut rows = [_mm_setzero_si128(); 8];
            for (row, block) in rows.iter_mut().zip(group) {
                *row = _mm_srai_epi16::<3>(_mm_loadu_si128(block.as_ptr().cast()));
            }
            let coefficients = transform(transpose(rows));
            low = _mm_add_epi32(low, _mm_madd_epi16(coefficients[0], _mm_set1_epi16(1)));
            let mut pairs = _mm_setzero_si128();
            for (n, (sum, &coefficient)) in squares.iter_mut().zip(&coefficients).enumerate() {
                // Squares of two blocks: at most 2^31, which fits if the 32 bits are read without a sign.
                let square = _mm_madd_epi16(coefficient, coefficient);
                if n > 0 {
                    pairs = _mm_add_epi32(pairs, square);
                }
                *sum = _mm_add_epi64(*sum, _mm_and_si128(square, low_half));
                *sum = _mm_add_epi64(*sum, _mm_srli_epi64::<32>(square));
            }
            let mut energies = [0u32; 4];
            _mm_storeu_si128(energies.as_mut_ptr().cast(), pairs);
            loudest = energies.into_iter().fold(loudest, u32::max);
        }
        let mut lows = [0i32; 4];
        _mm_storeu_si128(lows.as_mut_ptr().cast(), low);
        Sums {
            squares: squares.map(|sum| {
                let mut halves = [0u64; 2];
                _mm_storeu_si128(halves.as_mut_ptr().cast(), sum);
                halves[0] + halves[1]
            }),
            low: lows.into_iter().map(i64::from).sum(),
            loudest: u64::from(loudest),
        }
    }
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i;

/// From a vector for each block to one for each sample.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(rows: [__m128i; 8]) -> [__m128i; 8] {
    use std::arch::x86_64::*;

    // SAFETY: every x86-64 processor has SSE2.
    unsafe {
        let low = |n: usize| _mm_unpacklo_epi16(rows[n], rows[n + 1]);
        let high = |n: usize| _mm_unpackhi_epi16(rows[n], rows[n + 1]);
        let (a, b, c, d) = (low(0), low(2), low(4), low(6));
        let (e, f, g, h) = (high(0), high(2), high(4), high(6));
        let fours = [
            (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d)),
            (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d)),
            (_mm_unpacklo_epi32(e, f), _mm_unpacklo_epi32(g, h)),
            (_mm_unpackhi_epi32(e, f), _mm_unpackhi_epi32(g, h)),
        ];
        std::array::from_fn(|n| {
            let (first, second) = fours[n / 2];
            if n % 2 == 0 { _mm_unpacklo_epi64(first, second) } else { _mm_unpackhi_epi64(first, second) }
        })
    }
}

/// The coefficients in the order of sum_blocks().
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transform([a, b, c, d, e, f, g, h]: [__m128i; 8]) -> [__m128i; 8] {
    use std::arch::x86_64::*;

    // SAFETY: every x86-64 processor has SSE2.
    let both = |x, y| unsafe { (_mm_add_epi16(x, y), _mm_sub_epi16(x, y)) };
    let (ab, cd, ef, gh) = (both(a, b), both(c, d), both(e, f), both(g, h));
    let (first0, first1) = both(ab.0, cd.0);
    let (first2, first3) = both(ab.1, cd.1);
    let (second0, second1) = both(ef.0, gh.0);
    let (second2, second3) = both(ef.1, gh.1);
    let (c0, c1) = both(first0, second0);
    let (c3, c2) = both(first1, second1);
    let (c4, c5) = both(first3, second3);
    let (c7, c6) = both(first2, second2);
    [c0, c1, c2, c3, c4, c5, c6, c7]
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

/// Blocks that are averaged before they are added up: more than a hop has.
const MOST_WIDE_BLOCKS: usize = 32;

/// Adds blocks of 8 · `decimation` samples, as many as there are in `pcm`, `most` at most and one at least. Returns how
/// many that was.
#[inline(always)]
pub fn add_wide_blocks(state: &mut State, pcm: &[i16], decimation: usize, most: usize) -> usize {
    let count = (pcm.len() / (BLOCK_SAMPLES * decimation)).min(most.clamp(1, MOST_WIDE_BLOCKS));
    let mut blocks = [[0; BLOCK_SAMPLES]; MOST_WIDE_BLOCKS];
    let blocks = &mut blocks[..count];
    // The usual rates, 16, 24 and 48 kHz: by a constant the compiler divides with vectors, and without a division.
    match decimation {
        2 => average::<2>(pcm, blocks.as_flattened_mut()),
        3 => average::<3>(pcm, blocks.as_flattened_mut()),
        6 => average::<6>(pcm, blocks.as_flattened_mut()),
        _ => average_any(pcm, decimation, blocks.as_flattened_mut()),
    }
    add_blocks(state, blocks);
    count
}

/// Truncates towards 0.
#[inline(always)]
fn average<const N: usize>(pcm: &[i16], averages: &mut [i16]) {
    for (average, group) in averages.iter_mut().zip(pcm.as_chunks::<N>().0) {
        *average = (group.iter().map(|&one| i32::from(one)).sum::<i32>() / N as i32) as i16;
    }
}

fn average_any(pcm: &[i16], decimation: usize, averages: &mut [i16]) {
    for (average, group) in averages.iter_mut().zip(pcm.chunks_exact(decimation)) {
        *average = (group.iter().map(|&one| i32::from(one)).sum::<i32>() / decimation as i32) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::stream::SILENCE_SLOTS;

    #[test]
    fn wide_blocks_are_added_by_many_as_one_by_one() {
        for decimation in [2, 3, 4, 6] {
            let pcm: Vec<i16> = (0..20 * 8 * decimation).map(|i| (i * i * 31 + i * 977) as i16).collect();
            let mut many = [0.0; SILENCE_SLOTS];
            many[PAIR] = -1.0;
            let mut one_by_one = many;
            assert_eq!(add_wide_blocks(&mut many, &pcm, decimation, 7), 7);
            assert_eq!(add_wide_blocks(&mut many, &pcm[7 * 8 * decimation..], decimation, 40), 13);
            for wide in pcm.chunks_exact(8 * decimation) {
                let mut block = [0; BLOCK_SAMPLES];
                average_any(wide, decimation, &mut block);
                add_blocks(&mut one_by_one, &[block]);
            }
            assert_eq!(many, one_by_one, "{decimation}");
        }
    }

    #[test]
    fn whole_pairs_add_up_to_the_same_in_vectors() {
        let mut word = 20_260_u32;
        let mut random = || {
            word ^= word << 13;
            word ^= word >> 17;
            word ^= word << 5;
            word as i16
        };
        for count in [2, 8, 10, 16, 20, 30, 48] {
            let blocks: Vec<_> = (0..count).map(|_| std::array::from_fn(|_| random())).collect();
            for blocks in [blocks, vec![[i16::MIN; 8]; count], vec![[i16::MAX; 8]; count]] {
                let mut pair = None;
                let sums = sum_blocks(&blocks, &mut pair);
                assert_eq!(pair, None);
                #[cfg(target_arch = "x86_64")]
                assert_eq!(sum_pairs(&blocks), sums);
                assert!(sums.loudest <= 1 << 31);
            }
        }
    }
}

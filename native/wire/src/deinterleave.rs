//! Separates the channels of interleaved samples, as JsDeinterleaver of
//! `src/sources/audiohook/protocol/deinterleave.ts` does.

/// Bytes that are processed at a time, a multiple of the mask's length. Each block is read as numbers that hold a sample
/// of each channel: of these loops the compiler makes vector instructions, which it does not of loops over bytes.
const BLOCK: usize = 32;
const HALF: usize = BLOCK / 2;

/// How samples lie in their source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// One channel, whatever its samples are.
    Mono,
    /// Two channels with samples of one byte.
    Pairs8,
    /// Two channels with samples of two bytes.
    Pairs16,
}

/// Writes the samples of each channel to memory of its own. Byte i of the source is XORed with byte i mod 4 of the mask
/// (RFC 6455 section 5.3). Each target has exactly the length of its channel; `second` is empty with `Mono`.
pub fn deinterleave(source: &[u8], mask: [u8; 4], layout: Layout, first: &mut [u8], second: &mut [u8]) {
    match layout {
        Layout::Mono => unmask(source, mask, first),
        Layout::Pairs8 => split::<1>(source, mask, first, second, split_bytes),
        Layout::Pairs16 => split::<2>(source, mask, first, second, split_words),
    }
}

fn unmask(source: &[u8], mask: [u8; 4], target: &mut [u8]) {
    let mut blocks = source.chunks_exact(BLOCK);
    let mut targets = target.chunks_exact_mut(BLOCK);
    for (block, target) in blocks.by_ref().zip(targets.by_ref()) {
        for i in 0..BLOCK {
            target[i] = block[i] ^ mask[i % 4];
        }
    }
    for (i, (byte, target)) in blocks.remainder().iter().zip(targets.into_remainder()).enumerate() {
        *target = byte ^ mask[i % 4];
    }
}

type Halves = ([u8; HALF], [u8; HALF]);

/// Samples of one byte.
#[inline(always)]
fn split_bytes(block: &[u8; BLOCK], mask: [u8; 4]) -> Halves {
    let masks = [[mask[0], mask[1]], [mask[2], mask[3]]].map(u16::from_le_bytes);
    let mut halves = ([0; HALF], [0; HALF]);
    for (i, pair) in block.as_chunks::<2>().0.iter().enumerate() {
        let pair = u16::from_le_bytes(*pair) ^ masks[i % 2];
        halves.0[i] = pair as u8;
        halves.1[i] = (pair >> 8) as u8;
    }
    halves
}

/// Samples of two bytes.
#[inline(always)]
fn split_words(block: &[u8; BLOCK], mask: [u8; 4]) -> Halves {
    let mask = u32::from_le_bytes(mask);
    let mut halves = ([0; HALF], [0; HALF]);
    let targets = halves.0.as_chunks_mut::<2>().0.iter_mut().zip(halves.1.as_chunks_mut::<2>().0);
    for ((first, second), pair) in targets.zip(block.as_chunks::<4>().0) {
        let pair = u32::from_le_bytes(*pair) ^ mask;
        *first = (pair as u16).to_le_bytes();
        *second = ((pair >> 16) as u16).to_le_bytes();
    }
    halves
}

#[inline(always)]
fn split<const SAMPLE: usize>(
    source: &[u8],
    mask: [u8; 4],
    first: &mut [u8],
    second: &mut [u8],
    split_block: impl Fn(&[u8; BLOCK], [u8; 4]) -> Halves,
) {
    let (blocks, rest) = source.as_chunks::<BLOCK>();
    let (firsts, first_rest) = first.as_chunks_mut::<HALF>();
    let (seconds, second_rest) = second.as_chunks_mut::<HALF>();
    for ((block, first), second) in blocks.iter().zip(firsts).zip(seconds) {
        (*first, *second) = split_block(block, mask);
    }
    let targets = first_rest.iter_mut().zip(second_rest);
    for (i, (first, second)) in targets.enumerate() {
        let at = i / SAMPLE * SAMPLE * 2 + i % SAMPLE;
        let (Some(one), Some(two)) = (rest.get(at), rest.get(at + SAMPLE)) else { break };
        *first = one ^ mask[at % 4];
        *second = two ^ mask[(at + SAMPLE) % 4];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x12, 0x80, 0xff, 0x07];

    fn masked(length: usize) -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> = (0..length).map(|i| (i * 37 + (i >> 8)) as u8).collect();
        let masked = plain.iter().enumerate().map(|(i, byte)| byte ^ MASK[i % 4]).collect();
        (plain, masked)
    }

    #[test]
    fn takes_any_number_of_samples_apart() {
        for count in (0..200).chain([1600, 1601]) {
            for (layout, sample) in [(Layout::Pairs8, 1), (Layout::Pairs16, 2)] {
                let (plain, source) = masked(count * sample * 2);
                let (mut first, mut second) = (vec![0; count * sample], vec![0; count * sample]);
                deinterleave(&source, MASK, layout, &mut first, &mut second);
                let pairs = || plain.chunks_exact(sample * 2);
                assert_eq!(first, pairs().flat_map(|pair| &pair[..sample]).copied().collect::<Vec<_>>(), "{count}");
                assert_eq!(second, pairs().flat_map(|pair| &pair[sample..]).copied().collect::<Vec<_>>(), "{count}");
            }
            let (plain, source) = masked(count);
            let mut only = vec![0; count];
            deinterleave(&source, MASK, Layout::Mono, &mut only, &mut []);
            assert_eq!(only, plain);
        }
    }
}

//! Separates the channels of interleaved samples, as JsDeinterleaver of
//! `src/sources/audiohook/protocol/deinterleave.ts` does.

/// Bytes that are processed at a time, which the compiler makes vector instructions of; a multiple of the mask's length.
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
        Layout::Pairs8 => split::<1>(source, mask, first, second),
        Layout::Pairs16 => split::<2>(source, mask, first, second),
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

fn split<const SAMPLE: usize>(source: &[u8], mask: [u8; 4], first: &mut [u8], second: &mut [u8]) {
    let mut blocks = source.chunks_exact(BLOCK);
    let mut firsts = first.chunks_exact_mut(HALF);
    let mut seconds = second.chunks_exact_mut(HALF);
    for ((block, first), second) in blocks.by_ref().zip(firsts.by_ref()).zip(seconds.by_ref()) {
        for i in 0..HALF {
            let at = i / SAMPLE * SAMPLE * 2 + i % SAMPLE;
            first[i] = block[at] ^ mask[at % 4];
            second[i] = block[at + SAMPLE] ^ mask[(at + SAMPLE) % 4];
        }
    }
    let rest = blocks.remainder();
    let targets = firsts.into_remainder().iter_mut().zip(seconds.into_remainder());
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

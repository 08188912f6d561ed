//! Uncompressed 16-bit PCM: `src/audio/codecs/l16.ts`. The caller sees to it that `bytes` is of an even length.

pub fn decode_l16(bytes: &[u8], pcm: &mut [i16]) {
    for (sample, pair) in pcm.iter_mut().zip(bytes.as_chunks().0) {
        *sample = i16::from_be_bytes(*pair);
    }
}

pub fn decode_l16_le(bytes: &[u8], pcm: &mut [i16]) {
    for (sample, pair) in pcm.iter_mut().zip(bytes.as_chunks().0) {
        *sample = i16::from_le_bytes(*pair);
    }
}

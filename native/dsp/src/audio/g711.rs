//! ITU-T G.711: `src/audio/codecs/g711.ts`.

#[inline(always)]
const fn expand_ulaw(code: u8) -> i16 {
    let bits = !code;
    let magnitude = ((((bits as i16 & 15) << 1) + 33) << ((bits >> 4) & 7)) - 33;
    if bits & 0x80 != 0 { -magnitude * 4 } else { magnitude * 4 }
}

#[inline(always)]
const fn expand_alaw(code: u8) -> i16 {
    let bits = code ^ 0x55;
    let interval = ((bits as i16 & 15) << 1) + 1;
    let magnitude = match (bits >> 4) & 7 {
        0 => interval,
        segment => (interval + 32) << (segment - 1),
    };
    if bits & 0x80 != 0 { magnitude * 8 } else { -magnitude * 8 }
}

const ULAW: [i16; 256] = table(true);
const ALAW: [i16; 256] = table(false);

const fn table(is_ulaw: bool) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = if is_ulaw { expand_ulaw(code as u8) } else { expand_alaw(code as u8) };
        code += 1;
    }
    samples
}

pub fn decode_pcmu(codes: &[u8], pcm: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has the instructions.
        return unsafe { expand_avx2::<true>(codes, pcm) };
    }
    look_up(&ULAW, codes, pcm);
}

pub fn decode_pcma(codes: &[u8], pcm: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has the instructions.
        return unsafe { expand_avx2::<false>(codes, pcm) };
    }
    look_up(&ALAW, codes, pcm);
}

/// With shifts of each channel by its own count, the compiler makes vectors of the formula, which beat the table.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn expand_avx2<const IS_ULAW: bool>(codes: &[u8], pcm: &mut [i16]) {
    for (sample, &code) in pcm.iter_mut().zip(codes) {
        *sample = if IS_ULAW { expand_ulaw(code) } else { expand_alaw(code) };
    }
}

fn look_up(table: &[i16; 256], codes: &[u8], pcm: &mut [i16]) {
    for (sample, &code) in pcm.iter_mut().zip(codes) {
        *sample = table[usize::from(code)];
    }
}

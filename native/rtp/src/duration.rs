//! How long the audio of a packet lasts: `src/rtp/packet-duration.ts`.

/// Codec ids of `src/core/codec.ts`.
const L16: f64 = 2.0;
const OPUS: f64 = 3.0;
const L16_LE: f64 = 4.0;

/// Ticks of the 48 kHz clock that Opus always has in 2.5 ms.
const OPUS_UNIT_TICKS: u32 = 120;
/// The longest packet, 120 ms (RFC 6716).
const MAX_OPUS_UNITS: u32 = 48;

/// In ticks of the RTP clock, which is that of the samples, or 48 kHz; 0 when the payload does not say.
pub fn packet_ticks(codec: f64, payload: &[u8]) -> f64 {
    if codec == OPUS {
        return opus_ticks(payload);
    }
    let is_wide = codec == L16 || codec == L16_LE;
    (if is_wide { payload.len() >> 1 } else { payload.len() }) as f64
}

/// RFC 6716 §3.1, §3.2.
fn opus_ticks(payload: &[u8]) -> f64 {
    let Some(&toc) = payload.first() else { return 0.0 };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => payload.get(1).map_or(0, |count| u32::from(count & 0x3f)),
    };
    let units = frames * frame_units(toc >> 3);
    if units <= MAX_OPUS_UNITS { f64::from(units * OPUS_UNIT_TICKS) } else { 0.0 }
}

/// Length of a frame in units of 2.5 ms, by configuration number (table 2).
fn frame_units(config: u8) -> u32 {
    match config {
        0..12 => [4, 8, 16, 24][usize::from(config & 3)],
        12..16 => [4, 8][usize::from(config & 1)],
        _ => 1 << (config & 3),
    }
}

//! One channel of Opus (RFC 6716) through libopus, as mono PCM; stereo packets are mixed down.

use std::ffi::{c_int, c_uchar};
use std::ptr::{self, NonNull};

use opusic_sys as ffi;

/// Frames of 2.5 ms, of which every duration is a multiple.
const UNITS_A_SECOND: usize = 400;
/// Longest stretch that libopus is asked to conceal at a time, as in the JavaScript path: 20 ms.
const MAX_CONCEALED_UNITS: usize = 8;
const MAX_FRAMES: usize = 48;

/// Samples that a packet decodes to at `sample_rate`; None when its framing breaks RFC 6716 §3.4.
pub fn packet_samples(packet: &[u8], sample_rate: u32) -> Option<usize> {
    let length = c_int::try_from(packet.len()).ok().filter(|&length| length > 0)?;
    let mut sizes = [0; MAX_FRAMES];
    // SAFETY: `packet` has `length` bytes, `sizes` space for the 48 frames that a packet has at most; null outputs are
    // skipped.
    let frames = unsafe {
        ffi::opus_packet_parse(
            packet.as_ptr(),
            length,
            ptr::null_mut(),
            ptr::null_mut(),
            sizes.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    (frames > 0).then(|| frames as usize * frame_samples(packet, sample_rate))
}

/// What libopus is in the middle of. Hybrid counts as SILK.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    None,
    Silk,
    Celt,
}

/// The first configuration (RFC 6716 table 2) that is CELT alone.
const FIRST_CELT_CONFIG: u8 = 16;

#[derive(Debug)]
pub struct OpusDecoder {
    state: NonNull<ffi::OpusDecoder>,
    sample_rate: u32,
    /// None before the first packet. Decides whether libopus takes what is missing from a packet's redundancy.
    mode: Mode,
}

// SAFETY: the state is one block of memory that nothing else points to.
unsafe impl Send for OpusDecoder {}

impl OpusDecoder {
    /// None for a rate that Opus does not have, or when there is no memory left.
    pub fn new(sample_rate: u32) -> Option<Self> {
        let mut error = 0;
        // SAFETY: any rate may be passed; an unknown one gives null.
        let state = unsafe { ffi::opus_decoder_create(sample_rate as c_int, 1, &mut error) };
        Some(Self { state: NonNull::new(state)?, sample_rate, mode: Mode::None })
    }

    /// Decodes a packet into `pcm`, which must be exactly as long as packet_samples() says. False when it is damaged.
    pub fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> bool {
        let decoded = self.call(Some(packet), pcm, false);
        // libopus changes its mode before it knows whether the frames are sound.
        if decoded || self.mode != Mode::None {
            self.mode = if packet[0] >> 3 >= FIRST_CELT_CONFIG { Mode::Celt } else { Mode::Silk };
        }
        decoded
    }

    /// Fills `pcm` with libopus's loss concealment, as src/audio/codecs/opus.ts does; silence before the first packet.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        let unit = self.unit();
        let mut rest = pcm;
        while !rest.is_empty() && self.mode != Mode::None {
            let units = (rest.len() / unit).min(MAX_CONCEALED_UNITS);
            if units == 0 {
                // Shorter than libopus can conceal: use the beginning of 2.5 ms, which are 120 samples at 48 kHz.
                let mut least = [0; 120];
                if self.call(None, &mut least[..unit], false) {
                    rest.copy_from_slice(&least[..rest.len()]);
                    return;
                }
                break;
            }
            // 20, 10, 5 or 2.5 ms: lengths that every mode of Opus can make.
            let (now, later) = rest.split_at_mut(unit << units.ilog2());
            if !self.call(None, now, false) {
                rest = now;
                break;
            }
            rest = later;
        }
        rest.fill(0);
    }

    /// Fills `pcm` in place of the samples that were lost before `next`: its in-band FEC (LBRR, RFC 6716 §2.1.7) where it
    /// has some, which covers one frame; concealment before that, or all of it. True when there was FEC.
    pub fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        let is_whole = pcm.len().is_multiple_of(self.unit());
        // libopus would conceal what exceeds one packet on its stack first; no packet is longer than 120 ms.
        let is_one = pcm.len() <= self.unit() * MAX_FRAMES;
        let has_fec = self.mode == Mode::Silk
            && is_whole
            && is_one
            && has_redundancy(next)
            && frame_samples(next, self.sample_rate) <= pcm.len()
            && self.call(Some(next), pcm, true);
        if !has_fec {
            self.conceal(pcm);
        }
        has_fec
    }

    /// One in the same state: it decodes all that follows as this one would. None when there is no memory left.
    pub fn duplicate(&self) -> Option<Self> {
        let mut copy = Self::new(self.sample_rate)?;
        copy.copy_from(self);
        Some(copy)
    }

    /// Becomes what `other`, a decoder of the same rate, is.
    pub fn copy_from(&mut self, other: &Self) {
        assert_eq!(self.sample_rate, other.sample_rate);
        // SAFETY: two states of one channel each, which are that long, are two blocks of memory, and hold no addresses but
        // those of constants.
        unsafe {
            ptr::copy_nonoverlapping(other.state.as_ptr().cast::<u8>(), self.state.as_ptr().cast(), state_bytes())
        }
        self.mode = other.mode;
    }

    /// Whether `other` would decode all that follows alike.
    pub fn is_same(&self, other: &Self) -> bool {
        // SAFETY: states of one channel are that long, and libopus clears them when it makes them.
        let bytes = |one: &Self| unsafe { std::slice::from_raw_parts(one.state.as_ptr().cast::<u8>(), state_bytes()) };
        self.mode == other.mode && bytes(self) == bytes(other)
    }

    pub fn samples_of(&self, packet: &[u8]) -> Option<usize> {
        packet_samples(packet, self.sample_rate)
    }

    fn unit(&self) -> usize {
        self.sample_rate as usize / UNITS_A_SECOND
    }

    /// True when libopus has filled `pcm` to its end.
    fn call(&mut self, packet: Option<&[u8]>, pcm: &mut [i16], redundancy: bool) -> bool {
        let data: *const c_uchar = packet.map_or(ptr::null(), <[u8]>::as_ptr);
        let length = packet.map_or(0, <[u8]>::len) as c_int;
        // SAFETY: the state is live, `data` null or `length` bytes, and `pcm` has space for the samples it is said to.
        let samples = unsafe {
            ffi::opus_decode(self.state.as_ptr(), data, length, pcm.as_mut_ptr(), pcm.len() as c_int, redundancy.into())
        };
        usize::try_from(samples) == Ok(pcm.len())
    }
}

impl Drop for OpusDecoder {
    fn drop(&mut self) {
        // SAFETY: made by opus_decoder_create, and not used after this.
        unsafe { ffi::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

/// Of a decoder of one channel.
fn state_bytes() -> usize {
    // SAFETY: any number of channels may be passed.
    unsafe { ffi::opus_decoder_get_size(1) as usize }
}

/// Samples of one frame of a packet, which must not be empty; a packet may have several.
fn frame_samples(packet: &[u8], sample_rate: u32) -> usize {
    assert!(!packet.is_empty());
    // SAFETY: reads the first byte, and there is one.
    unsafe { ffi::opus_packet_get_samples_per_frame(packet.as_ptr(), sample_rate as c_int) as usize }
}

fn has_redundancy(packet: &[u8]) -> bool {
    let Ok(length) = c_int::try_from(packet.len()) else { return false };
    // SAFETY: `packet` has `length` bytes; an empty or malformed one is an error.
    length > 0 && unsafe { ffi::opus_packet_has_lbrr(packet.as_ptr(), length) } == 1
}

//! Where everything lies in the shared memory: the same offsets as `src/ring/layout.ts`, `stream-table.ts`, `agent.ts`,
//! `src/shard/shard-data.ts` and `src/core/codec.ts`, which explain them. `tests/layout.rs` compares the two.

use std::mem::offset_of;

/// Compared with JavaScript's when a shard starts; a binary of another layout is refused.
pub const LAYOUT_VERSION: u32 = 8;

const _: () = assert!(cfg!(target_endian = "little"), "ring records are little-endian");

pub mod ring {
    pub const TAIL: usize = 0;
    pub const HEAD: usize = 128;
    pub const DATA: usize = 256;
}

pub const RECORD_ALIGN: usize = 8;

pub const fn align_record(length: usize) -> usize {
    length.next_multiple_of(RECORD_ALIGN)
}

/// The beginning of every record; in input rings the whole header.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Header {
    pub length: i32,
    pub kind: u8,
    pub channel: u8,
    pub codec: u8,
    pub flags: u8,
    pub stream: i32,
    pub payload_length: i32,
    /// CLOSE in output and recorder rings: records that the recorder ring refused.
    pub sequence: f64,
    pub timestamp: f64,
    pub position: f64,
    pub arrival_us: f64,
    /// LOST, MARK: duration; FRAME: sample count; EDGE: kind of silence.
    pub duration: i32,
    pub peak: i32,
}

/// The header of records in output and recorder rings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct OutputHeader {
    pub common: Header,
    pub mean_square: f64,
    pub processed_us: f64,
}

pub const HEADER_BYTES: usize = 56;
pub const OUTPUT_HEADER_BYTES: usize = 72;

const _: () = {
    assert!(offset_of!(Header, length) == 0);
    assert!(offset_of!(Header, kind) == 4);
    assert!(offset_of!(Header, channel) == 5);
    assert!(offset_of!(Header, codec) == 6);
    assert!(offset_of!(Header, flags) == 7);
    assert!(offset_of!(Header, stream) == 8);
    assert!(offset_of!(Header, payload_length) == 12);
    assert!(offset_of!(Header, sequence) == 16);
    assert!(offset_of!(Header, timestamp) == 24);
    assert!(offset_of!(Header, position) == 32);
    assert!(offset_of!(Header, arrival_us) == 40);
    assert!(offset_of!(Header, duration) == 48);
    assert!(offset_of!(Header, peak) == 52);
    assert!(size_of::<Header>() == HEADER_BYTES);
    assert!(offset_of!(OutputHeader, mean_square) == 56);
    assert!(offset_of!(OutputHeader, processed_us) == 64);
    assert!(size_of::<OutputHeader>() == OUTPUT_HEADER_BYTES);
    assert!(align_of::<OutputHeader>() <= RECORD_ALIGN);
};

pub mod kind {
    pub const PAD: u8 = 0;
    pub const PACKET: u8 = 1;
    pub const LOST: u8 = 2;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const FRAME: u8 = 5;
    pub const EDGE: u8 = 6;
    pub const MARK: u8 = 7;
    pub const LATE_PACKET: u8 = 8;
    pub const CORRECTION: u8 = 9;
    pub const PRE_ROLL: u8 = 10;
    pub const UPDATE: u8 = 11;
    pub const CODED_FRAME: u8 = 12;
}

pub mod flag {
    pub const DISCONTINUITY: u8 = 2;
    pub const SILENT: u8 = 4;
    pub const CONCEALED: u8 = 8;
    pub const DECODE_ERROR: u8 = 16;
    pub const LOST: u8 = 32;
    pub const NO_PCM: u8 = 64;
    pub const REPAIRED: u8 = 128;
}

/// Why a MARK's span has no audio, of those that concern a shard.
pub mod mark {
    pub const NOT_RECORDED: u8 = 3;
    pub const NO_PACKETS: u8 = 4;
    pub const NOT_SENT: u8 = 5;
}

pub mod codec {
    pub const PCMU: i32 = 0;
    pub const PCMA: i32 = 1;
    pub const L16: i32 = 2;
    pub const OPUS: i32 = 3;
    pub const L16_LE: i32 = 4;
}

/// An entry of the stream table.
pub mod stream {
    pub const STATE: usize = 0;
    pub const SHARD: usize = 4;
    pub const CODEC: usize = 8;
    pub const CLOCK_RATE: usize = 12;
    pub const SAMPLE_RATE: usize = 16;
    pub const CHANNELS: usize = 20;
    pub const WANTS: usize = 24;
    pub const DECODE_ERRORS: usize = 28;
    pub const RECORDER_REFUSED: usize = 32;
    pub const DETECTOR: usize = 36;
    pub const PRE_ROLL: usize = 40;
    pub const POST_ROLL: usize = 44;
    pub const SILENCE: usize = 128;
    pub const SILENCE_SLOTS: usize = 176;
    pub const BYTES: usize = 2944;
}

pub mod stream_state {
    pub const FREE: i32 = 0;
    pub const ASSIGNED: i32 = 1;
    pub const OPEN: i32 = 2;
}

pub mod want {
    pub const SPEECH_PCM: i32 = 1;
    pub const SILENT_PCM: i32 = 2;
    pub const RECORDING: i32 = 4;
    pub const ROLL: i32 = 8;
    pub const RECORDED_PACKETS: i32 = 16;
}

/// Words of an agent's control block.
pub mod agent_control {
    pub const AT_CURSOR: usize = 12;
    pub const AT_DEATHS: usize = 16;
    pub const BYTES: usize = 128;
}

/// Words of a shard's counter block.
pub mod shard_counters {
    pub const FRAMES: usize = 4;
    pub const DECODE_ERRORS: usize = 8;
    pub const CONCEALED: usize = 12;
    pub const POISONED: usize = 16;
    pub const RECORDER_REFUSED: usize = 20;
    pub const REJECTED: usize = 32;
    pub const RECOVERED_BY_FEC: usize = 36;
    pub const LATE_UNREPAIRED: usize = 40;
    pub const GAPS_GIVEN_UP: usize = 44;
    pub const WINDOWS_PASSED: usize = 48;
    pub const LATE_WAITING: usize = 52;
    pub const BYTES: usize = 128;
}

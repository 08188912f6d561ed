//! trunkline-rtp for Node. `native/addon.d.ts` declares the types.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use trunkline_dsp::layout::{HEADER_BYTES, Header, kind};
use trunkline_dsp::memory::{Memory, prefetch, use_large_pages};
use trunkline_dsp::ring::{Cursors, Place, Producer};
use trunkline_rtp::{CHANNEL_FIELDS, ChannelState, Channels, Columns, HISTORY_WORDS, Output, Payloads, Released, take};

use crate::socket_reader::PacketColumns;
use crate::{RingPlace, SharedBytes};

/// What JavaScript keeps, and this works on while it waits in take().
#[napi(object, object_to_js = false)]
pub struct RegularPacketsState {
    pub columns: PacketColumns,
    /// FIELD of `src/rtp/channel-state.ts`, for every channel.
    pub states: Float64Array,
    pub history: Int32Array,
    /// RingProducer.cursors of each shard's input ring.
    pub cursors: Vec<Int32Array>,
    /// For the rows that take() leaves to JavaScript: as many as there may be, after their count.
    pub left_rows: Int32Array,
}

/// `PRODUCER_CURSOR` of `src/ring/ring.ts`.
mod cursor {
    pub const TAIL: usize = 0;
    pub const HEAD: usize = 1;
    pub const WAITING: usize = 2;
    pub const LIMIT: usize = 3;
    pub const COUNT: usize = 4;
}

#[napi]
pub struct NativeRegularPackets {
    arena: std::ops::Range<usize>,
    state: RegularPacketsState,
    rings: Vec<Producer>,
    memory: SharedBytes,
}

#[napi]
impl NativeRegularPackets {
    /// `memory` is the whole shared memory of the engine; `arena` and `rings` lie in it.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        memory: SharedBytes,
        arena: RingPlace,
        rings: Vec<RingPlace>,
        state: RegularPacketsState,
    ) -> Result<Self> {
        // SAFETY: the array is kept as long as this, and every thread accesses it as the layout says.
        let shared = unsafe { Memory::new(memory.address, memory.length) }
            .ok_or_else(|| Error::from_reason("The shared memory does not begin at a multiple of 8."))?;
        let arena = arena.offset as usize..arena.offset as usize + arena.capacity as usize;
        let channels = state.states.len() / CHANNEL_FIELDS;
        let fits = arena.end <= memory.length
            && state.cursors.len() == rings.len()
            && state.cursors.iter().all(|cursors| cursors.len() == cursor::COUNT)
            && !state.left_rows.is_empty()
            && state.history.len() >= channels * HISTORY_WORDS
            && state.columns.are_equally_long();
        if !fits {
            return Err(Error::from_reason("The state of the packet path does not match this version of the addon."));
        }
        use_large_pages(state.states.as_ptr().cast(), size_of_val::<[f64]>(&state.states));
        use_large_pages(state.history.as_ptr().cast(), size_of_val::<[i32]>(&state.history));
        let rings = rings
            .iter()
            .map(|ring| Producer::new(shared, Place { offset: ring.offset as usize, capacity: ring.capacity as usize }))
            .collect();
        Ok(Self { arena, state, rings, memory })
    }

    /// Takes the regular packets in `count` rows from `first` on. Returns how many rows it has gone over.
    #[napi(catch_unwind)]
    pub fn take(&mut self, first: u32, count: u32) -> u32 {
        let Self { arena, state, rings, memory } = self;
        let columns = &state.columns;
        let columns = Columns {
            channel: &columns.channel,
            wire_sequence: &columns.wire_sequence,
            wire_timestamp: &columns.wire_timestamp,
            arrival_us: &columns.arrival_us,
            flags: &columns.flags,
            payload_offset: &columns.payload_offset,
            payload_length: &columns.payload_length,
        };
        // SAFETY: within the memory, as new() has checked, and the arena is accessed by this thread alone.
        let bytes = unsafe { std::slice::from_raw_parts(memory.address.add(arena.start), arena.len()) };
        let payloads = Payloads { bytes, offset: arena.start };
        // SAFETY: only this thread, which is in this call, accesses these arrays, and each is another array. A record
        // is CHANNEL_FIELDS numbers without padding.
        let (states, history, left_rows) = unsafe {
            let numbers = state.states.as_mut();
            let records = numbers.len() / CHANNEL_FIELDS;
            let states = std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast::<ChannelState>(), records);
            (states, state.history.as_mut(), state.left_rows.as_mut())
        };
        for (ring, cursors) in rings.iter_mut().zip(&state.cursors) {
            ring.set_cursors(Cursors { tail: cursors[cursor::TAIL] as u32, head: cursors[cursor::HEAD] as u32 });
        }
        let mut output = InputRings::new(rings, &state.cursors);
        let mut channels = Channels { states, history };
        let Some((left_count, left_rows)) = left_rows.split_first_mut() else { return 0 };
        let first = first as usize;
        let rows = first..first + count as usize;
        let progress = take(columns, rows, payloads, &mut channels, left_rows, &mut output);
        *left_count = progress.left as i32;
        for (ring, cursors) in rings.iter().zip(&mut state.cursors) {
            let Cursors { tail, head } = ring.cursors();
            // SAFETY: as above.
            let cursors = unsafe { cursors.as_mut() };
            cursors[cursor::TAIL] = tail as i32;
            cursors[cursor::HEAD] = head as i32;
        }
        progress.rows as u32
    }
}

/// The input rings of the shards: release.ts.
struct InputRings<'a> {
    rings: &'a mut [Producer],
    cursors: &'a [Int32Array],
    /// Whether no ring has reached its limit: ring-capacity.ts.
    is_ready: bool,
}

impl<'a> InputRings<'a> {
    fn new(rings: &'a mut [Producer], cursors: &'a [Int32Array]) -> Self {
        let is_ready = rings.iter().zip(cursors).all(|(ring, cursors)| is_below_limit(ring, cursors));
        Self { rings, cursors, is_ready }
    }
}

/// RingProducer.isBelowLimit.
fn is_below_limit(ring: &Producer, cursors: &[i32]) -> bool {
    cursors[cursor::LIMIT].wrapping_sub(ring.cursors().tail as i32) > 0
}

impl Output for InputRings<'_> {
    fn packet(&mut self, shard: usize, packet: &Released) -> bool {
        let Some(ring) = self.rings.get_mut(shard) else { return false };
        if !self.is_ready || self.cursors[shard][cursor::WAITING] != 0 {
            return false;
        }
        let length = HEADER_BYTES + packet.payload.len();
        let Some(space) = ring.claim(length) else { return false };
        let header = Header {
            length: length as i32,
            kind: kind::PACKET,
            channel: (packet.channel & 1) as u8,
            codec: packet.codec,
            flags: packet.flags,
            stream: (packet.channel >> 1) as i32,
            payload_length: packet.payload.len() as i32,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            position: packet.position,
            arrival_us: packet.arrival_us,
            ..Header::default()
        };
        write_header(space, header);
        space[HEADER_BYTES..length].copy_from_slice(packet.payload);
        ring.commit(length);
        self.is_ready = is_below_limit(ring, &self.cursors[shard]);
        true
    }

    fn prefetch<T>(&self, value: &T) {
        prefetch(value);
    }
}

fn write_header(space: &mut [u8], header: Header) {
    let (place, _) = space.split_at_mut(HEADER_BYTES);
    // SAFETY: HEADER_BYTES bytes that are borrowed here alone.
    unsafe { place.as_mut_ptr().cast::<Header>().write_unaligned(header) };
}

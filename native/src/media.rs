//! The reader of media frames for `src/native/media-reader.ts`, which has the types of what is exported.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use trunkline_dsp::media;

use crate::SharedBytes;

/// A connection's table of ids, as `src/sources/genesys/interaction-table.ts` keeps it. Read only while JavaScript waits in read().
#[napi]
pub struct NativeRoster {
    ids: Uint8Array,
    lengths: Uint8Array,
    buckets: Int16Array,
    flowing: Uint8Array,
}

#[napi]
impl NativeRoster {
    #[napi(constructor, catch_unwind)]
    pub fn new(ids: Uint8Array, lengths: Uint8Array, buckets: Int16Array, flowing: Uint8Array) -> Result<Self> {
        if !buckets.len().is_power_of_two() {
            return Err(Error::from_reason("A roster has a power of two of buckets."));
        }
        Ok(Self { ids, lengths, buckets, flowing })
    }
}

/// MediaPackets of `src/sources/genesys/protocol/media-reader.ts`.
#[napi(object, object_to_js = false)]
pub struct MediaPackets {
    pub end: Int32Array,
    pub slot: Uint8Array,
    pub channel: Int8Array,
    pub codec: Int8Array,
    pub sequence: Float64Array,
    pub timestamp: Float64Array,
    pub payload_offset: Int32Array,
    pub payload_length: Int32Array,
}

#[napi]
pub struct NativeMediaReader {
    arena: SharedBytes,
    packets: MediaPackets,
}

#[napi]
impl NativeMediaReader {
    /// `arena` is the whole shared memory of the engine.
    #[napi(constructor, catch_unwind)]
    pub fn new(arena: SharedBytes, packets: MediaPackets) -> Result<Self> {
        let most = packets.end.len();
        let lengths = [
            packets.slot.len(),
            packets.channel.len(),
            packets.codec.len(),
            packets.sequence.len(),
            packets.timestamp.len(),
            packets.payload_offset.len(),
            packets.payload_length.len(),
        ];
        if lengths.iter().any(|&length| length != most) {
            return Err(Error::from_reason("The arrays for packets differ in length."));
        }
        Ok(Self { arena, packets })
    }

    /// As MediaReader.read() there; the room for payloads begins at `at` and is three quarters of the bytes.
    #[napi(catch_unwind)]
    pub fn read(&mut self, bytes: &[u8], from: u32, to: u32, roster: &NativeRoster, at: u32, most: u32) -> Result<u32> {
        let (from, to, at) = (from as usize, to as usize, at as usize);
        let bytes = bytes.get(..to).filter(|bytes| from <= bytes.len());
        let bytes = bytes.ok_or_else(|| Error::from_reason("There are not so many bytes."))?;
        let room = (to - from) / 4 * 3;
        if self.arena.length.checked_sub(room).is_none_or(|last| at > last) {
            return Err(Error::from_reason("The room for payloads is not within the memory."));
        }
        // SAFETY: within the memory, and claimed from the arena by the caller, so that no other thread is there.
        let room = unsafe { std::slice::from_raw_parts_mut(self.arena.address.add(at), room) };
        let packets = &mut self.packets;
        // SAFETY: these arrays are the reader's own, and JavaScript, which reads them, waits for this call.
        let mut packets = unsafe {
            media::Packets {
                end: packets.end.as_mut(),
                slot: packets.slot.as_mut(),
                channel: packets.channel.as_mut(),
                codec: packets.codec.as_mut(),
                sequence: packets.sequence.as_mut(),
                timestamp: packets.timestamp.as_mut(),
                payload_offset: packets.payload_offset.as_mut(),
                payload_length: packets.payload_length.as_mut(),
            }
        };
        let NativeRoster { ids, lengths, buckets, flowing } = roster;
        let roster = media::Roster { ids, lengths, buckets, flowing };
        Ok(media::read(bytes, from, roster, room, at, most as usize, &mut packets) as u32)
    }
}

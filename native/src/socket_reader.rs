//! trunkline-wire for Node. `native/addon.d.ts` declares the types.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use trunkline_wire::{Columns, InteractionTable, Progress, Rows, read};

use crate::SharedBytes;

/// The columns of InteractionTable of `src/sources/genesys/interaction-table.ts`.
#[napi(object, object_to_js = false)]
pub struct InteractionColumns {
    pub id_bytes: Uint8Array,
    pub id_lengths: Uint8Array,
    pub buckets: Int16Array,
    pub flowing: Uint8Array,
    pub stream: Int32Array,
    pub channels: Uint8Array,
    pub codec: Uint8Array,
}

/// The interactions of one connection. Read only while JavaScript waits in NativeSocketReader.read().
#[napi]
pub struct NativeInteractionTable {
    columns: InteractionColumns,
}

#[napi]
impl NativeInteractionTable {
    #[napi(constructor, catch_unwind)]
    pub fn new(columns: InteractionColumns) -> Result<Self> {
        if !columns.buckets.len().is_power_of_two() {
            return Err(Error::from_reason("An interaction table needs a power of two of buckets."));
        }
        Ok(Self { columns })
    }
}

/// The columns of PacketColumns of `src/rtp/packet-columns.ts` that describe a packet as it arrived.
#[napi(object, object_to_js = false)]
pub struct PacketColumns {
    pub channel: Int32Array,
    pub wire_sequence: Float64Array,
    pub wire_timestamp: Float64Array,
    pub arrival_us: Float64Array,
    pub flags: Uint8Array,
    pub payload_offset: Int32Array,
    pub payload_length: Int32Array,
}

impl PacketColumns {
    pub(crate) fn are_equally_long(&self) -> bool {
        let rows = self.channel.len();
        let lengths = [
            self.wire_sequence.len(),
            self.wire_timestamp.len(),
            self.arrival_us.len(),
            self.flags.len(),
            self.payload_offset.len(),
            self.payload_length.len(),
        ];
        lengths.iter().all(|&length| length == rows)
    }
}

/// Indices into the numbers of a call, which `native/addon.d.ts` explains.
mod call {
    pub const FROM: usize = 0;
    pub const TO: usize = 1;
    pub const ROW: usize = 2;
    pub const MOST: usize = 3;
    pub const PAYLOAD_OFFSET: usize = 4;
    pub const ARRIVAL_US: usize = 5;
    pub const END: usize = 6;
    pub const LENGTH: usize = 7;
}

#[napi]
pub struct NativeSocketReader {
    memory: SharedBytes,
    columns: PacketColumns,
    call: Float64Array,
}

#[napi]
impl NativeSocketReader {
    /// `memory` is the whole shared memory of the engine.
    #[napi(constructor, catch_unwind)]
    pub fn new(memory: SharedBytes, columns: PacketColumns, call: Float64Array) -> Result<Self> {
        if !columns.are_equally_long() {
            return Err(Error::from_reason("The packet columns differ in length."));
        }
        if call.len() != call::LENGTH {
            return Err(Error::from_reason("The numbers of a call do not match this version of the addon."));
        }
        Ok(Self { memory, columns, call })
    }

    /// SocketReader.read() there, with its numbers in `call`. Returns how many rows it has filled.
    #[napi(catch_unwind)]
    pub fn read(&mut self, bytes: &[u8], table: &NativeInteractionTable) -> Result<u32> {
        let [from, to, row, most, offset] =
            [call::FROM, call::TO, call::ROW, call::MOST, call::PAYLOAD_OFFSET].map(|index| self.call[index] as usize);
        let arrival_us = self.call[call::ARRIVAL_US];
        let bytes = bytes.get(..to).filter(|bytes| from <= bytes.len());
        let bytes = bytes.ok_or_else(|| Error::from_reason("The buffer is shorter than the range to read."))?;
        // A payload is three quarters of its base64 text.
        let payload_bytes = (to - from) / 4 * 3;
        if self.memory.length.checked_sub(payload_bytes).is_none_or(|last| offset > last) {
            return Err(Error::from_reason("The payload memory does not lie within the shared memory."));
        }
        // SAFETY: within the memory, and claimed from the arena by the caller, so that no other thread accesses it.
        let payloads = unsafe { std::slice::from_raw_parts_mut(self.memory.address.add(offset), payload_bytes) };
        let columns = &mut self.columns;
        // SAFETY: only the main thread, which is in this call, accesses these arrays, and each is another array.
        let (mut columns, numbers) = unsafe {
            let columns = Columns {
                channel: columns.channel.as_mut(),
                wire_sequence: columns.wire_sequence.as_mut(),
                wire_timestamp: columns.wire_timestamp.as_mut(),
                arrival_us: columns.arrival_us.as_mut(),
                flags: columns.flags.as_mut(),
                payload_offset: columns.payload_offset.as_mut(),
                payload_length: columns.payload_length.as_mut(),
            };
            (columns, self.call.as_mut())
        };
        let ours = &table.columns;
        let table = InteractionTable {
            ids: &ours.id_bytes,
            id_lengths: &ours.id_lengths,
            buckets: &ours.buckets,
            flowing: &ours.flowing,
            stream: &ours.stream,
            channels: &ours.channels,
            codec: &ours.codec,
        };
        let rows = Rows { first: row, most, payload_offset: offset, arrival_us };
        let Progress { packets, end } = read(bytes, from, table, payloads, rows, &mut columns);
        numbers[call::END] = end as f64;
        Ok(packets as u32)
    }
}

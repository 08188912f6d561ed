//! The stream table: `src/ring/stream-table.ts`.

use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;

use crate::layout::stream;
use crate::memory::{Memory, use_large_pages};
use crate::silence::State;

/// Slots of a silence state that most frames use, rather than the minima of earlier times.
const USED_SLOTS: [Range<usize>; 3] = [0..24, 32..64, 120..176];

#[derive(Debug)]
pub struct StreamTable {
    memory: Memory,
    offset: usize,
    capacity: usize,
}

impl StreamTable {
    pub fn new(memory: Memory, offset: usize, capacity: usize) -> Self {
        use_large_pages(memory.address(offset, capacity * stream::BYTES, 128), capacity * stream::BYTES);
        Self { memory, offset, capacity }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn get(&self, stream: usize, field: usize) -> i32 {
        self.memory.word(self.at(stream, field)).load(SeqCst)
    }

    pub fn set(&self, stream: usize, field: usize, value: i32) {
        self.memory.word(self.at(stream, field)).store(value, SeqCst);
    }

    pub fn add(&self, stream: usize, field: usize, value: i32) {
        self.memory.word(self.at(stream, field)).fetch_add(value, SeqCst);
    }

    /// # Safety
    /// The stream must be this shard's: main writes none of this, and no other shard touches it.
    pub unsafe fn silence(&mut self, stream: usize, channel: usize) -> &mut State {
        assert!(channel < 2, "no channel {channel}");
        let offset = self.at(stream, stream::SILENCE) + channel * size_of::<State>();
        let address = self.memory.address(offset, size_of::<State>(), align_of::<State>()).cast::<State>();
        // SAFETY: in the memory, aligned, any bytes are f64s; the caller vouches that no other thread is there, and the
        // borrow of the table that this thread has no second one.
        unsafe { &mut *address }
    }

    /// Begins to fetch what the next packet of a channel will need.
    pub fn prefetch(&self, stream: usize, channel: usize) {
        if stream >= self.capacity || channel > 1 {
            return;
        }
        let entry = self.at(stream, 0);
        self.memory.prefetch(entry, 1);
        let state = entry + stream::SILENCE + channel * size_of::<State>();
        for slots in USED_SLOTS {
            self.memory.prefetch(state + slots.start * size_of::<f64>(), slots.len() * size_of::<f64>());
        }
    }

    fn at(&self, stream: usize, field: usize) -> usize {
        assert!(stream < self.capacity, "stream {stream} of {}", self.capacity);
        self.offset + stream * stream::BYTES + field
    }
}

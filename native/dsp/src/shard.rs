//! The work of a shard on a batch of records: `src/shard/js-backend.ts`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::desk::Desk;
use crate::layout::{agent_control, shard_counters};
use crate::memory::Memory;
use crate::ring::{Consumer, Place};
use crate::silence;

/// Returned by drain() when there is work but the next ring has no room for it.
pub const BLOCKED: i32 = -1;

/// A life that finds the record at hand at this many deaths skips it.
const POISON_DEATHS: i32 = 2;
/// Absolute offsets of a shard's places in the memory.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub control: usize,
    pub counters: usize,
    pub input: Place,
    pub output: Place,
    pub recorder: Option<Place>,
    pub table: usize,
    pub streams: usize,
    pub silence: silence::Settings,
}

pub struct Shard {
    memory: Memory,
    control: usize,
    input: Consumer,
    desk: Desk,
}

impl Shard {
    /// # Panics
    /// When a place does not lie within the memory, or two words of it are not aligned.
    pub fn new(memory: Memory, config: &Config) -> Self {
        memory.address(config.control, agent_control::BYTES, 128);
        memory.address(config.counters, shard_counters::BYTES, 128);
        Self {
            memory,
            control: config.control,
            input: Consumer::new(memory, config.input),
            desk: Desk::new(memory, config),
        }
    }

    /// Decoders anew for a stream that the last life of this shard had open. Its silence state goes on.
    pub fn reopen(&mut self, stream: usize) {
        self.desk.lanes.open(&self.desk.table, stream);
    }

    /// Takes up to `most` records. Returns how many it took, 0 for none, or BLOCKED. `now_us` is the engine's clock.
    ///
    /// # Panics
    /// When the input ring is in disorder. A panic over one record is caught here: the record is concealed and
    /// counted as poisoned, and if that panics as well its stream gets no more frames.
    pub fn drain(&mut self, most: u32, now_us: impl Fn() -> f64) -> i32 {
        self.desk.begin_batch();
        let mut blocked = self.desk.retry_recorder();
        let mut done = 0;
        while done < most && self.input.peek() {
            self.memory.word(self.control + agent_control::AT_CURSOR).store(self.input.cursor(), Relaxed);
            if !self.take(&now_us) {
                blocked = true;
                break;
            }
            self.input.release();
            done += 1;
        }
        if done == 0 && blocked { BLOCKED } else { done as i32 }
    }

    /// False when the output ring is full: the record stays where it is and is taken again.
    fn take(&mut self, now_us: &dyn Fn() -> f64) -> bool {
        let deaths = self.memory.word(self.control + agent_control::AT_DEATHS);
        let (input, desk) = (&self.input, &mut self.desk);
        let record = input.record();
        // What a panic leaves half done is unwind safe: claimed room is claimed again, and decoders are made anew.
        let attempt = |desk: &mut Desk, reopen: bool, is_poison: bool| {
            catch_unwind(AssertUnwindSafe(|| {
                if reopen {
                    desk.lanes.open(&desk.table, record.header.stream as usize);
                }
                desk.take(&record, input, is_poison, now_us)
            }))
        };
        let is_poison = deaths.load(SeqCst) >= POISON_DEATHS;
        let taken = attempt(desk, false, is_poison).or_else(|_| {
            desk.count(shard_counters::POISONED);
            attempt(desk, true, true)
        });
        if deaths.load(SeqCst) != 0 && !matches!(taken, Ok(false)) {
            // They are those of the record that a life begins with, and it is past.
            deaths.store(0, SeqCst);
            if is_poison {
                desk.count(shard_counters::POISONED);
            }
        }
        taken.unwrap_or_else(|_| {
            desk.lanes.close(record.header.stream as usize);
            true
        })
    }
}

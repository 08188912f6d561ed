//! Processes a shard's records batch by batch: `src/shard/js-backend.ts`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

use crate::config::Config;
use crate::layout::{agent_control, shard_counters};
use crate::memory::Memory;
use crate::record_check;
use crate::record_processor::RecordProcessor;
use crate::ring::Consumer;

/// Returned by drain() when there are records but the output ring is full.
pub const BLOCKED: i32 = -1;

/// A record at which the shard's thread has died this many times is not processed again.
const POISON_DEATHS: i32 = 2;

pub struct Shard {
    memory: Memory,
    control: usize,
    input: Consumer,
    processor: RecordProcessor,
}

impl Shard {
    /// # Panics
    /// When a part does not lie within the memory or is not aligned.
    pub fn new(memory: Memory, config: &Config) -> Self {
        memory.address(config.control, agent_control::BYTES, 128);
        memory.address(config.counters, shard_counters::BYTES, 128);
        Self {
            memory,
            control: config.control,
            input: Consumer::new(memory, config.input),
            processor: RecordProcessor::new(memory, config),
        }
    }

    /// Makes new decoders for a stream that was open when the last thread of this shard died. Its silence state is kept.
    pub fn reopen(&mut self, stream: usize) {
        self.processor.reopen(stream);
    }

    /// Processes up to `most` records. Returns how many it was, 0 for none, or BLOCKED. `now_us` is the engine's clock.
    ///
    /// A record that cannot be valid is skipped and counted as rejected. A panic over one record is caught here: the
    /// record is concealed and counted as poisoned, and if that panics as well its stream gets no more frames.
    pub fn drain(&mut self, most: u32, now_us: impl Fn() -> f64) -> i32 {
        self.processor.begin_batch();
        let mut blocked = self.processor.retry_recorder();
        let mut done = 0;
        while done < most {
            if !self.input.peek() {
                // No frame waits for the network.
                if self.processor.work_aside() {
                    continue;
                }
                break;
            }
            self.memory.word(self.control + agent_control::AT_CURSOR).store(self.input.cursor(), Relaxed);
            let is_whole = self.input.is_whole();
            if is_whole {
                self.input.prefetch();
                self.processor.prefetch(self.input.next_headers());
            }
            if !(is_whole && record_check::is_valid(&self.input.header(), self.processor.table.capacity())) {
                self.reject();
            } else if !self.take(&now_us) {
                blocked = true;
                break;
            }
            // Where the next record begins is known only behind a whole one.
            if is_whole {
                self.input.release()
            } else {
                self.input.skip_all()
            }
            done += 1;
        }
        // What follows looks at whether a reader sleeps: the cursors must be seen before that (`ring.rs`).
        fence(SeqCst);
        if done == 0 && blocked { BLOCKED } else { done as i32 }
    }

    /// Counts the current record as one that cannot be valid.
    fn reject(&mut self) {
        self.processor.count(shard_counters::REJECTED);
        self.memory.word(self.control + agent_control::AT_DEATHS).store(0, SeqCst);
    }

    /// False when the output ring is full: the record stays where it is and is taken again.
    fn take(&mut self, now_us: &dyn Fn() -> f64) -> bool {
        let deaths = self.memory.word(self.control + agent_control::AT_DEATHS);
        let (input, processor) = (&self.input, &mut self.processor);
        let record = input.record();
        // Unwind safe: space that was claimed is claimed again, and new decoders replace those in an unknown state.
        let attempt = |processor: &mut RecordProcessor, reopen: bool, is_poison: bool| {
            catch_unwind(AssertUnwindSafe(|| {
                if reopen {
                    processor.reopen(record.header.stream as usize);
                }
                processor.take(&record, is_poison, now_us)
            }))
        };
        let is_poison = deaths.load(SeqCst) >= POISON_DEATHS;
        let taken = attempt(processor, false, is_poison).or_else(|_| {
            processor.count(shard_counters::POISONED);
            attempt(processor, true, true)
        });
        if deaths.load(SeqCst) != 0 && !matches!(taken, Ok(false)) {
            // They counted the first record of this thread, which is done now.
            deaths.store(0, SeqCst);
            if is_poison {
                processor.count(shard_counters::POISONED);
            }
        }
        taken.unwrap_or_else(|_| processor.close(record.header.stream as usize))
    }
}

//! Decodes Opus again when a late packet has found its place: `src/shard/opus-repair.ts`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::kept_records::{KeptRecord, Kind, insert_late};
use crate::opus::OpusDecoder;

const WINDOW_US: f64 = 10_000_000.0;
const SNAPSHOT_SPACING_US: f64 = WINDOW_US / 4.0;
const SNAPSHOT_BYTES: usize = 20_480;
const RECORD_BYTES: usize = 128;
const MAX_CHANNEL_BYTES: usize = 1 << 20;
const MAX_REPAIR_BYTES: usize = 64 << 20;
const CREDIT_PER_RECORD: usize = 8;
const MAX_CREDIT: usize = 1_000;
const US_PER_REPAIR: f64 = 100.0;
const MAX_SHARD_CREDIT: f64 = 2_000.0;

/// Memory and time that the repairs of a shard share. One thread uses it.
pub struct RepairBudget {
    used_bytes: AtomicUsize,
    /// Late packets that wait to be decoded.
    waiting: AtomicUsize,
    /// Late packets that were given up with their gap.
    unrepaired: AtomicUsize,
    /// Bits of f64, as the next one.
    credit: AtomicU64,
    refilled_us: AtomicU64,
}

pub type Budget = Arc<RepairBudget>;

impl Default for RepairBudget {
    fn default() -> Self {
        Self {
            used_bytes: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            unrepaired: AtomicUsize::new(0),
            credit: AtomicU64::new(MAX_SHARD_CREDIT.to_bits()),
            refilled_us: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }
}

impl RepairBudget {
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Late packets given up since it was asked last.
    pub fn take_unrepaired(&self) -> usize {
        self.unrepaired.swap(0, Relaxed)
    }

    fn give_up(&self, records: &[KeptRecord]) {
        let waiting = records.iter().filter(|record| record.is_new).count();
        self.waiting.fetch_sub(waiting, Relaxed);
        self.unrepaired.fetch_add(waiting, Relaxed);
    }

    /// Time has passed until `now_us`.
    fn refill(&self, now_us: f64) {
        let refilled_us = f64::from_bits(self.refilled_us.load(Relaxed));
        let elapsed_us = (now_us - refilled_us).max(0.0);
        let credit = f64::from_bits(self.credit.load(Relaxed)) + elapsed_us / US_PER_REPAIR;
        self.credit.store(credit.min(MAX_SHARD_CREDIT).to_bits(), Relaxed);
        if elapsed_us > 0.0 || refilled_us == f64::INFINITY {
            self.refilled_us.store(now_us.to_bits(), Relaxed);
        }
    }

    /// Whether one more record may be decoded again now.
    fn take_credit(&self) -> bool {
        let credit = f64::from_bits(self.credit.load(Relaxed));
        if credit >= 1.0 {
            self.credit.store((credit - 1.0).to_bits(), Relaxed);
        }
        credit >= 1.0
    }
}

/// A decoder, and what the channel knows besides.
pub struct DecoderState {
    pub opus: OpusDecoder,
    /// Samples of the last packet that could be decoded.
    pub last_samples: usize,
}

impl DecoderState {
    fn duplicate(&self) -> Option<Self> {
        Some(Self { opus: self.opus.duplicate()?, last_samples: self.last_samples })
    }

    fn copy_from(&mut self, other: &Self) {
        self.opus.copy_from(&other.opus);
        self.last_samples = other.last_samples;
    }

    fn is_same(&self, other: &Self) -> bool {
        self.last_samples == other.last_samples && self.opus.is_same(&other.opus)
    }
}

/// What is decoded again is sent to.
pub trait RepairOutput {
    /// Whether the recorder takes a frame of that many samples now.
    fn has_space(&mut self, samples: usize) -> bool;
    /// Decodes the record, or what is lost there, with `line`, and sends what has changed. `next` follows it.
    fn redecode(&mut self, line: &mut DecoderState, record: &mut KeptRecord, next: Option<&KeptRecord>);
    /// Samples of a record, as the decoder stands.
    fn samples_of(&self, line: &DecoderState, record: &KeptRecord) -> usize;
}

struct Snapshot {
    state: DecoderState,
    /// Index of the record that it stands before.
    index: usize,
    since_us: f64,
    /// Arrival of the last lost packet between this copy and the next one.
    last_lost_us: f64,
}

/// The decoder that goes through the records again; it stands before `index`.
struct Again {
    state: DecoderState,
    index: usize,
}

pub struct OpusRepair {
    budget: Budget,
    records: Vec<KeptRecord>,
    snapshots: Vec<Snapshot>,
    bytes: usize,
    credit: usize,
    /// From the first record that is new or has moved, to behind the last.
    dirty: Option<(usize, usize)>,
    again: Option<Again>,
}

impl OpusRepair {
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            records: Vec::new(),
            snapshots: Vec::new(),
            bytes: 0,
            credit: MAX_CREDIT,
            dirty: None,
            again: None,
        }
    }

    /// A gap begins or goes on: called before anything is made up. Returns how many gaps had to be given up.
    pub fn begin_gap(&mut self, live: &DecoderState, now_us: f64) -> usize {
        let last = self.snapshots.last();
        if last.is_some_and(|last| now_us - last.since_us < SNAPSHOT_SPACING_US) {
            return 0;
        }
        let copy = if self.fits(SNAPSHOT_BYTES) { live.duplicate() } else { None };
        let Some(state) = copy else { return last.is_none().into() };
        let index = self.records.len();
        self.snapshots.push(Snapshot { state, index, since_us: now_us, last_lost_us: now_us });
        self.take(SNAPSHOT_BYTES);
        0
    }

    pub fn is_open(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// Whether late packets wait to be decoded.
    pub fn is_dirty(&self) -> bool {
        self.is_open() && self.dirty.is_some()
    }

    /// Keeps what the live decoder was given last. Returns how many gaps had to be given up.
    pub fn keep(&mut self, record: KeptRecord) -> usize {
        let Some(last) = self.snapshots.last_mut() else { return 0 };
        let now_us = record.arrival_us;
        if record.kind == Kind::Lost {
            last.last_lost_us = now_us;
        }
        self.take(bytes_of(&record));
        self.records.push(record);
        self.credit = (self.credit + CREDIT_PER_RECORD).min(MAX_CREDIT);
        self.budget.refill(now_us);
        let mut given_up = 0;
        while self.is_open() && !self.fits(0) {
            given_up += 1;
            self.drop_first();
        }
        while self.is_open() && self.is_over(now_us) {
            self.drop_first();
        }
        given_up
    }

    /// Takes a late packet. False when there is no place for it.
    pub fn insert(&mut self, late: KeptRecord) -> bool {
        if !self.is_open() {
            return false;
        }
        let Some(replaced) = insert_late(&mut self.records, late) else { return false };
        self.budget.waiting.fetch_add(1, Relaxed);
        let (start, count) = (replaced.start, replaced.count);
        let end = start + replaced.former.len();
        let shifted = |index: usize| index + count - (end - start);
        self.give_back(replaced.former.iter().map(bytes_of).sum());
        self.take(self.records[start..start + count].iter().map(bytes_of).sum());
        self.remove_snapshots(|index| index > start && index < end);
        for snapshot in &mut self.snapshots {
            if snapshot.index >= end && snapshot.index > start {
                snapshot.index = shifted(snapshot.index);
            }
        }
        let (mut from, mut to) = self.dirty.unwrap_or((usize::MAX, 0));
        if from != usize::MAX && from >= end {
            from = shifted(from);
        }
        if to > start {
            to = shifted(to);
        }
        if let Some(again) = self.again.take_if(|again| again.index > start) {
            to = to.max(shifted(again.index.max(end)) + 1);
        }
        // A lost packet in front of it may have its FEC now.
        let is_behind_lost = start > 0 && self.records[start - 1].kind == Kind::Lost;
        self.dirty = Some((from.min(start - usize::from(is_behind_lost)), to.max(start + count)));
        true
    }

    /// Decodes again what late packets have changed, as far as credit and the recorder's ring allow.
    pub fn advance(&mut self, live: &mut DecoderState, output: &mut dyn RepairOutput, must_finish: bool) {
        if !self.is_dirty() {
            return;
        }
        if self.again.is_none() {
            self.again = self.start(must_finish);
        }
        let Some(mut again) = self.again.take() else { return };
        while again.index < self.records.len() {
            if self.meets(&again) {
                self.dirty = None;
                return;
            }
            let (record, behind) = self.records[again.index..].split_first_mut().expect("an index of a record");
            let samples = output.samples_of(&again.state, record);
            if !output.has_space(samples) || !(must_finish || self.budget.take_credit()) {
                self.again = Some(again);
                return;
            }
            let was_new = record.is_new;
            output.redecode(&mut again.state, record, behind.first());
            if was_new && !record.is_new {
                self.budget.waiting.fetch_sub(1, Relaxed);
            }
            again.index += 1;
        }
        live.copy_from(&again.state);
        self.dirty = None;
    }

    pub fn close(&mut self) {
        self.again = None;
        self.budget.give_up(&self.records);
        self.snapshots.clear();
        self.records.clear();
        self.dirty = None;
        self.give_back(self.bytes);
    }

    /// Begins with the last copy in front of what has changed. None while there is no credit for it.
    fn start(&mut self, must_finish: bool) -> Option<Again> {
        let (dirty_from, _) = self.dirty?;
        let from = self.snapshots.iter().rfind(|snapshot| snapshot.index <= dirty_from)?;
        let cost = self.records.len() - from.index;
        if !must_finish && self.credit < cost.min(MAX_CREDIT) {
            return None;
        }
        let state = from.state.duplicate()?;
        let index = from.index;
        self.credit = self.credit.saturating_sub(cost);
        Some(Again { state, index })
    }

    /// Where `again` has come to a copy: brings it up to date. True when all that follows is right already.
    fn meets(&mut self, again: &Again) -> bool {
        let Some(snapshot) = self.snapshots.iter_mut().find(|snapshot| snapshot.index == again.index) else {
            return false;
        };
        if snapshot.state.is_same(&again.state) {
            return self.dirty.is_none_or(|(_, to)| again.index >= to);
        }
        snapshot.state.copy_from(&again.state);
        false
    }

    /// Whether the oldest gaps are too old, and none of their late packets waits to be decoded.
    fn is_over(&self, now_us: f64) -> bool {
        let end = self.snapshots.get(1).map_or(self.records.len(), |snapshot| snapshot.index);
        let is_old = self.snapshots.first().is_some_and(|first| now_us - first.last_lost_us > WINDOW_US);
        let at_work = self.again.as_ref().map_or(end, |again| again.index);
        is_old && self.dirty.map_or(usize::MAX, |(from, _)| from).min(at_work) >= end
    }

    /// Gives up everything before the second copy.
    fn drop_first(&mut self) {
        let Some(count) = self.snapshots.get(1).map(|snapshot| snapshot.index) else {
            self.close();
            return;
        };
        self.budget.give_up(&self.records[..count]);
        let gone: usize = self.records.drain(..count).map(|record| bytes_of(&record)).sum();
        self.give_back(gone);
        self.remove_snapshots(|index| index < count);
        for snapshot in &mut self.snapshots {
            snapshot.index -= count;
        }
        self.again = self.again.take().filter(|again| again.index >= count);
        if let Some(again) = &mut self.again {
            again.index -= count;
        }
        self.dirty =
            self.dirty.filter(|&(_, to)| to > count).map(|(from, to)| (from.saturating_sub(count), to - count));
    }

    fn remove_snapshots(&mut self, is_gone: impl Fn(usize) -> bool) {
        let before = self.snapshots.len();
        self.snapshots.retain(|snapshot| !is_gone(snapshot.index));
        self.give_back((before - self.snapshots.len()) * SNAPSHOT_BYTES);
    }

    fn fits(&self, bytes: usize) -> bool {
        self.bytes + bytes <= MAX_CHANNEL_BYTES && self.budget.used_bytes.load(Relaxed) + bytes <= MAX_REPAIR_BYTES
    }

    fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.used_bytes.fetch_add(bytes, Relaxed);
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.used_bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for OpusRepair {
    fn drop(&mut self) {
        self.close();
    }
}

fn bytes_of(record: &KeptRecord) -> usize {
    RECORD_BYTES + record.payload.len()
}

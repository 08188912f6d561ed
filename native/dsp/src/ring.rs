//! Single-producer single-consumer rings: `src/ring/ring.ts` and `link.ts`.
//!
//! "Announce the sleep, then look once more" in `src/ring/agent.ts` and `waiting.ts` is sound only if neither side's store
//! can pass its later load. JavaScript's Atomics see to that with each store. Here a cursor is stored with release order
//! alone, since a full barrier behind every record would wait until the record has left the processor's store buffer;
//! `Shard::drain` has one barrier behind all of its records.

mod recorder_link;

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Release, SeqCst};

use crate::layout::{HEADER_BYTES, Header, OUTPUT_HEADER_BYTES, OutputHeader, align_record, kind, ring};
use crate::memory::Memory;

pub use recorder_link::RecorderLink;

/// Where a ring lies: absolute offset of its header, bytes of its data (a power of two).
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub offset: usize,
    pub capacity: usize,
}

/// What producer and consumer have in common.
#[derive(Debug)]
struct Side {
    memory: Memory,
    place: Place,
}

impl Side {
    fn new(memory: Memory, place: Place) -> Self {
        let Place { offset, capacity } = place;
        assert!(capacity.is_power_of_two() && capacity >= 1024 && offset.is_multiple_of(128), "no ring: {place:?}");
        // Checked once for the whole ring: no part of it can lie outside later.
        memory.address(offset, ring::DATA + capacity, 128);
        Self { memory, place }
    }

    fn tail(&self) -> u32 {
        self.memory.word(self.place.offset + ring::TAIL).load(SeqCst) as u32
    }

    fn head(&self) -> u32 {
        self.memory.word(self.place.offset + ring::HEAD).load(SeqCst) as u32
    }

    fn index(&self, cursor: u32) -> usize {
        cursor as usize & (self.place.capacity - 1)
    }

    /// Address of the first of `bytes` bytes of data at `index`.
    fn data(&self, index: usize, bytes: usize) -> *mut u8 {
        assert!(bytes <= self.place.capacity - index, "a record of {bytes} bytes at {index} goes over the ring's end");
        self.memory.address(self.place.offset + ring::DATA + index, bytes, align_of::<Header>())
    }
}

/// One record of an input ring, claimed by the consumer.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub header: Header,
    pub payload: &'a [u8],
}

#[derive(Debug)]
pub struct Consumer {
    side: Side,
    head: u32,
    /// Last known tail; read again only when everything known has been consumed.
    tail: u32,
}

impl Consumer {
    pub fn new(memory: Memory, place: Place) -> Self {
        let side = Side::new(memory, place);
        let head = side.head();
        Self { side, head, tail: head }
    }

    /// Identifies the current record across a restart.
    pub fn cursor(&self) -> i32 {
        self.head as i32
    }

    /// Goes to the oldest record, over padding; false when there is none.
    pub fn peek(&mut self) -> bool {
        loop {
            if self.head == self.tail {
                self.tail = self.side.tail();
                if self.head == self.tail {
                    return false;
                }
            }
            // Padding may be no longer than its length and kind, so only these are read.
            let (length, kind) = self.prefix(self.head);
            // Padding reaches to the end of the ring; what does not is a record with a wrong kind.
            let to_end = (self.side.place.capacity - self.side.index(self.head)) as u32;
            if kind != kind::PAD || length != to_end || self.tail.wrapping_sub(self.head) < to_end {
                return true;
            }
            self.head = self.head.wrapping_add(to_end);
            self.side.memory.word(self.side.place.offset + ring::HEAD).store(self.head as i32, Release);
        }
    }

    /// Whether the length of the record that peek() went to leaves it within what is published, in one stretch.
    pub fn is_whole(&self) -> bool {
        self.is_whole_at(self.head, self.tail)
    }

    fn is_whole_at(&self, cursor: u32, tail: u32) -> bool {
        let (length, _) = self.prefix(cursor);
        let readable = (tail.wrapping_sub(cursor) as usize).min(self.side.place.capacity - self.side.index(cursor));
        (HEADER_BYTES..=readable).contains(&(length as usize)) && align_record(length as usize) <= readable
    }

    /// Header of the record that peek() went to, which must be whole.
    pub fn header(&self) -> Header {
        self.header_at(self.head)
    }

    /// The record that peek() went to. It must be whole, and its payload within it.
    pub fn record(&self) -> Record<'_> {
        assert!(self.head != self.tail, "there is no current record");
        self.record_at(self.head)
    }

    /// The headers of the two records behind the current one, which must be whole; None where that is not known yet.
    pub fn next_headers(&self) -> [Option<Header>; 2] {
        let next = self.behind(self.head);
        [next, next.and_then(|next| self.behind(next))].map(|cursor| cursor.map(|cursor| self.header_at(cursor)))
    }

    /// Where the whole record behind the whole one at `cursor` begins.
    fn behind(&self, cursor: u32) -> Option<u32> {
        let (length, _) = self.prefix(cursor);
        let next = cursor.wrapping_add(align_record(length as usize) as u32);
        (next != self.tail && self.is_whole_at(next, self.tail)).then_some(next)
    }

    /// Begins to fetch the third record behind the current one, if all are equally long, as they mostly are. Its lines were
    /// written by another core.
    pub fn prefetch(&self) {
        let (length, _) = self.prefix(self.head);
        let bytes = align_record(length as usize);
        let index = self.side.index(self.head.wrapping_add(3 * bytes as u32));
        let bytes = bytes.min(self.side.place.capacity - index);
        self.side.memory.prefetch(self.side.place.offset + ring::DATA + index, bytes);
    }

    /// Gives the current record back to the producer.
    pub fn release(&mut self) {
        let (length, _) = self.prefix(self.head);
        self.head = self.head.wrapping_add(align_record(length as usize) as u32);
        self.side.memory.word(self.side.place.offset + ring::HEAD).store(self.head as i32, Release);
    }

    /// Gives everything published so far back to the producer, without looking at it.
    pub fn skip_all(&mut self) {
        self.head = self.tail;
        self.side.memory.word(self.side.place.offset + ring::HEAD).store(self.head as i32, Release);
    }

    /// Length and kind of a published record or padding.
    fn prefix(&self, cursor: u32) -> (u32, u8) {
        let at = self.side.data(self.side.index(cursor), 8);
        // SAFETY: data() is aligned for these, and between head and tail only this consumer touches the ring.
        unsafe { (at.cast::<u32>().read(), at.add(4).read()) }
    }

    fn header_at(&self, cursor: u32) -> Header {
        let at = self.side.data(self.side.index(cursor), HEADER_BYTES);
        // SAFETY: as in prefix(); any bytes are a Header, and data() has checked that they all are in the ring.
        unsafe { at.cast::<Header>().read() }
    }

    fn record_at(&self, cursor: u32) -> Record<'_> {
        let index = self.side.index(cursor);
        let header = self.header_at(cursor);
        let length = usize::try_from(header.payload_length).expect("a payload of negative length");
        let payload = self.side.data(index, HEADER_BYTES + length).wrapping_add(HEADER_BYTES);
        // SAFETY: the record is published and not released while the consumer is borrowed, so nobody writes to it.
        let payload = unsafe { std::slice::from_raw_parts(payload, length) };
        Record { header, payload }
    }
}

/// With this part of the capacity before the current batch, all of it consumed, the ring begins again; see `ring.ts`.
const EARLY_PART: usize = 4;

/// How far a producer has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cursors {
    /// Behind the last record that was committed.
    pub tail: u32,
    /// The consumer's, as known last.
    pub head: u32,
}

#[derive(Debug)]
pub struct Producer {
    side: Side,
    /// The producer's own cursor. It runs ahead of the shared tail until publish().
    tail: u32,
    published: u32,
    /// Last known head; read again only when the ring looks full.
    head: u32,
}

impl Producer {
    pub fn new(memory: Memory, place: Place) -> Self {
        let side = Side::new(memory, place);
        let (tail, head) = (side.tail(), side.head());
        Self { side, tail, published: tail, head }
    }

    /// Its own cursor and what it knows of the head. A producer can be given those of another one of the same ring, which
    /// is not used meanwhile: it then continues where that one stopped.
    pub fn cursors(&self) -> Cursors {
        Cursors { tail: self.tail, head: self.head }
    }

    pub fn set_cursors(&mut self, Cursors { tail, head }: Cursors) {
        assert!(tail.wrapping_sub(head) as usize <= self.side.place.capacity, "cursors of another ring");
        (self.tail, self.head) = (tail, head);
    }

    /// The largest record that a claim can ever get.
    pub fn max_record_bytes(&self) -> usize {
        self.side.place.capacity / 2
    }

    /// Space for one record of at most `length` bytes, or None when the ring is full or too small for it.
    /// Claiming again without commit gives the same space back.
    pub fn claim(&mut self, length: usize) -> Option<&mut [u8]> {
        let capacity = self.side.place.capacity;
        let needed = align_record(length);
        if needed > self.max_record_bytes() {
            return None;
        }
        let index = self.side.index(self.tail);
        let to_end = capacity - index;
        let total = if needed > to_end { to_end + needed } else { needed };
        if self.free() < total {
            self.head = self.side.head();
            if self.free() < total {
                return None;
            }
        }
        if needed > to_end {
            self.pad(index);
        }
        let at = self.side.data(self.side.index(self.tail), needed);
        // SAFETY: as above, and the slice borrows the producer, so there is no other one over this space.
        Some(unsafe { std::slice::from_raw_parts_mut(at, needed) })
    }

    /// Begins to fetch the memory of the record behind one of `bytes` bytes, which the consumer's core has read last.
    pub fn prefetch(&self, bytes: usize) {
        let bytes = align_record(bytes);
        let index = self.side.index(self.tail.wrapping_add(bytes as u32));
        let bytes = bytes.min(self.side.place.capacity - index);
        self.side.memory.prefetch_to_write(self.side.place.offset + ring::DATA + index, bytes);
    }

    /// Fills the ring from `index`, where the next record would begin, to its end.
    fn pad(&mut self, index: usize) {
        let to_end = self.side.place.capacity - index;
        let pad = self.side.data(index, 8);
        // SAFETY: aligned, and free: between tail and head only this producer touches the ring.
        unsafe {
            pad.cast::<u32>().write(to_end as u32);
            pad.add(4).write(kind::PAD);
        }
        self.tail = self.tail.wrapping_add(to_end as u32);
    }

    fn free(&self) -> usize {
        self.side.place.capacity - self.tail.wrapping_sub(self.head) as usize
    }

    /// Bytes that can still be committed, as of now.
    pub fn free_bytes(&mut self) -> usize {
        self.head = self.side.head();
        self.free()
    }

    /// Ends the record that the last claim gave, `length` bytes long; not yet visible.
    pub fn commit(&mut self, length: usize) {
        let at = self.side.data(self.side.index(self.tail), length);
        // SAFETY: aligned, and the space is claimed.
        unsafe { at.cast::<u32>().write(length as u32) };
        self.tail = self.tail.wrapping_add(align_record(length) as u32);
    }

    /// Makes every committed record visible to the consumer.
    pub fn publish(&mut self) {
        let index = self.side.index(self.tail);
        let batch = self.tail.wrapping_sub(self.published) as usize;
        if batch > 0 && index >= batch + self.side.place.capacity / EARLY_PART {
            self.head = self.side.head();
            if self.head == self.published {
                self.pad(index);
            }
        }
        self.side.memory.word(self.side.place.offset + ring::TAIL).store(self.tail as i32, Release);
        self.published = self.tail;
    }
}

/// Splits claimed space into the header of an output record and the space for its payload.
pub fn split_space(space: &mut [u8]) -> (&mut OutputHeader, &mut [u8]) {
    let (header, payload) = space.split_at_mut(OUTPUT_HEADER_BYTES);
    let header = header.as_mut_ptr().cast::<OutputHeader>();
    assert!(header.is_aligned(), "space that does not come from a ring");
    // SAFETY: of the right length, aligned, any bytes are a header, and borrowed from `space` alone.
    (unsafe { &mut *header }, payload)
}

/// The first `count` samples in space for a payload.
pub fn samples_mut(payload: &mut [u8], count: usize) -> &mut [i16] {
    // SAFETY: any two bytes are a sample.
    let (unaligned, samples, _) = unsafe { payload.align_to_mut::<i16>() };
    assert!(unaligned.is_empty(), "space that does not come from a ring");
    &mut samples[..count]
}

/// A producer that never blocks: data is refused when the ring is full, control records wait and go first.
#[derive(Debug)]
pub struct Link {
    ring: Producer,
    waiting: VecDeque<Box<[u8]>>,
}

impl Link {
    pub fn new(memory: Memory, place: Place) -> Self {
        Self { ring: Producer::new(memory, place), waiting: VecDeque::new() }
    }

    /// As data(), but the consumer sees it with the next record only.
    pub fn put(&mut self, record: &[u8]) -> bool {
        self.waiting.is_empty() && Self::send(&mut self.ring, record)
    }

    /// A control record that is sent in front of the next one.
    pub fn queue(&mut self, record: &[u8]) {
        self.waiting.push_back(record.into());
    }

    pub fn capacity(&self) -> usize {
        self.ring.side.place.capacity
    }

    pub fn free_bytes(&mut self) -> usize {
        self.ring.free_bytes()
    }

    /// Whether data of `length` bytes would be taken now.
    pub fn has_space(&mut self, length: usize) -> bool {
        self.waiting.is_empty() && self.ring.claim(length).is_some()
    }

    /// False when the ring is full or a control record waits.
    pub fn data(&mut self, record: &[u8]) -> bool {
        let sent = self.waiting.is_empty() && Self::send(&mut self.ring, record);
        if sent {
            self.ring.publish();
        }
        sent
    }

    /// As data(), for a record whose header and payload lie apart.
    pub fn parts(&mut self, header: &[u8], payload: &[u8]) -> bool {
        let length = header.len() + payload.len();
        let Some(space) = self.ring.claim(length).filter(|_| self.waiting.is_empty()) else { return false };
        space[..header.len()].copy_from_slice(header);
        space[header.len()..length].copy_from_slice(payload);
        self.ring.commit(length);
        self.ring.publish();
        true
    }

    pub fn control(&mut self, record: &[u8]) {
        self.waiting.push_back(record.into());
        self.retry();
    }

    pub fn retry(&mut self) {
        while let Some(record) = self.waiting.front() {
            if !Self::send(&mut self.ring, record) {
                break;
            }
            self.waiting.pop_front();
        }
        self.ring.publish();
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn send(ring: &mut Producer, record: &[u8]) -> bool {
        let Some(space) = ring.claim(record.len()) else { return false };
        space[..record.len()].copy_from_slice(record);
        ring.commit(record.len());
        true
    }
}

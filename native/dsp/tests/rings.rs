//! The rings, against a queue, and between two threads.

use std::collections::VecDeque;
use std::thread;

use trunkline_dsp::layout::{HEADER_BYTES, kind, ring};
use trunkline_dsp::memory::Memory;
use trunkline_dsp::ring::{Consumer, Link, Place, Producer};

/// Memory of the test's own, aligned as a SharedArrayBuffer's is, freed at the end.
struct Block {
    words: *mut [u64],
}

impl Block {
    fn new(bytes: usize) -> Self {
        Self { words: Box::into_raw(vec![0_u64; bytes / 8].into_boxed_slice()) }
    }

    fn memory(&self) -> Memory {
        // SAFETY: the block outlives the rings of its test, and only they use it.
        unsafe { Memory::new(self.words.cast(), self.words.len() * 8) }.unwrap()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: from Box::into_raw, and the rings are gone.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

const PLACE: Place = Place { offset: 128, capacity: 2048 };
const BYTES: usize = PLACE.offset + ring::DATA + PLACE.capacity;

fn put(producer: &mut Producer, number: u32, length: usize) -> bool {
    let Some(space) = producer.claim(HEADER_BYTES + length) else { return false };
    space[..HEADER_BYTES].fill(0);
    space[4] = kind::PACKET;
    space[8..12].copy_from_slice(&number.to_le_bytes());
    space[12..16].copy_from_slice(&(length as u32).to_le_bytes());
    space[HEADER_BYTES..][..length].fill(number as u8);
    producer.commit(HEADER_BYTES + length);
    true
}

fn take(consumer: &mut Consumer) -> Option<(u32, usize)> {
    if !consumer.peek() {
        return None;
    }
    let record = consumer.record();
    assert!(record.payload.iter().all(|&byte| byte == record.header.stream as u8));
    let found = (record.header.stream as u32, record.payload.len());
    consumer.release();
    Some(found)
}

fn random(state: &mut u32, limit: u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state % limit
}

#[test]
fn a_ring_is_a_queue() {
    for seed in 1..=5 {
        let block = Block::new(BYTES);
        // Cursors wrap at 2^32, so begin shortly before.
        for word in [ring::TAIL, ring::HEAD] {
            block.memory().word(PLACE.offset + word).store(-4096, std::sync::atomic::Ordering::SeqCst);
        }
        let mut producer = Producer::new(block.memory(), PLACE);
        let mut consumer = Consumer::new(block.memory(), PLACE);
        let (mut published, mut committed) = (VecDeque::new(), VecDeque::new());
        let mut state = seed;
        for number in 0..if cfg!(miri) { 60 } else { 5_000 } {
            let length = random(&mut state, 700) as usize;
            if put(&mut producer, number, length) {
                committed.push_back((number, length));
            } else {
                assert!(!published.is_empty() || !committed.is_empty(), "seed {seed}: an empty ring refused {length}");
            }
            if random(&mut state, 3) == 0 {
                producer.publish();
                published.append(&mut committed);
            }
            for _ in 0..random(&mut state, 4) {
                assert_eq!(take(&mut consumer), published.pop_front(), "seed {seed} at {number}");
            }
        }
    }
}

#[test]
fn a_record_larger_than_half_the_ring_is_never_given_space() {
    let block = Block::new(BYTES);
    let mut producer = Producer::new(block.memory(), PLACE);
    assert!(producer.claim(PLACE.capacity / 2 + 1).is_none());
    assert!(producer.claim(PLACE.capacity / 2).is_some());
}

#[test]
fn two_threads_pass_every_record_on_in_order() {
    let block = Block::new(BYTES);
    let count = if cfg!(miri) { 100 } else { 200_000 };
    let (mut producer, mut consumer) = (Producer::new(block.memory(), PLACE), Consumer::new(block.memory(), PLACE));
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut state = 7;
            for number in 0..count {
                let length = random(&mut state, 200) as usize;
                while !put(&mut producer, number, length) {
                    thread::yield_now();
                }
                producer.publish();
            }
        });
        let mut state = 7;
        for number in 0..count {
            let length = random(&mut state, 200) as usize;
            let found = loop {
                match take(&mut consumer) {
                    Some(found) => break found,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(found, (number, length));
        }
    });
}

/// As on the main thread: one of them publishes, and the other is given its cursors whenever it has something to write.
#[test]
fn two_producers_that_hand_their_cursors_on_are_one() {
    let block = Block::new(BYTES);
    let count = if cfg!(miri) { 100 } else { 200_000 };
    let (mut publisher, mut writer) = (Producer::new(block.memory(), PLACE), Producer::new(block.memory(), PLACE));
    let mut consumer = Consumer::new(block.memory(), PLACE);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut state, mut turns) = (7, 11);
            for number in 0..count {
                let length = random(&mut state, 200) as usize;
                loop {
                    let is_written = if random(&mut turns, 2) == 0 {
                        writer.set_cursors(publisher.cursors());
                        let is_written = put(&mut writer, number, length);
                        // A claim that is refused may have padded the ring.
                        publisher.set_cursors(writer.cursors());
                        is_written
                    } else {
                        put(&mut publisher, number, length)
                    };
                    if !is_written || random(&mut turns, 3) == 0 {
                        publisher.publish();
                    }
                    if is_written {
                        break;
                    }
                    thread::yield_now();
                }
            }
            publisher.publish();
        });
        let mut state = 7;
        for number in 0..count {
            let length = random(&mut state, 200) as usize;
            let found = loop {
                match take(&mut consumer) {
                    Some(found) => break found,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(found, (number, length));
        }
    });
}

#[test]
fn a_link_lets_control_records_wait_and_refuses_data_behind_them() {
    let block = Block::new(BYTES);
    let mut link = Link::new(block.memory(), PLACE);
    let mut consumer = Consumer::new(block.memory(), PLACE);
    let record = |number: u8| {
        let mut bytes = vec![0; 1_000];
        (bytes[4], bytes[8]) = (kind::FRAME, number);
        bytes
    };
    assert!(link.data(&record(1)));
    assert!(link.data(&record(2)));
    assert!(!link.data(&record(3)));
    link.control(&record(4));
    assert!(link.has_waiting());
    assert_eq!(consumer.peek().then(|| consumer.record().header.stream), Some(1));
    consumer.release();
    assert!(!link.data(&record(5)), "data must not pass a control record that waits");
    link.retry();
    assert!(!link.has_waiting());
    for expected in [2, 4] {
        assert_eq!(consumer.peek().then(|| consumer.record().header.stream), Some(expected));
        consumer.release();
    }
    assert!(!consumer.peek());
}

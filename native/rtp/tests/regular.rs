//! What makes a packet regular. That all which it changes is right, `test/engine/input/regular-packets.test.ts` shows,
//! which compares it with JavaScript.

use trunkline_rtp::{ChannelState, Channels, Columns, HISTORY_WORDS, Output, Payloads, Progress, Released, take};

const TICKS: f64 = 160.0;
const PACKET_US: f64 = 20_000.0;
const PAYLOADS_AT: usize = 4_096;

/// A channel of PCMU in the middle of a call: number 65,535 was the last one, so that the next one wraps.
fn running() -> ChannelState {
    let (timestamp, arrival_us) = (1_600.0, 1_000_000.0);
    let delay_us = arrival_us - timestamp * 125.0;
    ChannelState {
        open: 1.0,
        epoch: 1.0,
        clock_rate: 8_000.0,
        us_per_tick: 125.0,
        ticks_per_us: 0.008,
        sequence_modulus: 65_536.0,
        sequence_newest: 65_535.0,
        timestamp_modulus: 4_294_967_296.0,
        timestamp_newest: timestamp,
        phase: 1.0,
        highest: 65_535.0,
        highest_timestamp: timestamp,
        packet_ticks: TICKS,
        transit_us: delay_us,
        clock_window_end_us: 2e6,
        delay_us,
        arrival_us,
        shortest_us: delay_us,
        window_end_us: 2e6,
        released_epoch: 1.0,
        next_sequence: 65_536.0,
        first_missing: 65_536.0,
        until_block: 60.0,
        released_timestamp: timestamp,
        started: 1.0,
        reached: timestamp,
        packet_end: timestamp + TICKS,
        floor: timestamp + TICKS,
        quality_window_end_us: 2e6,
        ..ChannelState::default()
    }
}

/// A row of the columns.
#[derive(Clone, Copy)]
struct Row {
    channel: i32,
    sequence: f64,
    timestamp: f64,
    arrival_us: f64,
    flags: u8,
    at: i32,
    length: i32,
}

/// The packet that follows in running().
const NEXT: Row = Row {
    channel: 0,
    sequence: 0.0,
    timestamp: 1_760.0,
    arrival_us: 1_000_000.0 + PACKET_US,
    flags: 0,
    at: PAYLOADS_AT as i32,
    length: 160,
};

/// The one after that.
fn after_next() -> Row {
    let (timestamp, arrival_us) = (NEXT.timestamp + TICKS, NEXT.arrival_us + PACKET_US);
    Row { sequence: 1.0, timestamp, arrival_us, ..NEXT }
}

/// Takes packets until it is full.
struct Ring {
    space: usize,
    /// Channel, number, timestamp, position and length of each.
    taken: Vec<(usize, f64, f64, f64, usize)>,
}

impl Output for Ring {
    fn packet(&mut self, _shard: usize, packet: &Released) -> bool {
        let has_space = self.taken.len() < self.space;
        if has_space {
            let Released { channel, sequence, timestamp, position, payload, .. } = *packet;
            self.taken.push((channel, sequence, timestamp, position, payload.len()));
        }
        has_space
    }
}

/// Takes some rows of which `most_left` can be left: how far it came, what was taken, which rows are left.
fn take_rows(states: &mut [ChannelState], rows: &[Row], space: usize, most_left: usize) -> (Progress, Ring, Vec<i32>) {
    let mut history = vec![0; states.len() * HISTORY_WORDS];
    let mut ring = Ring { space, taken: vec![] };
    let mut left = vec![-1; most_left];
    let column = |number: fn(&Row) -> f64| rows.iter().map(number).collect::<Vec<_>>();
    let whole = |number: fn(&Row) -> i32| rows.iter().map(number).collect::<Vec<_>>();
    let flags: Vec<u8> = rows.iter().map(|row| row.flags).collect();
    let columns = Columns {
        channel: &whole(|row| row.channel),
        wire_sequence: &column(|row| row.sequence),
        wire_timestamp: &column(|row| row.timestamp),
        arrival_us: &column(|row| row.arrival_us),
        flags: &flags,
        payload_offset: &whole(|row| row.at),
        payload_length: &whole(|row| row.length),
    };
    let payloads = Payloads { bytes: &[7; 1_024], offset: PAYLOADS_AT };
    let mut channels = Channels { states, history: &mut history };
    let progress = take(columns, 0..rows.len(), payloads, &mut channels, &mut left, &mut ring);
    left.truncate(progress.left);
    (progress, ring, left)
}

#[test]
fn takes_the_packets_that_follow_one_another_across_a_wrap() {
    let mut states = [running(), ChannelState::default()];
    let (progress, ring, left) = take_rows(&mut states, &[NEXT, after_next()], 9, 4);
    assert_eq!((progress, left), (Progress { rows: 2, left: 0 }, vec![]));
    assert_eq!(ring.taken, [(0, 65_536.0, 1_760.0, 1_760.0, 160), (0, 65_537.0, 1_920.0, 1_920.0, 160)]);
    assert_eq!((states[0].received, states[0].bytes, states[0].played), (2.0, 320.0, 2.0));
    assert_eq!((states[0].highest, states[0].next_sequence), (65_537.0, 65_538.0));
    assert_eq!((states[0].floor, states[0].until_block), (2_080.0, 58.0));
}

#[track_caller]
fn leaves(state: ChannelState, row: Row) {
    let mut states = [state, ChannelState::default()];
    let (progress, ring, left) = take_rows(&mut states, &[row], 9, 4);
    assert_eq!((progress.left, ring.taken.len(), left), (1, 0, vec![0]));
    assert_eq!(states[0], state, "nothing has changed");
}

#[test]
fn leaves_a_packet_of_another_form() {
    let odd = |change: fn(&mut Row)| {
        let mut row = NEXT;
        change(&mut row);
        leaves(running(), row);
    };
    odd(|row| row.sequence = 1.0);
    odd(|row| row.sequence = 65_535.0);
    odd(|row| row.sequence = 65_536.0);
    odd(|row| row.sequence = 0.5);
    odd(|row| row.sequence = -65_536.0);
    odd(|row| row.sequence = f64::NAN);
    odd(|row| row.timestamp += 1.0);
    odd(|row| row.timestamp = 1_600.0);
    odd(|row| row.timestamp += TICKS);
    odd(|row| row.timestamp = f64::INFINITY);
    odd(|row| row.arrival_us += 100_000.0);
    odd(|row| row.arrival_us = 2e6);
    odd(|row| row.flags = 2);
    odd(|row| row.channel = 2);
    odd(|row| row.channel = -1);
    odd(|row| row.at = PAYLOADS_AT as i32 - 1);
    odd(|row| row.length = 1_025);
    odd(|row| row.length = -1);
}

#[test]
fn leaves_a_channel_of_which_more_is_to_be_decided() {
    let unusual = |change: fn(&mut ChannelState)| {
        let mut state = running();
        change(&mut state);
        leaves(state, NEXT);
    };
    unusual(|state| state.open = 0.0);
    unusual(|state| state.phase = 2.0);
    unusual(|state| state.stall_state = 1.0);
    unusual(|state| state.pending_gap_us = 1.0);
    unusual(|state| state.started = 0.0);
    unusual(|state| state.stood_still = 1.0);
    unusual(|state| state.is_paused = 1.0);
    unusual(|state| state.dropped_end = 1.0);
    unusual(|state| state.until_block = 1.0);
    unusual(|state| state.packet_ticks = 0.0);
    unusual(|state| state.next_sequence -= 1.0);
    unusual(|state| state.first_missing -= 1.0);
    unusual(|state| state.released_epoch = 0.0);
    unusual(|state| state.floor += 1.0);
    unusual(|state| (state.floor, state.position_audio_offset) = (1_759.0, -15_000.0));
    unusual(|state| state.clock_window_end_us = 1e6);
    unusual(|state| state.window_end_us = 1e6);
    unusual(|state| state.quality_window_end_us = 1e6);
    unusual(|state| state.shortest_us -= 300_000.0);
}

#[test]
fn leaves_all_that_follows_in_a_stream_behind_a_packet_that_is_left() {
    let other = |row: Row| Row { channel: 2, ..row };
    let mut states = [running(), running(), running(), running()];
    let late = Row { sequence: 3.0, ..NEXT };
    let rows = [late, other(NEXT), Row { channel: 1, ..NEXT }, NEXT, other(after_next())];
    let (progress, ring, left) = take_rows(&mut states, &rows, 9, 4);
    assert_eq!((progress, left), (Progress { rows: 5, left: 3 }, vec![0, 2, 3]));
    assert_eq!(ring.taken.iter().map(|taken| taken.0).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn ends_when_the_list_of_what_is_left_is_full() {
    let mut states = [running(), ChannelState::default()];
    let late = Row { sequence: 3.0, ..NEXT };
    let (progress, ..) = take_rows(&mut states, &[late, late, NEXT], 9, 1);
    assert_eq!(progress, Progress { rows: 1, left: 1 });
}

#[test]
fn a_full_ring_changes_nothing() {
    let mut states = [running(), ChannelState::default()];
    let (progress, ring, left) = take_rows(&mut states, &[NEXT, after_next()], 1, 4);
    assert_eq!((progress, left), (Progress { rows: 2, left: 1 }, vec![1]));
    assert_eq!((ring.taken.len(), states[0].received), (1, 1.0));
}

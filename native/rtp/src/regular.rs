//! Which packets are regular, and what each of them changes.

use std::ops::Range;

use crate::duration::packet_ticks;
use crate::{ChannelState, HISTORY_WORDS};

/// The columns of `src/rtp/packet-columns.ts` that describe a packet as it arrived. All have the same length.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Stream * 2 + channel.
    pub channel: &'a [i32],
    pub wire_sequence: &'a [f64],
    pub wire_timestamp: &'a [f64],
    pub arrival_us: &'a [f64],
    pub flags: &'a [u8],
    /// In the memory that holds all payloads.
    pub payload_offset: &'a [i32],
    pub payload_length: &'a [i32],
}

impl Columns<'_> {
    fn stream(&self, row: usize) -> Option<i32> {
        self.channel.get(row).map(|channel| channel >> 1)
    }
}

/// The memory that holds all payloads.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a> {
    pub bytes: &'a [u8],
    /// What offset its first byte has in the columns.
    pub offset: usize,
}

/// How far take() came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Rows that it has gone over.
    pub rows: usize,
    /// Those of them that are left to the caller.
    pub left: usize,
}

/// What JavaScript keeps of the channels.
#[derive(Debug)]
pub struct Channels<'a> {
    pub states: &'a mut [ChannelState],
    /// HISTORY_WORDS of each channel.
    pub history: &'a mut [i32],
}

/// A packet as the jitter buffer releases it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Released<'a> {
    /// Stream * 2 + channel.
    pub channel: usize,
    pub codec: u8,
    pub flags: u8,
    pub sequence: f64,
    pub timestamp: f64,
    /// On the stream's time line.
    pub position: f64,
    pub arrival_us: f64,
    pub payload: &'a [u8],
}

/// Where packets go.
pub trait Output {
    /// Hands a packet over to a shard. False when there is no space for it now, and nothing was done.
    fn packet(&mut self, shard: usize, packet: &Released) -> bool;

    /// Hints that `value` will be needed soon, so that it can be fetched from memory meanwhile.
    fn prefetch<T>(&self, _value: &T) {}
}

/// Rows before a packet at which its channel's record is fetched, and, with what that says, its place in the history: the
/// packets of a read are of as many streams, and each would wait for memory twice.
const FETCH_STATE_ROWS: usize = 4;
const FETCH_HISTORY_ROWS: usize = 2;

/// `PHASE.RUNNING` of reception.ts.
const RUNNING: f64 = 1.0;
/// `STATE.QUIET` of standstill-detector.ts.
const QUIET: f64 = 0.0;
const MIN_STALL_US: f64 = 80_000.0;
const MAX_QUIET_LAG_US: f64 = 250_000.0;
const CLOCK_SET_US: f64 = 1_000_000.0;
const SPREAD_DECAY: f64 = 1.0 / 256.0;
/// `LIMITS.maxGapSeconds`.
const MAX_GAP_US: f64 = 10_000_000.0;
/// `MAX_AHEAD_SECONDS` of timestamp-limiter.ts.
const MAX_AHEAD_SECONDS: f64 = 1.0;
/// `FLAG.DISCONTINUITY`.
const DISCONTINUITY: u8 = 2;

/// Takes the regular packets in some rows. The others are left to the caller, and with them all that follow in their
/// stream, whose order must stand: their rows are listed in `left`. Ends early when `left` is full.
pub fn take(
    columns: Columns,
    rows: Range<usize>,
    payloads: Payloads,
    channels: &mut Channels,
    left: &mut [i32],
    output: &mut impl Output,
) -> Progress {
    let mut count = 0;
    for row in rows.clone() {
        if count == left.len() {
            return Progress { rows: row - rows.start, left: count };
        }
        prefetch(columns, row, channels, output);
        let is_left = left[..count].iter().any(|&other| columns.stream(other as usize) == columns.stream(row));
        if is_left || take_row(columns, row, payloads, channels, output).is_none() {
            left[count] = row as i32;
            count += 1;
        }
    }
    Progress { rows: rows.len(), left: count }
}

/// Has fetched what rows after this one need.
fn prefetch(columns: Columns, row: usize, channels: &Channels, output: &impl Output) {
    let channel_of = |row: usize| usize::try_from(*columns.channel.get(row)?).ok();
    if let Some(state) = channel_of(row + FETCH_STATE_ROWS).and_then(|channel| channels.states.get(channel)) {
        output.prefetch(state);
    }
    let Some(channel) = channel_of(row + FETCH_HISTORY_ROWS) else { return };
    let Some(state) = channels.states.get(channel) else { return };
    let word = history_word(state.highest + 1.0);
    if let Some(word) = channels.history.get(channel * HISTORY_WORDS + word) {
        output.prefetch(word);
    }
}

/// Where the history of a channel has a packet.
fn history_word(sequence: f64) -> usize {
    sequence as i64 as usize / 32 % HISTORY_WORDS
}

fn take_row(
    columns: Columns,
    row: usize,
    payloads: Payloads,
    channels: &mut Channels,
    output: &mut impl Output,
) -> Option<()> {
    let channel = usize::try_from(*columns.channel.get(row)?).ok()?;
    let start = usize::try_from(*columns.payload_offset.get(row)?).ok()?.checked_sub(payloads.offset)?;
    let length = usize::try_from(*columns.payload_length.get(row)?).ok()?;
    let packet = Packet {
        wire_sequence: *columns.wire_sequence.get(row)?,
        wire_timestamp: *columns.wire_timestamp.get(row)?,
        arrival_us: *columns.arrival_us.get(row)?,
        flags: *columns.flags.get(row)?,
        payload: payloads.bytes.get(start..start.checked_add(length)?)?,
    };
    // Both channels of a stream share one window.
    let clock_window_end_us = channels.states.get(channel & !1)?.clock_window_end_us;
    let history = channels.history.get_mut(channel * HISTORY_WORDS..(channel + 1) * HISTORY_WORDS)?;
    let state = channels.states.get_mut(channel)?;
    let regular = Regular::of(&packet, state, clock_window_end_us)?;
    let released = Released {
        channel,
        codec: state.codec as u8,
        flags: packet.flags,
        sequence: regular.sequence,
        timestamp: regular.timestamp,
        position: regular.position,
        arrival_us: packet.arrival_us,
        payload: packet.payload,
    };
    if !output.packet(state.shard as usize, &released) {
        return None;
    }
    regular.apply(&packet, state, history);
    Some(())
}

#[derive(Debug)]
struct Packet<'a> {
    wire_sequence: f64,
    wire_timestamp: f64,
    arrival_us: f64,
    flags: u8,
    payload: &'a [u8],
}

/// What has been worked out of a regular packet.
#[derive(Debug)]
struct Regular {
    sequence: f64,
    timestamp: f64,
    ticks: f64,
    /// Arrival less timestamp.
    delay_us: f64,
    position: f64,
}

impl Regular {
    /// None unless the packet is regular. Changes nothing.
    fn of(packet: &Packet, state: &ChannelState, clock_window_end_us: f64) -> Option<Self> {
        let arrival_us = packet.arrival_us;
        // The channel takes packets, and nothing is special about it at present (jitter-buffer.ts, reception.ts,
        // scheduled-gaps.ts, timeline.ts, pauses.ts, release.ts).
        let is_plain = state.open == 1.0
            && state.phase == RUNNING
            && state.stall_state == QUIET
            && state.pending_gap_us == 0.0
            && state.started == 1.0
            && state.stood_still == 0.0
            && state.is_paused == 0.0
            && state.dropped_end == 0.0
            && packet.flags & DISCONTINUITY == 0;
        // No interval ends with this packet (adaptive-delay.ts, clock-alignment.ts, standstill-detector.ts,
        // playout-quality.ts).
        let is_within = state.until_block > 1.0
            && arrival_us < clock_window_end_us
            && arrival_us < state.window_end_us
            && arrival_us < state.quality_window_end_us;
        if !is_plain || !is_within {
            return None;
        }
        let sequence =
            unwrap(packet.wire_sequence, state.sequence_modulus, state.sequence_newest, state.sequence_offset)?;
        let timestamp =
            unwrap(packet.wire_timestamp, state.timestamp_modulus, state.timestamp_newest, state.timestamp_offset)?;
        // It is the next packet, and everything before it has left: nothing of its numbering is held (playout-queue.ts).
        let is_next = sequence == state.highest + 1.0
            && sequence == state.next_sequence
            && sequence == state.first_missing
            && state.epoch == state.released_epoch;
        let ticks = timestamp - state.highest_timestamp;
        let is_usual = ticks > 0.0 && ticks == state.packet_ticks && ticks == timestamp - state.released_timestamp;
        // standstill-detector.ts: no stall, no clock that was set.
        let delay_us = arrival_us - timestamp * state.us_per_tick;
        let step_us = delay_us - state.delay_us;
        let lag_us = delay_us - state.shortest_us;
        let timestamp_step_us = arrival_us - state.arrival_us - step_us;
        let is_steady =
            lag_us >= -CLOCK_SET_US && timestamp_step_us >= 0.0 && step_us < MIN_STALL_US && lag_us <= MAX_QUIET_LAG_US;
        // timeline.ts: neither before the end of the packet before it nor further ahead than arrival allows.
        let position = timestamp - state.base;
        let offset = position - arrival_us * state.ticks_per_us;
        let is_placed = timestamp >= state.reached
            && (position == state.floor
                || (position > state.floor
                    && offset <= state.position_audio_offset + state.clock_rate * MAX_AHEAD_SECONDS));
        (is_next && is_usual && is_steady && is_placed).then_some(Self {
            sequence,
            timestamp,
            ticks,
            delay_us,
            position,
        })
    }

    /// All that the packet changes, class by class in the order of the JavaScript path.
    fn apply(&self, packet: &Packet, state: &mut ChannelState, history: &mut [i32]) {
        let arrival_us = packet.arrival_us;
        let bytes = packet.payload.len() as f64;
        self.count(packet, state, history);
        self.observe(arrival_us, state);
        state.until_block -= 1.0;
        state.next_sequence = self.sequence + 1.0;
        state.first_missing = self.sequence + 1.0;
        self.follow(arrival_us, bytes, state);
        self.place(arrival_us, packet_ticks(state.codec, packet.payload), state);
        state.played += 1.0;
        state.played_timestamp = self.timestamp;
    }

    /// Reception.ahead() and the unwrappers.
    fn count(&self, packet: &Packet, state: &mut ChannelState, history: &mut [i32]) {
        let bytes = packet.payload.len() as f64;
        state.packet_ticks = self.ticks;
        state.highest = self.sequence;
        state.highest_timestamp = self.timestamp;
        state.highest_length = bytes;
        history[history_word(self.sequence)] |= 1 << (self.sequence as i64 as usize % 32);
        state.received += 1.0;
        state.bytes += bytes;
        state.last_arrival_us = packet.arrival_us;
        let step_us = (self.delay_us - state.transit_us).abs();
        state.transit_us = self.delay_us;
        if step_us <= MAX_GAP_US {
            state.jitter_us += (step_us - state.jitter_us) / 16.0;
        }
        state.sequence_newest = self.sequence;
        state.sequence_offset = self.sequence - packet.wire_sequence;
        state.timestamp_newest = self.timestamp;
        state.timestamp_offset = self.timestamp - packet.wire_timestamp;
    }

    /// ClockAlignment.observe() and StandstillDetector.observe().
    fn observe(&self, arrival_us: f64, state: &mut ChannelState) {
        let delay_us = self.delay_us;
        if delay_us < state.clock_shortest_us {
            state.clock_shortest_us = delay_us;
        }
        state.clock_packets += 1.0;
        let lag_us = delay_us - state.shortest_us;
        state.delay_us = delay_us;
        state.arrival_us = arrival_us;
        if lag_us < 0.0 {
            state.shortest_us = delay_us;
        }
        if delay_us < state.window_shortest_us {
            state.window_shortest_us = delay_us;
        }
        let above_spread_us = lag_us - state.spread_us;
        if above_spread_us > 0.0 {
            state.spread_us = lag_us;
        } else if above_spread_us < 0.0 {
            state.spread_us = lag_us - above_spread_us * (1.0 - SPREAD_DECAY);
        }
    }

    /// GapEstimator.follow().
    fn follow(&self, arrival_us: f64, bytes: f64, state: &mut ChannelState) {
        let before = state.released_bytes;
        let usual = state.released_ticks;
        let is_pause = self.ticks > usual && before == usual * state.bytes_per_tick;
        if !is_pause || usual == 0.0 {
            state.released_ticks = self.ticks;
            state.bytes_per_tick = if before == self.ticks {
                1.0
            } else if before == 2.0 * self.ticks {
                2.0
            } else {
                0.0
            };
        }
        let offset = (self.timestamp - state.media_offset) - arrival_us * state.ticks_per_us;
        limit(&mut state.gap_audio_offset, &mut state.gap_offset, offset, 0.0);
        state.released_timestamp = self.timestamp;
        state.released_bytes = bytes;
    }

    /// Timeline.place().
    fn place(&self, arrival_us: f64, duration_ticks: f64, state: &mut ChannelState) {
        let duration = if duration_ticks > 0.0 { duration_ticks } else { state.last_duration };
        state.behind = 0.0;
        let offset = self.position - arrival_us * state.ticks_per_us;
        let without_audio = self.position - state.packet_end;
        limit(&mut state.position_audio_offset, &mut state.position_offset, offset, without_audio);
        state.anchor = self.position;
        state.anchor_us = arrival_us;
        state.packet_end = self.position + duration;
        state.floor = self.position + duration;
        state.reached = self.timestamp;
        state.last_position = self.position;
        state.last_duration = duration;
        state.placed_arrival_us = arrival_us;
    }
}

/// Unwrapper.unwrap() of a whole number that shows no larger modulus.
fn unwrap(wire: f64, modulus: f64, newest: f64, offset: f64) -> Option<f64> {
    if wire >= modulus || f64::from(wire as u32) != wire {
        return None;
    }
    let value = wire + offset;
    let half = modulus / 2.0;
    if value - newest > half {
        return Some(value - modulus);
    }
    if newest - value > half {
        return Some(value + modulus);
    }
    Some(value)
}

/// TimestampLimiter.advance().
fn limit(audio_offset: &mut f64, offset: &mut f64, new_offset: f64, without_audio: f64) {
    let by_audio = new_offset - without_audio;
    let raised = (by_audio - *audio_offset).min(by_audio - *offset);
    if raised > 0.0 {
        *audio_offset += raised;
    }
    *offset = new_offset;
}

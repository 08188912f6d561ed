//! What every packet of a channel reads or changes: `src/rtp/channel-state.ts`, which explains it.

macro_rules! channel_state {
    ($($field:ident),+ $(,)?) => {
        /// The record of one channel, of numbers alone, as JavaScript sees it.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        #[repr(C)]
        pub struct ChannelState {
            $(pub $field: f64),+
        }

        /// The names of its fields, in their order.
        pub const FIELDS: &[&str] = &[$(stringify!($field)),+];
    };
}

channel_state! {
    // JitterBuffer. OPEN: 1 while it takes packets. EPOCH: numbering of the packet received last; 0 before the first.
    open,
    epoch,
    // Set alike by all that open a channel: ticks of the RTP clock a second, and what follows from that.
    clock_rate,
    us_per_tick,
    ticks_per_us,
    // Unwrapper: of the numbers, then of the timestamps.
    sequence_modulus,
    sequence_newest,
    sequence_offset,
    timestamp_modulus,
    timestamp_newest,
    timestamp_offset,
    // Reception.
    phase,
    highest,
    highest_timestamp,
    highest_length,
    packet_ticks,
    transit_us,
    last_arrival_us,
    jitter_us,
    received,
    bytes,
    // ClockAlignment. The window is that of the stream and stands in the record of its channel 0.
    clock_window_end_us,
    clock_shortest_us,
    clock_packets,
    // StandstillDetector, and the gap that ScheduledGaps has to make.
    delay_us,
    arrival_us,
    shortest_us,
    spread_us,
    window_shortest_us,
    window_end_us,
    stall_state,
    pending_gap_us,
    // PlayoutQueue.
    released_epoch,
    next_sequence,
    first_missing,
    // AdaptiveDelay.
    until_block,
    // GapEstimator, and its TimestampLimiter.
    released_timestamp,
    released_bytes,
    released_ticks,
    bytes_per_tick,
    media_offset,
    gap_audio_offset,
    gap_offset,
    // Timeline, and its TimestampLimiter.
    started,
    stood_still,
    base,
    reached,
    packet_end,
    floor,
    last_position,
    last_duration,
    placed_arrival_us,
    behind,
    anchor_us,
    anchor,
    position_audio_offset,
    position_offset,
    // PlayoutQuality.
    played,
    played_timestamp,
    quality_window_end_us,
    // Pauses.
    is_paused,
    // Release. DROPPED_END: 0 while no dropped span has to be reported to the shard.
    dropped_end,
    shard,
    codec,
}

/// Numbers of a record.
pub const CHANNEL_FIELDS: usize = 64;

const _: () = assert!(size_of::<ChannelState>() == CHANNEL_FIELDS * size_of::<f64>());
const _: () = assert!(FIELDS.len() == CHANNEL_FIELDS);

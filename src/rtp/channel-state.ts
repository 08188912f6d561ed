/**
 * What every packet of a channel reads or changes, from the jitter buffer to the input ring: one record of numbers for
 * each channel. One record, since a packet then touches eight lines of the cache and not sixty, and because the native
 * path for regular packets (native/rtp) works on the same memory. Each field belongs to the class named above it, which
 * alone opens and changes it on the JavaScript path; what only rarer packets need is kept by the classes themselves.
 *
 * native/rtp/src/state.rs has the same fields in the same order, and its test compares the two.
 */
export const FIELD = {
  // JitterBuffer. OPEN: 1 while it takes packets. EPOCH: numbering of the packet received last; 0 before the first.
  OPEN: 0,
  EPOCH: 1,
  // Set alike by all that open a channel: ticks of the RTP clock a second, and what follows from that.
  CLOCK_RATE: 2,
  US_PER_TICK: 3,
  TICKS_PER_US: 4,
  // Unwrapper: of the numbers, then of the timestamps.
  SEQUENCE_MODULUS: 5,
  SEQUENCE_NEWEST: 6,
  SEQUENCE_OFFSET: 7,
  TIMESTAMP_MODULUS: 8,
  TIMESTAMP_NEWEST: 9,
  TIMESTAMP_OFFSET: 10,
  // Reception.
  PHASE: 11,
  HIGHEST: 12,
  HIGHEST_TIMESTAMP: 13,
  HIGHEST_LENGTH: 14,
  PACKET_TICKS: 15,
  TRANSIT_US: 16,
  LAST_ARRIVAL_US: 17,
  JITTER_US: 18,
  RECEIVED: 19,
  BYTES: 20,
  // ClockAlignment. The window is that of the stream and stands in the record of its channel 0.
  CLOCK_WINDOW_END_US: 21,
  CLOCK_SHORTEST_US: 22,
  CLOCK_PACKETS: 23,
  // StandstillDetector, and the gap that ScheduledGaps has to make.
  DELAY_US: 24,
  ARRIVAL_US: 25,
  SHORTEST_US: 26,
  SPREAD_US: 27,
  WINDOW_SHORTEST_US: 28,
  WINDOW_END_US: 29,
  STALL_STATE: 30,
  PENDING_GAP_US: 31,
  // PlayoutQueue.
  RELEASED_EPOCH: 32,
  NEXT_SEQUENCE: 33,
  FIRST_MISSING: 34,
  // AdaptiveDelay.
  UNTIL_BLOCK: 35,
  // GapEstimator, and its TimestampLimiter.
  RELEASED_TIMESTAMP: 36,
  RELEASED_BYTES: 37,
  RELEASED_TICKS: 38,
  BYTES_PER_TICK: 39,
  MEDIA_OFFSET: 40,
  GAP_AUDIO_OFFSET: 41,
  GAP_OFFSET: 42,
  // Timeline, and its TimestampLimiter.
  STARTED: 43,
  STOOD_STILL: 44,
  BASE: 45,
  REACHED: 46,
  PACKET_END: 47,
  FLOOR: 48,
  LAST_POSITION: 49,
  LAST_DURATION: 50,
  PLACED_ARRIVAL_US: 51,
  BEHIND: 52,
  ANCHOR_US: 53,
  ANCHOR: 54,
  POSITION_AUDIO_OFFSET: 55,
  POSITION_OFFSET: 56,
  // PlayoutQuality.
  PLAYED: 57,
  PLAYED_TIMESTAMP: 58,
  QUALITY_WINDOW_END_US: 59,
  // Pauses.
  IS_PAUSED: 60,
  // Release. DROPPED_END: 0 while no dropped span has to be reported to the shard.
  DROPPED_END: 61,
  SHARD: 62,
  CODEC: 63,
} as const;

/** Numbers from one channel's record to the next. */
export const CHANNEL_FIELDS = 64;

/** Records of so many channels, of both of each stream; all fields are 0 until the classes open the channel. */
export function channelStates(channels: number): Float64Array {
  return new Float64Array(Math.ceil(channels / 2) * 2 * CHANNEL_FIELDS);
}

import type { SilenceKind } from '../core/events.js';

/**
 * Where everything lies in the shared memory of the data plane. Behaviour is in ring.ts; this file has offsets only,
 * and native/dsp/src/layout.rs has the same ones. LAYOUT_VERSION is compared by every thread, JavaScript or Rust,
 * when it attaches.
 *
 * One ring, starting at a multiple of 128 bytes:
 *
 *     0        tail   i32   producer's cursor, bytes since the ring was made, modulo 2^32
 *     128      head   i32   consumer's cursor, likewise
 *     256      data   capacity bytes, a power of two
 *
 * One record, starting at a multiple of 8 within data and never going over its end (a PAD record fills the rest):
 *
 *     +0   i32  length of header and payload, not rounded up
 *     +4   u8   kind
 *     +5   u8   channel
 *     +6   u8   codec id
 *     +7   u8   flags
 *     +8   i32  stream index
 *     +12  i32  payload length
 *     +16  f64  sequence number, unwrapped; CLOSE in output and recorder rings: records of frames and edges of the
 *               stream that the recorder ring refused
 *     +24  f64  RTP timestamp, unwrapped; OPEN, UPDATE, CLOSE: generation of the stream
 *     +32  f64  position on the stream's time line: RTP clock ticks in an input ring, samples in an output ring
 *     +40  f64  arrival, microseconds of core/clock
 *     +48  i32  LOST: duration in RTP ticks; MARK: duration; FRAME: sample count; EDGE: kind of silence
 *     +52  i32  FRAME: peak, 0 to 32768
 *     +56  ...  input ring: payload
 *
 * A LATE_PACKET is described as a PACKET is, a CORRECTION, a PRE_ROLL and a CODED_FRAME as a FRAME.
 *
 *     +56  f64  FRAME: mean square of full scale, 0 to 1
 *     +64  f64  FRAME: end of processing, microseconds of core/clock
 *     +72  ...  output and recorder rings: payload; a FRAME's is PCM, 16 bit, native (little) endian
 *
 * Behind the payload of a PRE_ROLL, from the next multiple of 8 on:
 *
 *     +0   f64  position of the speech that follows, in samples
 *
 * All numbers are little-endian, as is every machine that trunkline runs on; times and unwrapped numbers are f64
 * because a double holds them exactly (below 2^53) and JavaScript reads it without a BigInt.
 */
export const LAYOUT_VERSION = 8;

export const RING = {
  TAIL: 0,
  HEAD: 128,
  DATA: 256,
} as const;

export const RECORD_ALIGN = 8;

/** Kinds of record. OPEN, UPDATE, CLOSE and PAD stand in every ring. */
export const KIND = {
  /** Fills the ring up to its end; only its length is valid. */
  PAD: 0,
  /** Input: one packet, payload as it came. */
  PACKET: 1,
  /** Input: a lost packet; one record for each. Payload: the packet that follows, if it has come. */
  LOST: 2,
  /** A stream begins. Payload: StreamInfo as JSON. */
  OPEN: 3,
  /** A stream ends. Payload: StreamSummary as JSON. */
  CLOSE: 4,
  /** Output: one decoded or concealed frame. */
  FRAME: 5,
  /**
   * Output: silence began or ended at `position`, as flag SILENT says, or its kind changed (SILENCE_KIND of
   * audio/silence-kind.ts). Follows the frame that showed it.
   */
  EDGE: 6,
  /** A stretch without audio from `position` on, `DURATION` long (input: RTP ticks, output: samples); flags: MARK. */
  MARK: 7,
  /**
   * Input: a packet whose place on the live line had been passed when it arrived; only for the recorder. `position` is
   * its true place on the stream's time line.
   */
  LATE_PACKET: 8,
  /** Recorder: samples that replace those at `position`. Flag REPAIRED: the audio of a late packet. */
  CORRECTION: 9,
  /** Output: a silent frame again, now with its samples, in front of the first FRAME with speech behind it. */
  PRE_ROLL: 10,
  /** What is known of a stream has changed. Payload: StreamInfo as JSON. */
  UPDATE: 11,
  /**
   * Recorder: a frame of a stream whose packets are stored as they came (WANT.RECORDED_PACKETS). Payload: the packet; none
   * where it was lost or could not be decoded. Flag REPAIRED: it was late, and belongs at `position`.
   */
  CODED_FRAME: 12,
} as const;

export const RECORD = {
  LENGTH: 0,
  KIND: 4,
  CHANNEL: 5,
  CODEC: 6,
  FLAGS: 7,
  STREAM: 8,
  PAYLOAD_LENGTH: 12,
  SEQUENCE: 16,
  RECORDER_REFUSED: 16,
  TIMESTAMP: 24,
  /** OPEN, UPDATE, CLOSE: which of the streams that have had this index. */
  GENERATION: 24,
  POSITION: 32,
  ARRIVAL_US: 40,
  DURATION: 48,
  SAMPLE_COUNT: 48,
  SILENCE_KIND: 48,
  PEAK: 52,
  INPUT_HEADER_BYTES: 56,
  MEAN_SQUARE: 56,
  PROCESSED_US: 64,
  OUTPUT_HEADER_BYTES: 72,
} as const;

/** Flags of a record (byte +7). */
export const FLAG = {
  /** Input: RTP marker bit. */
  MARKER: 1,
  /** The time line jumps here: a restart of the sender, or a gap too long to conceal. */
  DISCONTINUITY: 2,
  /** Output: the channel is silent (FRAME), or becomes so (EDGE). */
  SILENT: 4,
  /** Output: samples made up, because the packet was lost or could not be decoded. */
  CONCEALED: 8,
  /** Output: the packet could not be decoded. */
  DECODE_ERROR: 16,
  /** Output: the packet was lost. CONCEALED stands as well, unless in-band FEC brought its audio back. */
  LOST: 32,
  /** Output: the samples were left out because nobody wants them; SAMPLE_COUNT is still right. */
  NO_PCM: 64,
  /**
   * CORRECTION: the audio of a late packet itself, which is no longer lost. Without it: samples that follow and were
   * decoded again, from the right decoder state.
   */
  REPAIRED: 128,
} as const;

/** Why a MARK record's span has no audio (byte +7). NOT_RECORDED: the input ring or the recorder's ring was full.
 * NO_PACKETS is in input rings only: no packet has arrived for this span so far. NOT_SENT is in no output ring: the span
 * was taken for lost, and late packets have shown that no packet is missing there. */
export const MARK = { PAUSED: 1, DISCARDED: 2, NOT_RECORDED: 3, NO_PACKETS: 4, NOT_SENT: 5 } as const;

/** The kind of silence of an EDGE, by the number that it has there. */
export function silenceKind(id: number): SilenceKind | undefined {
  return id === 1 ? 'digital' : id === 2 ? 'comfortNoise' : undefined;
}

export function ringBytes(capacity: number): number {
  return RING.DATA + capacity;
}

export function alignRecord(length: number): number {
  return (length + RECORD_ALIGN - 1) & -RECORD_ALIGN;
}

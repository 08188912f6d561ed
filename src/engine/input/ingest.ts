import type { CallAttributes } from '../../core/attributes/attributes.js';
import type { StreamFormat } from '../../core/codec.js';
import type { Channel, EndReason, MarkedState, SilenceDetector } from '../../core/events.js';
import type { PacketBatch } from './packet-batch.js';

export interface StreamOptions {
  /**
   * The source's packets come in order and without loss, as over TCP. They go in by `ordered` instead of the batch, and
   * skip the jitter buffer.
   */
  readonly ordered?: boolean;
  /**
   * Index of the stream of the same interaction that this one continues in another format. That stream is ended with
   * reason `formatChanged`; the recorder adds this one to the same recording. Pauses do not pass from one to the other.
   */
  readonly continues?: number;
  /** The organization that the call belongs to, for recordings and audit. */
  readonly organizationId?: string;
  /** What is known of the call; when absent, and `continues` names a stream, what that one has. */
  readonly attributes?: CallAttributes;
  /** How speech is told from silence in this stream; what the engine was told when absent. */
  readonly silenceDetector?: SilenceDetector;
  /** Name of the source; the node sets it. */
  readonly source?: string;
}

/** What comes of OrderedIngest.claim(). */
export const CLAIM = {
  GIVEN: 1,
  /** The ring is full for now: keep the packets, let the peer wait, and try again in a few milliseconds. */
  FULL: 0,
  /** The stream is not open, or no longer; nobody will ever take this. */
  GONE: -1,
} as const;
export type Claim = (typeof CLAIM)[keyof typeof CLAIM];

/**
 * The way in for packets of ordered streams. A peer behind TCP can wait, so nothing is dropped here: a claim is refused
 * while the ring is full. All channels of a stream get their packets together, each of the same length:
 *
 *     if (ordered.claim(stream, lengthBytes) === CLAIM.GIVEN) {
 *       // Write lengthBytes at ordered.at[0], and for a second channel at ordered.at[1]; then
 *       ordered.commit(sequence, positionSamples, arrivalUs);
 *     }
 */
export interface OrderedIngest {
  /** The memory that payloads are written to, from its start. */
  readonly bytes: Uint8Array;
  /** The same in words. */
  readonly words: Int32Array;
  /** Where each channel's payload belongs, by the last claim: byte offsets, multiples of 8. */
  readonly at: Int32Array;
  claim(stream: number, lengthBytes: number): Claim;
  /** Hands over the packets of the last claim. `positionSamples` is their place on the stream's time line. */
  commit(sequence: number, positionSamples: number, arrivalUs: number): void;
  /** Shows the decoders what has been committed. Waking one costs more than a packet: once for several, then. */
  publish(): void;
}

/**
 * All that a source sees of the engine. A source opens streams, fills the batch with packets as they arrive, in any
 * order and with any gaps, and ends streams. Nothing here blocks or throws on the packet path.
 */
export interface StreamIngest {
  /**
   * Begins a stream and returns its index.
   * @throws TrunklineError STREAM_EXISTS while a stream of that id is open, LIMIT_EXCEEDED at the engine's limit,
   *   CODEC_UNSUPPORTED for a format that cannot be decoded.
   */
  openStream(interactionId: string, format: StreamFormat, options?: StreamOptions): number;
  /** Ends a stream: what the jitter buffer holds is released first, in order. Unknown streams are ignored. */
  endStream(stream: number, reason: EndReason): void;
  /** The source's connection broke; the next packets may restart their numbering. Unknown streams are ignored. */
  streamInterrupted(stream: number): void;
  /**
   * Of an ordered stream: from `startSamples` on, `lengthSamples` of the time line carry no audio, and why. Ends up as
   * a marked span in the recording. `channel` −1 means every channel.
   */
  markSpan(
    stream: number,
    channel: Channel | -1,
    state: MarkedState,
    startSamples: number,
    lengthSamples: number,
  ): void;
  /**
   * From now on, nothing of a stream is let out, what its jitter buffer holds included. Its packets are still counted,
   * and the stretch is marked *paused*. Unknown streams and ordered ones are ignored.
   */
  pauseStream(stream: number): void;
  /** Lets out again what arrives after `fromUs`. Ignored where nothing is paused. */
  resumeStream(stream: number, fromUs: number): void;
  /** The one batch that all sources of this engine share. */
  readonly batch: PacketBatch;
  /**
   * Takes in what the batch holds. A source calls it once at the end of each turn in which it has pushed packets;
   * a full batch is taken in by itself.
   */
  submit(): void;
}

/** What a source of ordered streams sees. */
export interface OrderedStreamIngest extends StreamIngest {
  readonly ordered: OrderedIngest;
}

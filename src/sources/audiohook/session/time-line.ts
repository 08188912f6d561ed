import { LIMITS } from '../../../core/limits.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { Interleaved } from '../protocol/deinterleave.js';
import { durationSamples } from '../protocol/duration.js';
import { channelMap, type SelectedMedia, sampleBytes } from '../protocol/media.js';
import type { SessionCounts } from './session-counts.js';

/** Receives a session's time line, in order. */
export interface TimeLineOutput {
  /**
   * Interleaved audio to keep; the bytes are valid until the call returns. `positionSamples` is the position of the
   * first pair that ends in these bytes; a pair may be split over two calls. False when the audio is not taken, because
   * the stream is another session's by now.
   */
  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): boolean;
  /** A whole number of pairs, which may be masked. False, and nothing done, when they must come by audio(). */
  wholeAudio(samples: Interleaved, pairs: number, positionSamples: number, nowUs: number): boolean;
  /** The next audio does not continue the last: hand on what is buffered, and drop half a pair. */
  flush(): void;
  /** A stretch of the time line without audio. */
  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number): void;
}

/** Whether audio was acceptable: `fraction` is not a whole number of samples, `ahead` too far ahead of the clock. */
export type TimeLineVerdict = 'ok' | 'fraction' | 'ahead';

const DEFAULT_RATE = 8000;
/** A pause that the clock alone measures is at least a frame long; anything shorter is network delay. */
const MIN_PAUSE_SECONDS = 0.02;

/** True when a position on a stream's time line is further ahead of the clock than any client's history explains. */
export function isAheadOfClock(positionSeconds: number, elapsedUs: number): boolean {
  return positionSeconds > elapsedUs / US_PER_SECOND + LIMITS.audioHookAheadSeconds;
}

/**
 * The position of each sample of a session. Time is the samples that arrived plus the stretches that the client says it
 * did not send. All positions are in sample pairs (samples of one channel) from the start of the stream.
 */
export class TimeLine {
  readonly #output: TimeLineOutput;
  readonly #counts: SessionCounts;
  #rate = DEFAULT_RATE;
  #sampleBytes = 1;
  #pairBytes = 1;
  #base = 0;
  #position = 0;
  /** Position of the client's own time line when ours was at the base. */
  #clientBase = 0;
  #openedUs = 0;
  // Bytes of a sample pair whose other half has not arrived yet, and whether they were dropped.
  #partialBytes = 0;
  #partialDropped = false;

  constructor(output: TimeLineOutput, counts: SessionCounts) {
    this.#output = output;
    this.#counts = counts;
  }

  get positionSamples(): number {
    return this.#position;
  }

  /** `openedUs` is when the stream began, which may have been in an earlier session. */
  begin(media: SelectedMedia | undefined, baseSamples: number, clientSamples: number, openedUs: number): void {
    if (media !== undefined) {
      this.#rate = media.rate;
      this.#sampleBytes = sampleBytes(media);
      this.#pairBytes = this.#sampleBytes * channelMap(media).length;
    }
    this.#base = baseSamples;
    this.#position = baseSamples;
    this.#clientBase = clientSamples;
    this.#openedUs = openedUs;
  }

  /** A frame of any size. Without `keep` its samples are dropped and marked as paused. */
  audio(bytes: Uint8Array, keep: boolean, nowUs: number): TimeLineVerdict {
    if (bytes.length % this.#sampleBytes !== 0) return 'fraction';
    let rest = bytes;
    if (keep && this.#partialDropped) {
      rest = this.#completeDroppedPair(bytes);
      if (rest.length === 0) return 'ok';
    } else if (!keep && this.#partialBytes > 0 && !this.#partialDropped) {
      this.#output.flush();
    }
    const total = this.#partialBytes + rest.length;
    const pairs = Math.floor(total / this.#pairBytes);
    this.#partialBytes = total % this.#pairBytes;
    this.#partialDropped = !keep && this.#partialBytes > 0;
    if (this.#partialBytes > 0) this.#counts.splitPairs += 1;
    const at = this.#position;
    this.#position = at + pairs;
    if (keep) {
      if (this.#output.audio(rest, at, nowUs)) this.#counts.samplesKept += pairs;
      else this.#notTaken(bytes.length, pairs);
    } else {
      this.#counts.samplesPaused += pairs;
      if (pairs > 0) this.#output.mark('paused', at, pairs);
    }
    return this.#aheadOfClock(this.#position, nowUs) ? 'ahead' : 'ok';
  }

  /** A frame of `length` bytes to keep, as audio() takes it; undefined, and nothing done, when it must come by audio(). */
  wholeAudio(samples: Interleaved, length: number, nowUs: number): TimeLineVerdict | undefined {
    if (this.#partialBytes > 0 || length === 0 || length % this.#pairBytes !== 0) return undefined;
    const pairs = length / this.#pairBytes;
    if (!this.#output.wholeAudio(samples, pairs, this.#position, nowUs)) return undefined;
    this.#position += pairs;
    this.#counts.samplesKept += pairs;
    return this.#aheadOfClock(this.#position, nowUs) ? 'ahead' : 'ok';
  }

  /**
   * A stretch that the client did not send. `start` decides nothing, and a wrong one is counted: real clients report
   * positions ahead of the true one.
   */
  stretch(state: 'paused' | 'discarded', start: string, discarded: string, nowUs: number): TimeLineVerdict {
    const at = this.#position;
    const length = durationSamples(discarded, this.#rate);
    const startSamples = durationSamples(start, this.#rate);
    const difference = startSamples - (at - this.#base + this.#clientBase);
    if (startSamples < 0) this.#counts.startInvalid += 1;
    else if (difference > 0) this.#counts.startAhead += 1;
    else if (difference < 0) this.#counts.startBehind += 1;
    if (this.#aheadOfClock(at + length, nowUs)) return 'ahead';
    this.discardPartialPair();
    if (length > 0) {
      this.#position = at + length;
      if (state === 'paused') this.#counts.pausedUnsentSamples += length;
      else this.#counts.discardedSamples += length;
      this.#output.mark(state, at, length);
    }
    return 'ok';
  }

  /**
   * Marks a pause that is active when the session ends. `position` is that of the client's `close`; when it is absent,
   * or does not include the pause, the clock gives the length: the client has sent nothing since `sinceUs`.
   */
  endPause(position: string | undefined, sinceUs: number, nowUs: number): void {
    this.discardPartialPair();
    const at = this.#position;
    const elapsed = Math.round(((nowUs - sinceUs) * this.#rate) / US_PER_SECOND);
    const reported =
      position === undefined ? 0 : this.#base + durationSamples(position, this.#rate) - this.#clientBase - at;
    const isPlausible = reported > Math.max(0, elapsed - this.#rate) && !this.#aheadOfClock(at + reported, nowUs);
    const length = isPlausible ? reported : elapsed;
    if (!isPlausible && elapsed < MIN_PAUSE_SECONDS * this.#rate) return;
    this.#position = at + length;
    this.#counts.pausedUnsentSamples += length;
    this.#output.mark('paused', at, length);
  }

  #notTaken(bytes: number, pairs: number): void {
    this.#counts.framesIgnored += 1;
    this.#counts.bytesIgnored += bytes;
    this.#counts.samplesNotTaken += pairs;
  }

  /** The client stops sending here, so that the other half of a split pair will not arrive. */
  discardPartialPair(): void {
    this.#output.flush();
    this.#partialBytes = 0;
    this.#partialDropped = false;
  }

  // The first half of this pair fell into a pause, so the whole pair belongs to the pause.
  #completeDroppedPair(bytes: Uint8Array): Uint8Array {
    const missing = this.#pairBytes - this.#partialBytes;
    if (bytes.length < missing) {
      this.#partialBytes += bytes.length;
      return bytes.subarray(bytes.length);
    }
    this.#output.mark('paused', this.#position, 1);
    this.#counts.samplesPaused += 1;
    this.#position += 1;
    this.#partialBytes = 0;
    this.#partialDropped = false;
    return bytes.subarray(missing);
  }

  // Limits how long one client can make a recording: no call runs far ahead of the clock.
  #aheadOfClock(positionSamples: number, nowUs: number): boolean {
    return isAheadOfClock(positionSamples / this.#rate, nowUs - this.#openedUs);
  }
}

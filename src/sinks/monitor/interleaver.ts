import type { Channel } from '../../core/events.js';
import { US_PER_MS } from '../../core/units.js';

/**
 * How long what one channel has waits for the other before that is taken for silent. Playout delays seldom differ by more.
 */
const MAX_SKEW_MS = 200;
const WINDOW_MS = 2_000;

/**
 * Interleaves two channels that come frame by frame, each at its own pace, by their positions. A part is put out when both
 * channels have it, or 200 ms after it arrived; what the other lacks then is zeros, and is dropped when it comes later. It
 * is the arrival that counts: the jitter buffer releases a backlog channel by channel, and a channel that is 300 ms ahead
 * in a backlog has not waited at all. More than 2 s of one channel do not wait, whenever they arrived.
 */
export class Interleaver {
  readonly #put: (position: number, pcm: Int16Array) => void;
  readonly #window: Int16Array;
  readonly #windowSamples: number;
  readonly #skewSamples: number;
  readonly #end: [number, number] = [0, 0];
  /** Of the frames that have not waited for long: arrival, and the end of what had come by then, of both channels. */
  readonly #arrivals: { readonly us: number; readonly end: number }[] = [];
  #newestUs = Number.NEGATIVE_INFINITY;
  /** End of what has waited for long enough. */
  #overdue = 0;
  // Position of the window's first sample; −1 before the first frame.
  #start = -1;

  constructor(sampleRate: number, put: (position: number, pcm: Int16Array) => void) {
    this.#put = put;
    this.#windowSamples = (sampleRate * WINDOW_MS) / 1000;
    this.#skewSamples = (sampleRate * MAX_SKEW_MS) / 1000;
    this.#window = new Int16Array(2 * this.#windowSamples);
  }

  take(channel: Channel, position: number, pcm: Int16Array, arrivalUs: number): void {
    if (this.#start < 0) this.#start = position;
    this.#arrived(arrivalUs, position + pcm.length);
    for (let done = 0; done < pcm.length; ) {
      if (position + done < this.#start) {
        done = Math.min(pcm.length, this.#start - position);
        continue;
      }
      const from = position + done;
      if (from >= this.#start + this.#windowSamples) {
        this.#makeSpace(from);
      }
      const space = this.#start + this.#windowSamples - from;
      const count = Math.min(space, pcm.length - done);
      const at = 2 * (from - this.#start) + channel;
      for (let i = 0; i < count; i++) this.#window[at + 2 * i] = pcm[done + i] as number;
      done += count;
      this.#end[channel] = Math.max(this.#end[channel], from + count);
      this.#emitTo(Math.max(Math.min(...this.#end), Math.min(this.#overdue, from + count)));
    }
  }

  /** Puts out everything that is there. */
  flush(): void {
    this.#emitTo(Math.max(...this.#end));
  }

  #arrived(arrivalUs: number, end: number): void {
    this.#newestUs = Math.max(this.#newestUs, arrivalUs);
    this.#arrivals.push({ us: this.#newestUs, end });
    while ((this.#arrivals[0]?.us ?? this.#newestUs) <= this.#newestUs - MAX_SKEW_MS * US_PER_MS) {
      this.#overdue = Math.max(this.#overdue, this.#arrivals.shift()?.end ?? 0);
    }
  }

  /** For samples at `from`, which lie behind the window: puts out the oldest part, or all in front of a gap. */
  #makeSpace(from: number): void {
    this.#emitTo(Math.min(Math.max(...this.#end), from - this.#windowSamples + this.#skewSamples));
    if (from < this.#start + this.#windowSamples) return;
    this.flush();
    // The other channel may go on a little earlier.
    this.#start = Math.max(this.#start, from - this.#skewSamples);
  }

  #emitTo(end: number): void {
    const count = end - this.#start;
    if (count <= 0) return;
    this.#put(this.#start, this.#window.slice(0, 2 * count));
    this.#window.copyWithin(0, 2 * count);
    this.#window.fill(0, this.#window.length - 2 * count);
    this.#start = end;
  }
}

import type { Channel } from '../../core/events.js';

/** How far one channel may be ahead before the other is taken for silent. Playout delays differ by 100 ms at most. */
const MAX_SKEW_MS = 200;
const WINDOW_MS = 1_000;

/**
 * Interleaves two channels that come frame by frame, each at its own pace, by their positions. A part is put out when both
 * channels have it, or when one is 200 ms ahead; what the other lacks then is zeros, and is dropped when it comes later.
 */
export class Interleaver {
  readonly #put: (position: number, pcm: Int16Array) => void;
  readonly #window: Int16Array;
  readonly #windowSamples: number;
  readonly #skewSamples: number;
  readonly #end: [number, number] = [0, 0];
  // Position of the window's first sample; −1 before the first frame.
  #start = -1;

  constructor(sampleRate: number, put: (position: number, pcm: Int16Array) => void) {
    this.#put = put;
    this.#windowSamples = (sampleRate * WINDOW_MS) / 1000;
    this.#skewSamples = (sampleRate * MAX_SKEW_MS) / 1000;
    this.#window = new Int16Array(2 * this.#windowSamples);
  }

  take(channel: Channel, position: number, pcm: Int16Array): void {
    if (this.#start < 0) this.#start = position;
    for (let done = 0; done < pcm.length; ) {
      if (position + done < this.#start) {
        done = Math.min(pcm.length, this.#start - position);
        continue;
      }
      const from = position + done;
      if (from >= this.#start + this.#windowSamples) {
        this.flush();
        // The other channel may go on a little earlier.
        this.#start = Math.max(this.#start, from - this.#skewSamples);
      }
      const space = this.#start + this.#windowSamples - from;
      const count = Math.min(space, pcm.length - done);
      const at = 2 * (from - this.#start) + channel;
      for (let i = 0; i < count; i++) this.#window[at + 2 * i] = pcm[done + i] as number;
      done += count;
      this.#end[channel] = Math.max(this.#end[channel], from + count);
      this.#emitTo(Math.max(Math.min(...this.#end), Math.max(...this.#end) - this.#skewSamples));
    }
  }

  /** Puts out everything that is there. */
  flush(): void {
    this.#emitTo(Math.max(...this.#end));
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

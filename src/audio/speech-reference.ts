import { feedAdaptive, initAdaptive, skipAdaptive } from './adaptive/detector.js';
import { ADAPTIVE_STATE_SLOTS } from './adaptive/state.js';
import { SampleMemory } from './sample-memory.js';

/** Edges of one block: more than a second can have. */
const MOST_EDGES = 64;

/** Where there is speech in a sound, by the adaptive detector, which finds it also where no threshold does. */
export class SpeechReference {
  readonly #state = new Float64Array(ADAPTIVE_STATE_SLOTS);
  readonly #edges = new Float64Array(2 * MOST_EDGES);
  readonly #blockSamples: number;
  /** Positions where speech begins and ends, in turn. */
  readonly #turns: number[] = [];
  #position = 0;

  constructor(sampleRate: number) {
    this.#blockSamples = sampleRate;
    initAdaptive(this.#state, 0, sampleRate);
    skipAdaptive(this.#state, 0, 0);
  }

  /** Takes in `count` samples of one channel from `pcm[from]` on. */
  feed(pcm: Int16Array, from: number, count: number): void {
    for (let at = from; at < from + count; at += this.#blockSamples) {
      const block = SampleMemory.copyOf(pcm.subarray(at, Math.min(at + this.#blockSamples, from + count)));
      const { length } = block.samples;
      const found = feedAdaptive(this.#state, 0, block, 0, length, this.#position, this.#edges, 0);
      for (let edge = 0; edge < found; edge++) this.#turns.push(this.#edges[2 * edge] as number);
      this.#position += length;
    }
  }

  /** 1 for each of so many hops that is speech for the greater part. */
  hops(count: number, hopSamples: number): Uint8Array {
    const speech = new Uint8Array(count);
    for (let turn = 0; turn < this.#turns.length; turn += 2) {
      const end = this.#turns[turn + 1] ?? this.#position;
      speech.fill(1, Math.round((this.#turns[turn] as number) / hopSamples), Math.round(end / hopSamples));
    }
    return speech;
  }
}

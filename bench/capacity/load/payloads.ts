import { LoopLibrary } from '../../../src/simulator/sound/loops.js';
import { loadClips } from '../../../src/simulator/sound/speech.js';
import { codecOf, formatOf } from '../subscription/plan.js';
import type { LoadCodec } from './plan.js';

/** Each interaction begins this many packets behind the one before, so that they do not send the same at one time. */
const STAGGER_PACKETS = 37;

/** Speech that is coded, in packets of 20 ms that are played over and over. */
export interface Speech {
  /** Base64, one a packet. */
  readonly payloads: readonly string[];
  /** Where in `payloads` it begins. */
  readonly start: number;
}

/** Coded speech for every interaction: the simulator's clips, encoded once. */
export class SpeechPayloads {
  readonly #library = new LoopLibrary(loadClips());
  readonly #codec: LoadCodec;

  constructor(codec: LoadCodec) {
    this.#codec = codec;
  }

  /** How many different ones there are. */
  get clips(): number {
    return this.#library.clipCount;
  }

  speech(index: number): Speech {
    const { sampleRate } = formatOf(this.#codec, index);
    const coding = { codec: codecOf(this.#codec, index), sampleRate, dtx: false };
    const { payloads } = this.#library.loop(index % this.clips, coding);
    return { payloads, start: (index * STAGGER_PACKETS) % payloads.length };
  }
}

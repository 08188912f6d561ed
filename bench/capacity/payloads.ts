import { LoopLibrary } from '../../src/simulator/loops.js';
import { loadClips } from '../../src/simulator/speech.js';
import type { Voice } from './frames.js';
import { codecOf, formatOf, type LoadCodec, TICKS_PER_SECOND } from './plan.js';

/** Interactions must not speak in chorus: each begins this many packets behind the one before, which divides no loop. */
const STAGGER_PACKETS = 37;

/** Coded speech for every interaction: the simulator's clips, encoded once. */
export class SpeechPayloads {
  readonly #library = new LoopLibrary(loadClips());
  readonly #codec: LoadCodec;

  constructor(codec: LoadCodec) {
    this.#codec = codec;
  }

  voice(index: number): Voice {
    const { sampleRate, clockRate } = formatOf(this.#codec, index);
    const coding = { codec: codecOf(this.#codec, index), sampleRate, dtx: false };
    const { payloads } = this.#library.loop(index % this.#library.clipCount, coding);
    const start = (index * STAGGER_PACKETS) % payloads.length;
    return { index, ticksPerPacket: clockRate / TICKS_PER_SECOND, payloads, start };
  }
}

import { concealLost, concealmentSlots, initConcealment, rememberForConcealment } from './concealment.js';
import { copyBytes, SampleMemory } from './sample-memory.js';

/** Concealment goes by the last 20 ms. */
const FRAMES_A_SECOND = 50;
const MOST_SAMPLES = 48_000 / FRAMES_A_SECOND;

/** Decodes `length` bytes from `input.bytes[at]` on to `out.samples[outAt]` on. Returns how many samples that gave. */
export type Decode = (input: SampleMemory, at: number, length: number, out: SampleMemory, outAt: number) => number;

const decoded = new SampleMemory(new ArrayBuffer(MOST_SAMPLES * Int16Array.BYTES_PER_ELEMENT));

/**
 * What concealment.ts goes by, of one channel of a codec whose samples stand each for themselves. To remember is done
 * for every packet, to conceal for a lost one: so packets are kept as they came, and decoded when one is lost.
 */
export class ConcealmentHistory {
  /** State of concealment, then the last 20 ms of packets, as far as it does not know them yet. */
  readonly #memory: SampleMemory;
  readonly #from: number;
  readonly #capacity: number;
  readonly #decode: Decode;
  #kept = 0;

  constructor(sampleRate: number, bytesPerSample: number, decode: Decode) {
    this.#decode = decode;
    this.#from = concealmentSlots(sampleRate) * Int16Array.BYTES_PER_ELEMENT;
    this.#capacity = (sampleRate / FRAMES_A_SECOND) * bytesPerSample;
    this.#memory = new SampleMemory(new ArrayBuffer(this.#from + this.#capacity));
    initConcealment(this.#memory, 0, sampleRate);
  }

  /** To be called with every packet that was decoded: `length` bytes, whole samples, from `packets.bytes[at]` on. */
  keep(packets: SampleMemory, at: number, length: number): void {
    const taken = Math.min(length, this.#capacity);
    const over = this.#kept + taken - this.#capacity;
    if (over > 0) {
      if (over < this.#kept) this.#memory.bytes.copyWithin(this.#from, this.#from + over, this.#from + this.#kept);
      this.#kept -= over;
    }
    copyBytes(packets, at + length - taken, this.#memory, this.#from + this.#kept, taken);
    this.#kept += taken;
  }

  /** Writes `count` samples in place of a lost packet from `out.samples[outAt]` on. */
  conceal(out: SampleMemory, outAt: number, count: number): void {
    if (this.#kept > 0) {
      const samples = this.#decode(this.#memory, this.#from, this.#kept, decoded, 0);
      rememberForConcealment(this.#memory, 0, decoded, 0, samples);
      this.#kept = 0;
    }
    concealLost(this.#memory, 0, out, outAt, count);
  }
}

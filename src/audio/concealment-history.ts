import { concealLost, fitToNext, historySamples, MAX_HISTORY, pitchPeriod, samplesToFit } from './concealment.js';
import { copyBytes, SampleMemory } from './sample-memory.js';

/** Decodes `length` bytes from `input.bytes[at]` on to `out.samples[outAt]` on. Returns how many samples that gave. */
export type Decode = (input: SampleMemory, at: number, length: number, out: SampleMemory, outAt: number) => number;

const history = new SampleMemory(new ArrayBuffer(MAX_HISTORY * Int16Array.BYTES_PER_ELEMENT));
const nextSamples = new SampleMemory(new ArrayBuffer(MAX_HISTORY * Int16Array.BYTES_PER_ELEMENT));

/**
 * What concealment.ts needs of one channel of a codec whose samples are independent of one another: its last packets. They
 * are stored with every packet, but used only when one is lost: so they are kept encoded, in a ring, and decoded then.
 */
export class ConcealmentHistory {
  /** The last encoded bytes, a ring: the oldest ones are overwritten. A multiple of four bytes, so that words are copied. */
  readonly #ring: SampleMemory;
  readonly #capacity: number;
  readonly #bytesPerSample: number;
  readonly #sampleRate: number;
  readonly #decode: Decode;
  #writeAt = 0;
  #kept = 0;
  /** Samples concealed since the last packet. */
  #concealed = 0;
  #period = 0;

  constructor(sampleRate: number, bytesPerSample: number, decode: Decode) {
    this.#sampleRate = sampleRate;
    this.#bytesPerSample = bytesPerSample;
    this.#decode = decode;
    this.#capacity = (historySamples(sampleRate) * bytesPerSample + 3) & ~3;
    this.#ring = new SampleMemory(new ArrayBuffer(this.#capacity));
  }

  /** To be called with every packet that was decoded: `length` bytes, whole samples, from `packets.bytes[at]` on. */
  keep(packets: SampleMemory, at: number, length: number): void {
    const taken = Math.min(length, this.#capacity);
    const from = at + length - taken;
    const toEnd = Math.min(taken, this.#capacity - this.#writeAt);
    copyBytes(packets, from, this.#ring, this.#writeAt, toEnd);
    if (toEnd < taken) copyBytes(packets, from + toEnd, this.#ring, 0, taken - toEnd);
    this.#writeAt += taken;
    if (this.#writeAt >= this.#capacity) this.#writeAt -= this.#capacity;
    if (this.#kept < this.#capacity) this.#kept = Math.min(this.#capacity, this.#kept + taken);
    this.#concealed = 0;
  }

  /**
   * Writes `count` samples in place of a lost packet from `out.samples[outAt]` on. They end as the packet of `nextLength`
   * bytes at `out.bytes[nextAt]` begins, where the next packet of the channel is known and follows at once.
   */
  conceal(out: SampleMemory, outAt: number, count: number, nextAt = 0, nextLength = 0): void {
    const length = this.#decodeHistory();
    const { samples } = out;
    if (this.#concealed === 0) this.#period = pitchPeriod(history.samples, length, this.#sampleRate);
    concealLost(history.samples, length, this.#period, this.#sampleRate, this.#concealed, samples, outAt, count);
    this.#concealed += count;
    const needed = samplesToFit(this.#period);
    if (nextLength < needed * this.#bytesPerSample) return;
    this.#decode(out, nextAt, needed * this.#bytesPerSample, nextSamples, 0);
    fitToNext(nextSamples.samples, this.#period, this.#sampleRate, samples, outAt, count);
  }

  /** Oldest first, zeros where there has been no packet yet. */
  #decodeHistory(): number {
    const length = historySamples(this.#sampleRate);
    const bytes = Math.min(this.#kept, length * this.#bytesPerSample);
    const missing = length - bytes / this.#bytesPerSample;
    history.samples.fill(0, 0, missing);
    const start = this.#writeAt - bytes;
    if (start >= 0) {
      this.#decode(this.#ring, start, bytes, history, missing);
    } else {
      const first = this.#decode(this.#ring, start + this.#capacity, -start, history, missing);
      this.#decode(this.#ring, 0, this.#writeAt, history, missing + first);
    }
    return length;
  }
}

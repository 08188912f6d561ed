import type { SampleMemory } from '../sample-memory.js';
import { SILERO_INPUT, SILERO_STATE } from './silero.js';
import { DECIMATIONS, decimationReach, PACKED, SILERO_CONTEXT, SILERO_RATE, SILERO_WINDOW } from './silero-weights.js';

const FULL_SCALE = 32_768;
/** A gap of audio after which what the network remembers says nothing of what comes: one second. */
const FORGET_SAMPLES = SILERO_RATE;

/** A window of one channel, with what the network remembers of those before it. */
export class SpeechWindow {
  /** The end of the window before, and the window: −1 to 1 at 8 kHz. */
  readonly input = new Float32Array(SILERO_INPUT);
  readonly state = new Float32Array(SILERO_STATE);
  /** What the network said of the window. */
  logOdds = 0;
}

/**
 * Cuts a channel's audio into the windows of the network: brings it to 8 kHz and collects 32 ms at a time. Made when the
 * channel is opened; afterwards nothing is allocated.
 */
export class SpeechWindows {
  readonly window = new SpeechWindow();
  /** Input at 8 kHz: context, and what there is of the window at hand. */
  readonly #next = new Float32Array(SILERO_INPUT);
  #fill = SILERO_CONTEXT;
  readonly #decimator: Decimator | undefined;
  readonly #samplesPerOutput: number;
  #position = -1;

  /** @param packed Of packSilero(), for the kernels in it. */
  constructor(packed: Float32Array, sampleRate: number) {
    this.#decimator = sampleRate === SILERO_RATE ? undefined : new Decimator(packed, sampleRate);
    this.#samplesPerOutput = sampleRate / SILERO_RATE;
  }

  /** Audio goes on at `position`, in samples of the channel. After a gap the window at hand starts again. */
  seek(position: number): void {
    const gap = position - this.#position;
    if (gap === 0) return;
    this.#position = position;
    this.#fill = SILERO_CONTEXT;
    this.#next.fill(0, 0, SILERO_CONTEXT);
    this.#decimator?.reset();
    if (gap < 0 || gap > FORGET_SAMPLES * this.#samplesPerOutput) this.window.state.fill(0);
  }

  /**
   * Takes samples up to `end` of `pcm.samples`, or up to the end of a window; returns where it stopped. isComplete says
   * which; the window must then be taken with complete().
   */
  take(pcm: SampleMemory, at: number, end: number): number {
    const stop =
      this.#decimator === undefined ? this.#copy(pcm, at, end) : this.#decimate(this.#decimator, pcm, at, end);
    this.#position += stop - at;
    return stop;
  }

  get isComplete(): boolean {
    return this.#fill === SILERO_INPUT;
  }

  /** Hands the collected window over for judgement, unless it is to be passed over, and begins the next one. */
  complete(isJudged: boolean): void {
    if (isJudged) this.window.input.set(this.#next);
    this.#next.copyWithin(0, SILERO_WINDOW);
    this.#fill = SILERO_CONTEXT;
  }

  #copy({ samples }: SampleMemory, at: number, end: number): number {
    const stop = Math.min(end, at + SILERO_INPUT - this.#fill);
    for (let next = at; next < stop; next++) this.#next[this.#fill++] = (samples[next] as number) / FULL_SCALE;
    return stop;
  }

  #decimate(decimator: Decimator, { samples }: SampleMemory, at: number, end: number): number {
    let next = at;
    while (next < end && this.#fill < SILERO_INPUT) {
      if (!decimator.add((samples[next++] as number) / FULL_SCALE)) continue;
      this.#next[this.#fill++] = decimator.output();
    }
    return next;
  }
}

/** Brings audio of 12 to 48 kHz to 8 kHz, sample by sample, with the kernels of ../resample.ts. */
class Decimator {
  readonly #packed: Float32Array;
  readonly #kernels: number;
  readonly #taps: number;
  readonly #step: number;
  readonly #phases: number;
  /** The last samples, twice, so that a whole kernel's worth of them always lies together. */
  readonly #history: Float32Array;
  #at = 0;
  /** Steps until the next output sample, in parts of an input sample; and its phase. */
  #wait = 0;
  #phase = 0;

  constructor(packed: Float32Array, sampleRate: number) {
    const index = DECIMATIONS.findIndex(({ rate }) => rate === sampleRate);
    const ratio = DECIMATIONS[index];
    if (ratio === undefined) throw new RangeError(`No kernel for ${sampleRate} samples a second.`);
    this.#packed = packed;
    this.#kernels = PACKED.kernels[index] as number;
    this.#taps = 2 * decimationReach(sampleRate) + 1;
    this.#step = ratio.step;
    this.#phases = ratio.phases;
    this.#history = new Float32Array(2 * this.#taps);
    this.reset();
  }

  reset(): void {
    this.#history.fill(0);
    this.#at = 0;
    // Half a kernel must be there before the first output sample.
    this.#wait = (this.#taps + 1) / 2;
    this.#phase = 0;
  }

  /** True when that makes an output sample possible. */
  add(sample: number): boolean {
    this.#history[this.#at] = sample;
    this.#history[this.#at + this.#taps] = sample;
    this.#at = this.#at + 1 === this.#taps ? 0 : this.#at + 1;
    this.#wait--;
    return this.#wait === 0;
  }

  output(): number {
    const kernel = this.#kernels + this.#phase * this.#taps;
    let sum = 0;
    for (let tap = 0; tap < this.#taps; tap++) {
      sum += (this.#packed[kernel + tap] as number) * (this.#history[this.#at + tap] as number);
    }
    const phase = this.#phase + this.#step;
    this.#wait = Math.floor(phase / this.#phases);
    this.#phase = phase % this.#phases;
    return sum;
  }
}

/** Zero crossings of the sinc on each side of its middle, at the lower of the two rates. */
export const CROSSINGS = 16;
/** Cut-off, of the lower Nyquist frequency. */
export const KERNEL_CUTOFF = 0.92;

/**
 * Brings interleaved 16-bit PCM to another rate as it comes, block by block, by a windowed sinc (Hann) with one kernel
 * for each phase that the two rates have to each other. Delays the audio by 16 samples at the lower rate: 2 ms at 8 kHz.
 *
 * Worked example: from 8,000 to 11,025 the output steps by 320/441 of an input sample, so there are 441 kernels of some
 * 36 taps. From 48,000 to 8,000 it steps by 6, and one kernel of 210 taps is enough.
 */
export class Resampler {
  readonly #channels: number;
  /** Numerator and denominator of the step of the output, in input samples. */
  readonly #step: number;
  readonly #phases: number;
  readonly #reach: number;
  readonly #kernels: readonly Float64Array[];
  /** Input that later output needs as well, one array a channel. */
  #history: Float64Array[];
  /** Of the next output sample: the index of its first tap in the history, and its phase. */
  #at = 0;
  #phase = 0;

  /** @param fromRate, toRate samples a second, whole numbers. */
  constructor(fromRate: number, toRate: number, channels: number) {
    const divisor = greatestCommonDivisor(fromRate, toRate);
    this.#channels = channels;
    this.#step = fromRate / divisor;
    this.#phases = toRate / divisor;
    // Width of one zero crossing, in input samples.
    const crossing = fromRate / Math.min(fromRate, toRate) / KERNEL_CUTOFF;
    this.#reach = Math.ceil(CROSSINGS * crossing);
    this.#kernels = Array.from({ length: this.#phases }, (_, phase) =>
      sincKernel(phase / this.#phases, this.#reach, crossing),
    );
    // Silence comes before the first sample, so that the first output sample is at the first input sample.
    this.#history = Array.from({ length: channels }, () => new Float64Array(this.#reach));
  }

  /** The output that this input makes possible. */
  resample(pcm: Int16Array): Int16Array {
    const added = pcm.length / this.#channels;
    this.#append(pcm, added);
    const length = this.#history[0]?.length ?? 0;
    const taps = 2 * this.#reach + 1;
    const most = Math.ceil(((added + 1) * this.#phases) / this.#step) + 1;
    const out = new Int16Array(most * this.#channels);
    let count = 0;
    while (this.#at + taps <= length) {
      const kernel = this.#kernels[this.#phase] as Float64Array;
      for (let channel = 0; channel < this.#channels; channel++) {
        out[count++] = rounded(dot(kernel, this.#history[channel] as Float64Array, this.#at));
      }
      this.#phase += this.#step;
      this.#at += Math.floor(this.#phase / this.#phases);
      this.#phase %= this.#phases;
    }
    return out.subarray(0, count);
  }

  #append(pcm: Int16Array, added: number): void {
    // The first tap may lie beyond what has come, when the rate is lowered by much.
    const used = Math.min(this.#at, this.#history[0]?.length ?? 0);
    this.#at -= used;
    this.#history = this.#history.map((history, channel) => {
      const kept = history.length - used;
      const next = new Float64Array(kept + added);
      next.set(history.subarray(used));
      for (let i = 0; i < added; i++) next[kept + i] = pcm[i * this.#channels + channel] as number;
      return next;
    });
  }
}

function dot(kernel: Float64Array, samples: Float64Array, at: number): number {
  let sum = 0;
  for (let tap = 0; tap < kernel.length; tap++) sum += (kernel[tap] as number) * (samples[at + tap] as number);
  return sum;
}

function rounded(value: number): number {
  return Math.max(-32_768, Math.min(32_767, Math.round(value)));
}

/** Taps around an output sample that lies `fraction` of an input sample after the middle tap; their sum is 1. */
export function sincKernel(fraction: number, reach: number, crossing: number): Float64Array {
  const kernel = new Float64Array(2 * reach + 1);
  let sum = 0;
  for (let tap = -reach; tap <= reach; tap++) {
    const x = (tap - fraction) / crossing;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    const window = Math.abs(x) >= CROSSINGS ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * x) / CROSSINGS);
    kernel[tap + reach] = sinc * window;
    sum += sinc * window;
  }
  return kernel.map((value) => value / sum);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

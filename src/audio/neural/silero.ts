import { createDenseKernel, type Dense } from './dense-kernel.js';
import {
  BINS,
  type DenseShape,
  FFT,
  HIDDEN,
  LAYERS,
  PACKED,
  SILERO_CONTEXT,
  SILERO_WINDOW,
  TILE,
} from './silero-weights.js';

/** Of a channel between two windows: the hidden state, then the cell state. */
export const SILERO_STATE = 2 * HIDDEN;
export const SILERO_INPUT = SILERO_CONTEXT + SILERO_WINDOW;

/** Columns that the convolutions begin with: the four transforms of a window. */
const COLUMNS = 4;
const STEP = FFT / 2;
const HALF = FFT / 2;
const fround = Math.fround;

/**
 * The forward pass of Silero VAD v6 at 8 kHz: magnitudes of four short Fourier transforms, four convolutions, a
 * recurrent layer of 128 units, one output. 300,000 multiplications a window.
 *
 * All is reckoned in 32-bit numbers, in an order that does not depend on the width of the processor's vectors, and the
 * activation functions in 64-bit numbers without calls to a mathematical library: native/dsp/src/audio/silero.rs gives
 * the same probabilities to the bit.
 */
export class Silero {
  readonly #dense: Dense;
  readonly #memory: Float32Array;
  readonly #x: number;
  readonly #y: number;
  readonly #magnitudes = new Float32Array(BINS * COLUMNS);
  readonly #transform: Transform;
  readonly #features0 = new Float32Array(COLUMNS * LAYERS.conv0.outputs);
  readonly #features1 = new Float32Array(2 * LAYERS.conv1.outputs);

  /** @param packed Of packSilero(). */
  constructor(packed: Float32Array) {
    const { dense, memory } = createDenseKernel(PACKED.length + LAYERS.conv1.inputs + LAYERS.lstm.outputs);
    memory.set(packed);
    this.#dense = dense;
    this.#memory = memory;
    this.#x = PACKED.length;
    this.#y = PACKED.length + LAYERS.conv1.inputs;
    this.#transform = new Transform(memory);
  }

  /**
   * The log-odds that there is speech in a window.
   * @param input SILERO_INPUT samples of −1 to 1: the end of the window before, and the window.
   * @param state SILERO_STATE numbers; zeros at first.
   */
  run(input: Float32Array, state: Float32Array): number {
    for (let column = 0; column < COLUMNS; column++) {
      this.#transform.run(input, column * STEP, this.#magnitudes, column, COLUMNS);
    }
    this.#convolutions();
    this.#memory.set(state.subarray(0, HIDDEN), this.#x + HIDDEN);
    this.#layer(PACKED.lstm, LAYERS.lstm);
    this.#recur(state);
    let sum = this.#memory[PACKED.output + HIDDEN] as number;
    for (let unit = 0; unit < HIDDEN; unit++) {
      const value = state[unit] as number;
      if (value > 0) sum += (this.#memory[PACKED.output + unit] as number) * value;
    }
    return sum;
  }

  /** Leaves the features of the window as the first inputs of the recurrent layer. */
  #convolutions(): void {
    const memory = this.#memory;
    const magnitudes = this.#magnitudes;
    for (let column = 0; column < COLUMNS; column++) {
      let x = this.#x;
      for (let bin = 0; bin < BINS; bin++) {
        for (let tap = column - 1; tap <= column + 1; tap++) {
          memory[x++] = tap < 0 || tap >= COLUMNS ? 0 : (magnitudes[bin * COLUMNS + tap] as number);
        }
      }
      this.#layer(PACKED.conv0, LAYERS.conv0);
      this.#rectified(this.#features0, column * LAYERS.conv0.outputs, LAYERS.conv0.outputs);
    }
    for (let column = 0; column < 2; column++) {
      let x = this.#x;
      for (let feature = 0; feature < LAYERS.conv0.outputs; feature++) {
        for (let tap = 2 * column - 1; tap <= 2 * column + 1; tap++) {
          memory[x++] = tap < 0 ? 0 : (this.#features0[tap * LAYERS.conv0.outputs + feature] as number);
        }
      }
      this.#layer(PACKED.conv1, LAYERS.conv1);
      this.#rectified(this.#features1, column * LAYERS.conv1.outputs, LAYERS.conv1.outputs);
    }
    let x = this.#x;
    for (let feature = 0; feature < LAYERS.conv1.outputs; feature++) {
      memory[x++] = this.#features1[feature] as number;
      memory[x++] = this.#features1[LAYERS.conv1.outputs + feature] as number;
    }
    this.#layer(PACKED.conv2, LAYERS.conv2);
    this.#rectified(memory, this.#x, LAYERS.conv2.outputs);
    this.#layer(PACKED.conv3, LAYERS.conv3);
    this.#rectified(memory, this.#x, LAYERS.conv3.outputs);
  }

  #layer(weights: number, { inputs, outputs }: DenseShape): void {
    this.#dense(weights * 4, this.#x * 4, this.#y * 4, inputs, outputs / TILE);
  }

  #rectified(into: Float32Array, at: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const value = this.#memory[this.#y + i] as number;
      into[at + i] = Math.max(0, value);
    }
  }

  #recur(state: Float32Array): void {
    const memory = this.#memory;
    const y = this.#y;
    for (let unit = 0; unit < HIDDEN; unit++) {
      const input = sigmoid(memory[y + unit] as number);
      const forget = sigmoid(memory[y + HIDDEN + unit] as number);
      const cell = tanh(memory[y + 2 * HIDDEN + unit] as number);
      const output = sigmoid(memory[y + 3 * HIDDEN + unit] as number);
      const next = fround(forget * (state[HIDDEN + unit] as number) + input * cell);
      state[HIDDEN + unit] = next;
      state[unit] = output * tanh(next);
    }
  }
}

/** Magnitudes of FFT real samples under the window, by a complex transform of half as many points. */
class Transform {
  readonly #memory: Float32Array;
  readonly #re = new Float32Array(HALF);
  readonly #im = new Float32Array(HALF);

  constructor(memory: Float32Array) {
    this.#memory = memory;
  }

  run(input: Float32Array, at: number, magnitudes: Float32Array, column: number, columns: number): void {
    this.#load(input, at);
    this.#butterflies();
    const re = this.#re;
    const im = this.#im;
    for (let bin = 0; bin < BINS; bin++) {
      const a = bin % HALF;
      const b = (HALF - bin) % HALF;
      const evenRe = fround(fround((re[a] as number) + (re[b] as number)) * 0.5);
      const evenIm = fround(fround((im[a] as number) - (im[b] as number)) * 0.5);
      const oddRe = fround(fround((im[a] as number) + (im[b] as number)) * 0.5);
      const oddIm = fround(fround((re[b] as number) - (re[a] as number)) * 0.5);
      const cosine = this.#memory[PACKED.cosine + bin] as number;
      const sine = this.#memory[PACKED.sine + bin] as number;
      const x = fround(evenRe + fround(fround(cosine * oddRe) + fround(sine * oddIm)));
      const y = fround(evenIm + fround(fround(cosine * oddIm) - fround(sine * oddRe)));
      magnitudes[bin * columns + column] = Math.sqrt(fround(fround(x * x) + fround(y * y)));
    }
  }

  /** Two samples are one complex number. What lies beyond the input is its mirror image. */
  #load(input: Float32Array, at: number): void {
    for (let n = 0; n < HALF; n++) {
      const slot = REVERSED[n] as number;
      this.#re[slot] = (this.#memory[PACKED.window + 2 * n] as number) * mirrored(input, at + 2 * n);
      this.#im[slot] = (this.#memory[PACKED.window + 2 * n + 1] as number) * mirrored(input, at + 2 * n + 1);
    }
  }

  #butterflies(): void {
    const re = this.#re;
    const im = this.#im;
    for (let half = 1; half < HALF; half *= 2) {
      const stride = HALF / half;
      for (let j = 0; j < half; j++) {
        const cosine = this.#memory[PACKED.cosine + j * stride] as number;
        const sine = this.#memory[PACKED.sine + j * stride] as number;
        for (let a = j; a < HALF; a += 2 * half) {
          const b = a + half;
          const x = fround(fround(cosine * (re[b] as number)) + fround(sine * (im[b] as number)));
          const y = fround(fround(cosine * (im[b] as number)) - fround(sine * (re[b] as number)));
          re[b] = (re[a] as number) - x;
          im[b] = (im[a] as number) - y;
          re[a] = (re[a] as number) + x;
          im[a] = (im[a] as number) + y;
        }
      }
    }
  }
}

function mirrored(input: Float32Array, at: number): number {
  return input[at < SILERO_INPUT ? at : 2 * (SILERO_INPUT - 1) - at] as number;
}

/** Where the n-th complex number goes before the butterflies: the bits of n in reverse. */
const REVERSED = Uint8Array.from({ length: HALF }, (_, n) => {
  let reversed = 0;
  for (let bit = 1; bit < HALF; bit *= 2) reversed = reversed * 2 + (n & bit ? 1 : 0);
  return reversed;
});

export function sigmoid(x: number): number {
  return 1 / (1 + exponential(-x));
}

function tanh(x: number): number {
  return 2 / (1 + exponential(-2 * x)) - 1;
}

const LARGEST_EXPONENT = 40;
const POWERS = Float64Array.from({ length: 2 * 64 + 1 }, (_, n) => 2 ** (n - 64));

/** e^x to nine digits, for x of −40 to 40 and the nearer of the two for others: 2^n · e^r, |r| ≤ ln 2 / 2. */
export function exponential(x: number): number {
  const bounded = Math.max(-LARGEST_EXPONENT, Math.min(LARGEST_EXPONENT, x));
  const n = Math.floor(bounded * Math.LOG2E + 0.5);
  const r = bounded - n * Math.LN2;
  const series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))))));
  return series * (POWERS[n + 64] as number);
}

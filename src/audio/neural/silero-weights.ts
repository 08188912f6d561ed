import { TrunklineError } from '../../core/errors.js';
import { CROSSINGS, KERNEL_CUTOFF, sincKernel } from '../resample.js';
import { type OnnxConstant, readOnnxConstants } from './onnx-constants.js';

/** Samples a second that the network works at; all audio is brought to it. */
export const SILERO_RATE = 8000;
/** New samples in a window: 32 ms. */
export const SILERO_WINDOW = 256;
/** Samples before it that the network sees again. */
export const SILERO_CONTEXT = 32;
/** Points of the Fourier transform, four of which overlap by half. */
export const FFT = 128;
export const BINS = FFT / 2 + 1;
/** Units of the recurrent layer. */
export const HIDDEN = 128;
/** Outputs that a dense layer computes together; the weights lie in such tiles. */
export const TILE = 16;

/** A dense layer: each of its outputs is a bias and a weighted sum of its inputs. A convolution's inputs are its taps. */
export interface DenseShape {
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * The network's layers, in the order in which their weights lie: for each, tile after tile, input after input, the
 * weights of the tile's 16 outputs; then the biases of all outputs.
 *
 * Of the two convolutions whose input is one or two columns long, only the taps that meet it are kept.
 */
export const LAYERS = {
  conv0: { inputs: BINS * 3, outputs: 128 },
  conv1: { inputs: 128 * 3, outputs: 64 },
  conv2: { inputs: 64 * 2, outputs: 64 },
  conv3: { inputs: 64, outputs: 128 },
  /** Gates input, forget, cell, output; inputs are the features and then the hidden state. */
  lstm: { inputs: 2 * HIDDEN, outputs: 4 * HIDDEN },
} as const;

/** Rates of input that are brought to SILERO_RATE, with the step of the output in input samples: STEP / PHASES. */
export const DECIMATIONS = [
  { rate: 12_000, step: 3, phases: 2 },
  { rate: 16_000, step: 2, phases: 1 },
  { rate: 24_000, step: 3, phases: 1 },
  { rate: 48_000, step: 6, phases: 1 },
] as const;

const denseLength = ({ inputs, outputs }: DenseShape): number => (inputs + 1) * outputs;

/** Taps on each side of the middle one. */
export function decimationReach(rate: number): number {
  return Math.ceil((CROSSINGS * rate) / SILERO_RATE / KERNEL_CUTOFF);
}

/** Where everything lies in the packed weights, in floats. native/dsp/src/audio/silero.rs has the same. */
export const PACKED = (() => {
  let at = 0;
  const place = (length: number): number => {
    const begin = at;
    at += Math.ceil(length / TILE) * TILE;
    return begin;
  };
  return {
    window: place(FFT),
    cosine: place(FFT),
    sine: place(FFT),
    conv0: place(denseLength(LAYERS.conv0)),
    conv1: place(denseLength(LAYERS.conv1)),
    conv2: place(denseLength(LAYERS.conv2)),
    conv3: place(denseLength(LAYERS.conv3)),
    lstm: place(denseLength(LAYERS.lstm)),
    /** Weights of the last layer, and its bias. */
    output: place(HIDDEN + 1),
    /** Of DECIMATIONS, phase after phase. */
    kernels: DECIMATIONS.map(({ rate, phases }) => place(phases * (2 * decimationReach(rate) + 1))),
    length: at,
  };
})();

/**
 * Takes the weights of the 8 kHz network of Silero VAD v6 from its ONNX file, in the order in which both backends read
 * them, with the tables that they share.
 * @param packed PACKED.length numbers.
 * @throws TrunklineError FILE_INVALID when the file is not that model.
 */
export function packSilero(model: Uint8Array, file: string, packed: Float32Array): void {
  const constants = constantsOf(model, file);
  const basis = constants.find(({ name, dims }) => name.endsWith(BASIS) && dims.join() === `${2 * BINS},1,${FFT}`);
  if (basis === undefined) throw notTheModel(file);
  const prefix = basis.name.slice(0, -BASIS.length);
  const values = (name: string, length: number): Float32Array => {
    const found = constants.find((constant) => constant.name === prefix + name)?.values;
    if (found?.length !== length) throw notTheModel(file);
    return found;
  };
  // The first row of the basis is the window times cos 0.
  packed.set(basis.values.subarray(0, FFT), PACKED.window);
  for (let k = 0; k < FFT; k++) {
    packed[PACKED.cosine + k] = Math.cos((2 * Math.PI * k) / FFT);
    packed[PACKED.sine + k] = Math.sin((2 * Math.PI * k) / FFT);
  }
  for (const [layer, taps] of [
    ['conv0', [0, 1, 2]],
    ['conv1', [0, 1, 2]],
    ['conv2', [1, 2]],
    ['conv3', [1]],
  ] as const) {
    const shape = LAYERS[layer];
    const channels = shape.inputs / taps.length;
    const name = `encoder.${layer.slice(4)}.reparam_conv`;
    const weights = values(`${name}.weight`, shape.outputs * channels * 3);
    packDense(packed, PACKED[layer], shape, values(`${name}.bias`, shape.outputs), (output, input) => {
      const tap = taps[input % taps.length] as number;
      return weights[(output * channels + Math.floor(input / taps.length)) * 3 + tap] as number;
    });
  }
  packLstm(packed, values);
  packed.set(values('decoder.decoder.2.weight', HIDDEN), PACKED.output);
  packed.set(values('decoder.decoder.2.bias', 1), PACKED.output + HIDDEN);
  packKernels(packed);
}

const BASIS = 'stft.forward_basis_buffer';

function constantsOf(model: Uint8Array, file: string): OnnxConstant[] {
  try {
    return readOnnxConstants(model);
  } catch {
    throw notTheModel(file);
  }
}

function notTheModel(file: string): TrunklineError {
  return new TrunklineError('FILE_INVALID', `${file} is not the ONNX model of Silero VAD v6.`);
}

function packLstm(packed: Float32Array, values: (name: string, length: number) => Float32Array): void {
  const { outputs } = LAYERS.lstm;
  const fromInput = values('decoder.rnn.weight_ih', outputs * HIDDEN);
  const fromHidden = values('decoder.rnn.weight_hh', outputs * HIDDEN);
  const inputBias = values('decoder.rnn.bias_ih', outputs);
  const hiddenBias = values('decoder.rnn.bias_hh', outputs);
  const bias = inputBias.map((value, output) => value + (hiddenBias[output] as number));
  packDense(packed, PACKED.lstm, LAYERS.lstm, bias, (output, input) => {
    const weights = input < HIDDEN ? fromInput : fromHidden;
    return weights[output * HIDDEN + (input % HIDDEN)] as number;
  });
}

function packDense(
  packed: Float32Array,
  at: number,
  { inputs, outputs }: DenseShape,
  bias: Float32Array,
  weight: (output: number, input: number) => number,
): void {
  let next = at;
  for (let tile = 0; tile < outputs; tile += TILE) {
    for (let input = 0; input < inputs; input++) {
      for (let output = tile; output < tile + TILE; output++) packed[next++] = weight(output, input);
    }
  }
  packed.set(bias, next);
}

function packKernels(packed: Float32Array): void {
  for (const [index, { rate, phases }] of DECIMATIONS.entries()) {
    const reach = decimationReach(rate);
    for (let phase = 0; phase < phases; phase++) {
      const kernel = sincKernel(phase / phases, reach, rate / SILERO_RATE / KERNEL_CUTOFF);
      packed.set(kernel, (PACKED.kernels[index] as number) + phase * (2 * reach + 1));
    }
  }
}

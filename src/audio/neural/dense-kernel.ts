/**
 * The inner loop of the network as WebAssembly, four numbers an instruction: for each tile of 16 outputs
 *
 *     y[o] = bias[o] + w[0][o]·x[0] + w[1][o]·x[1] + …
 *
 * Each output is summed in the order of the inputs and every product is rounded to 32 bits before it is added, so that
 * the sums do not depend on how many numbers an instruction takes: native/dsp/src/audio/silero.rs has the same to the bit.
 */
export type Dense = (weights: number, inputs: number, outputs: number, inputCount: number, tiles: number) => void;

export interface DenseKernel {
  readonly dense: Dense;
  /** What the addresses in the calls are of; never grows. */
  readonly memory: Float32Array;
}

/** What is used of the global, which the types of Node leave to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

const PAGE = 65_536;

/** @param floats Length of the memory, in 32-bit numbers. */
export function createDenseKernel(floats: number): DenseKernel {
  const pages = Math.ceil((floats * 4) / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()), { m: { m: memory } });
  return { dense: instance.exports['d'] as Dense, memory: new Float32Array(memory.buffer) };
}

const I32 = 0x7f;
const V128 = 0x7b;
/** Parameters and variables of the function. */
const W = 0;
const X = 1;
const Y = 2;
const COUNT = 3;
const TILES = 4;
const BIAS = 5;
const NEXT_X = 6;
const END_X = 7;
const SUM = 8;
const FACTOR = 12;

const VECTORS = [0, 1, 2, 3];
const get = (variable: number): number[] => [0x20, variable];
const set = (variable: number): number[] => [0x21, variable];
const constant = (value: number): number[] => [0x41, value];
const ADD = [0x6a];
const SUBTRACT = [0x6b];
const MULTIPLY = [0x6c];
const SHIFT_LEFT = [0x74];
const LESS_UNSIGNED = [0x49];
const LOOP = [0x03, 0x40];
const REPEAT_IF = [0x0d, 0x00];
const END = [0x0b];
const VECTOR_ADD = [0xfd, 0xe4, 0x01];
const VECTOR_MULTIPLY = [0xfd, 0xe6, 0x01];
const load = (offset: number): number[] => [0xfd, 0x00, 0x02, offset];
const loadSplat = [0xfd, 0x09, 0x02, 0x00];
const store = (offset: number): number[] => [0xfd, 0x0b, 0x02, offset];
/** 64 does not fit into one byte of a signed LEB128. */
const SIXTY_FOUR = [0x41, 0xc0, 0x00];
const advance = (variable: number, by: number[]): number[] => [...get(variable), ...by, ...ADD, ...set(variable)];

function body(): number[] {
  return [
    ...[...get(W), ...get(COUNT), ...get(TILES), ...MULTIPLY, ...constant(6), ...SHIFT_LEFT, ...ADD, ...set(BIAS)],
    ...[...get(X), ...get(COUNT), ...constant(2), ...SHIFT_LEFT, ...ADD, ...set(END_X)],
    ...LOOP,
    ...VECTORS.flatMap((vector) => [...get(BIAS), ...load(16 * vector), ...set(SUM + vector)]),
    ...[...get(X), ...set(NEXT_X)],
    ...LOOP,
    ...[...get(NEXT_X), ...loadSplat, ...set(FACTOR)],
    ...VECTORS.flatMap((vector) => [
      ...[...get(SUM + vector), ...get(W), ...load(16 * vector), ...get(FACTOR), ...VECTOR_MULTIPLY],
      ...[...VECTOR_ADD, ...set(SUM + vector)],
    ]),
    ...advance(W, SIXTY_FOUR),
    ...advance(NEXT_X, constant(4)),
    ...[...get(NEXT_X), ...get(END_X), ...LESS_UNSIGNED, ...REPEAT_IF],
    ...END,
    ...VECTORS.flatMap((vector) => [...get(Y), ...get(SUM + vector), ...store(16 * vector)]),
    ...advance(Y, SIXTY_FOUR),
    ...advance(BIAS, SIXTY_FOUR),
    ...[...get(TILES), ...constant(1), ...SUBTRACT, 0x22, TILES, ...REPEAT_IF],
    ...END,
    ...END,
  ];
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: number[]): number[] => [id, ...length(content.length), ...content];
  const variables = [2, 3, I32, 5, V128];
  const code = [...variables, ...body()];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 5, I32, I32, I32, I32, I32, 0]),
    // Memory m.m, without a maximum of its own.
    ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x64, 0, 0]),
    ...section(10, [1, ...length(code.length), ...code]),
  ]);
}

/** Unsigned LEB128. */
function length(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...length(value >>> 7)];
}

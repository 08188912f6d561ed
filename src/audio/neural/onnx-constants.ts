/** A constant tensor of an ONNX model. */
export interface OnnxConstant {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Field numbers of onnx.proto. */
const MODEL = { GRAPH: 7 };
const GRAPH = { NODE: 1, INITIALIZER: 5 };
const NODE = { OUTPUT: 2, ATTRIBUTE: 5 };
const ATTRIBUTE = { TENSOR: 5, GRAPH: 6 };
const TENSOR = { DIMS: 1, DATA_TYPE: 2, NAME: 8, RAW_DATA: 9 };
const FLOAT = 1;
/** Protocol Buffers wire types. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const text = new TextDecoder();

/**
 * The float tensors that an ONNX model holds as constants, in its main graph and in the branches of its conditions. A
 * constant that a node makes bears the name of that node's output.
 * @throws RangeError when the bytes are no Protocol Buffers message.
 */
export function readOnnxConstants(model: Uint8Array): OnnxConstant[] {
  const constants: OnnxConstant[] = [];
  eachField(model, (field, bytes) => {
    if (field === MODEL.GRAPH) readGraph(bytes, constants);
  });
  return constants;
}

function readGraph(graph: Uint8Array, into: OnnxConstant[]): void {
  eachField(graph, (field, bytes) => {
    if (field === GRAPH.INITIALIZER) readTensor(bytes, undefined, into);
    if (field === GRAPH.NODE) readNode(bytes, into);
  });
}

function readNode(node: Uint8Array, into: OnnxConstant[]): void {
  let output = '';
  const attributes: Uint8Array[] = [];
  eachField(node, (field, bytes) => {
    if (field === NODE.OUTPUT && output === '') output = text.decode(bytes);
    if (field === NODE.ATTRIBUTE) attributes.push(bytes);
  });
  for (const attribute of attributes) {
    eachField(attribute, (field, bytes) => {
      if (field === ATTRIBUTE.TENSOR) readTensor(bytes, output, into);
      if (field === ATTRIBUTE.GRAPH) readGraph(bytes, into);
    });
  }
}

function readTensor(tensor: Uint8Array, nodeOutput: string | undefined, into: OnnxConstant[]): void {
  const dims: number[] = [];
  let type = 0;
  let name = nodeOutput;
  let raw: Uint8Array | undefined;
  eachField(
    tensor,
    (field, bytes) => {
      if (field === TENSOR.NAME) name ??= text.decode(bytes);
      if (field === TENSOR.RAW_DATA) raw = bytes;
      if (field === TENSOR.DIMS) for (let at = 0; at < bytes.length; ) at = varint(bytes, at, (dim) => dims.push(dim));
    },
    (field, value) => {
      if (field === TENSOR.DATA_TYPE) type = value;
      if (field === TENSOR.DIMS) dims.push(value);
    },
  );
  if (type !== FLOAT || raw === undefined || raw.length % 4 !== 0) return;
  into.push({ name: name ?? '', dims, values: new Float32Array(new Uint8Array(raw).buffer) });
}

/** Calls `onBytes` for each field that has a length, and `onNumber` for each variable-length integer. */
function eachField(
  message: Uint8Array,
  onBytes: (field: number, bytes: Uint8Array) => void,
  onNumber?: (field: number, value: number) => void,
): void {
  let at = 0;
  let key = 0;
  let value = 0;
  while (at < message.length) {
    at = varint(message, at, (read) => {
      key = read;
    });
    const wireType = key & 7;
    const field = key >>> 3;
    if (wireType === FIXED64) at += 8;
    else if (wireType === FIXED32) at += 4;
    else if (wireType === VARINT || wireType === BYTES) {
      at = varint(message, at, (read) => {
        value = read;
      });
      if (wireType === VARINT) {
        onNumber?.(field, value);
        continue;
      }
      if (at + value > message.length) throw new RangeError('A field is longer than its message.');
      onBytes(field, message.subarray(at, at + value));
      at += value;
    } else throw new RangeError(`Unknown wire type ${wireType}.`);
  }
}

/** Where the integer at `at` ends. */
function varint(bytes: Uint8Array, at: number, take: (value: number) => void): number {
  let value = 0;
  for (let shift = 1, index = at; shift < 2 ** 63; shift *= 128, index++) {
    const byte = bytes[index];
    if (byte === undefined) break;
    value += (byte & 0x7f) * shift;
    if (byte < 0x80) {
      take(value);
      return index + 1;
    }
  }
  throw new RangeError('An integer has no end.');
}

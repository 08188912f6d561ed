import { TrunklineError } from '../../core/errors.js';
import type { BitReader } from './bit-reader.js';

/** Type codes of RFC 9639 §9.2.1. */
const CONSTANT = 0b000000;
const VERBATIM = 0b000001;
const FIXED = 0b001000;
const MAX_FIXED_ORDER = 4;
const LINEAR = 0b100000;

/** Decodes one channel of a block (§9.2), of `width` bits a sample, into the start of `values`. */
export function decodeSubframe(bits: BitReader, values: Int32Array, count: number, width: number): void {
  if (bits.take(1) !== 0) throw invalid('begins with a one');
  const type = bits.take(6);
  const wasted = bits.take(1) === 1 ? bits.takeUnary() + 1 : 0;
  const own = width - wasted;
  if (own < 1) throw invalid('has no bits');
  if (type === CONSTANT) values.fill(bits.takeSigned(own), 0, count);
  else if (type === VERBATIM) for (let i = 0; i < count; i++) values[i] = bits.takeSigned(own);
  else if (type >= FIXED && type <= FIXED + MAX_FIXED_ORDER) decodeFixed(bits, values, count, own, type - FIXED);
  else if (type >= LINEAR) decodeLinear(bits, values, count, own, type - LINEAR + 1);
  else throw invalid('is of an unknown type');
  if (wasted > 0) for (let i = 0; i < count; i++) values[i] = (values[i] as number) << wasted;
}

/** §9.2.5. The predictor of order n adds up the errors n times. */
function decodeFixed(bits: BitReader, values: Int32Array, count: number, width: number, order: number): void {
  if (order > count) throw invalid('is shorter than its predictor');
  for (let i = 0; i < order; i++) values[i] = bits.takeSigned(width);
  decodeErrors(bits, values, count, order);
  for (let level = order; level > 0; level--) {
    // The difference of order level − 1 before the first error.
    let last = differenceBefore(values, order, level - 1);
    for (let i = order; i < count; i++) {
      last = (last + (values[i] as number)) | 0;
      values[i] = last;
    }
  }
}

/** The n-th difference of the samples before index `at`. */
function differenceBefore(values: Int32Array, at: number, n: number): number {
  if (n === 0) return values[at - 1] as number;
  return differenceBefore(values, at, n - 1) - differenceBefore(values, at - 1, n - 1);
}

/** §9.2.6. Sums have up to 45 bits: floating point holds them exactly. */
function decodeLinear(bits: BitReader, values: Int32Array, count: number, width: number, order: number): void {
  if (order > count) throw invalid('is shorter than its predictor');
  for (let i = 0; i < order; i++) values[i] = bits.takeSigned(width);
  const precision = bits.take(4) + 1;
  const shift = bits.takeSigned(5);
  if (precision > 15 || shift < 0) throw invalid('has no predictor');
  const coefficients = Float64Array.from({ length: order }, () => bits.takeSigned(precision));
  decodeErrors(bits, values, count, order);
  const scale = 2 ** -shift;
  for (let i = order; i < count; i++) {
    let sum = 0;
    for (let j = 0; j < order; j++) sum += (coefficients[j] as number) * (values[i - 1 - j] as number);
    values[i] = (Math.floor(sum * scale) + (values[i] as number)) | 0;
  }
}

/** §9.2.7: the errors, from index `order` on. */
function decodeErrors(bits: BitReader, values: Int32Array, count: number, order: number): void {
  const method = bits.take(2);
  if (method > 1) throw invalid('is coded in an unknown way');
  const parameterBits = method === 0 ? 4 : 5;
  const escapeCode = (1 << parameterBits) - 1;
  const partitionOrder = bits.take(4);
  const length = count >> partitionOrder;
  if (length << partitionOrder !== count || length < order) throw invalid('has partitions that do not fit');
  for (let partition = 0, at = order; partition < 1 << partitionOrder; partition++) {
    const errors = length - (partition === 0 ? order : 0);
    const parameter = bits.take(parameterBits);
    if (parameter < escapeCode) bits.takeRice(values, at, errors, parameter);
    else {
      const width = bits.take(5);
      for (let i = at; i < at + errors; i++) values[i] = bits.takeSigned(width);
    }
    at += errors;
  }
}

function invalid(what: string): TrunklineError {
  return new TrunklineError('FILE_INVALID', `a channel of the FLAC frame ${what}`);
}

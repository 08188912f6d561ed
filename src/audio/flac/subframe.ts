import type { BitWriter } from './bit-writer.js';

/** Of the fixed predictors of RFC 9639 §9.2.5. There is a fourth as well, which telephone speech hardly ever needs. */
const MAX_ORDER = 3;
/** Errors are at most 2^18, of which a sum of 31 bits takes so many. */
const SUM_SAMPLES = 4096;
/** As the streamable subset of §7 has it at the most, less than its 8: a partition should be worth its parameter. */
const MAX_PARTITION_ORDER = 5;
/** Of the Rice parameters of 4 bits; 15 is an escape. */
const MAX_PARAMETER = 14;
const PARAMETER_BITS = 4;
const BITS = 16;
/** Type codes of §9.2.1. */
const CONSTANT = 0b000000;
const VERBATIM = 0b000001;
const FIXED = 0b001000;

/**
 * Codes one channel of a block (RFC 9639 §9.2) with the fixed predictors: polynomials of order 0 to 3 through the last
 * samples, whose errors are written in Rice code, in partitions with a parameter each. Trailing zero bits that all samples
 * have are left out; G.711 has two or three of them. Linear prediction was tried: on telephone speech in blocks of 1,024
 * samples it makes files 1 % smaller, and on many larger.
 */
export class SubframeEncoder {
  readonly #samples: Int32Array;
  readonly #errors: Int32Array;
  readonly #orderSums = new Float64Array(MAX_ORDER + 1);
  /** By partition, the finest first, then each pair added up: errors folded to unsigned numbers, added up. */
  readonly #sums = new Float64Array(2 << MAX_PARTITION_ORDER);

  /** @param maxSamples longest block. */
  constructor(maxSamples: number) {
    this.#samples = new Int32Array(maxSamples);
    this.#errors = new Int32Array(maxSamples);
  }

  /** Codes `count` samples, every `stride`-th from `at` on. */
  encode(source: Int16Array, at: number, stride: number, count: number, out: BitWriter): void {
    const wasted = this.#load(source, at, stride, count);
    const bits = BITS - wasted;
    if (wasted < 0) {
      out.put(CONSTANT << 1, 8);
      out.put(source[at] as number, BITS);
      return;
    }
    const order = this.#chooseOrder(count);
    this.#predict(order, count);
    const partitionOrder = this.#sumPartitions(order, count);
    const best = this.#choosePartitions(partitionOrder, order, count);
    if (best.bits + order * bits >= count * bits) {
      this.#header(VERBATIM, wasted, out);
      for (let i = 0; i < count; i++) out.put(this.#samples[i] as number, bits);
      return;
    }
    this.#header(FIXED | order, wasted, out);
    for (let i = 0; i < order; i++) out.put(this.#samples[i] as number, bits);
    this.#writeErrors(best.order, partitionOrder, order, count, out);
  }

  /** Takes the samples without their common zero bits; returns how many those are, −1 when all samples are the same. */
  #load(source: Int16Array, at: number, stride: number, count: number): number {
    const samples = this.#samples;
    const first = source[at] as number;
    let used = 0;
    let differs = 0;
    for (let i = 0, from = at; i < count; i++, from += stride) {
      const sample = source[from] as number;
      samples[i] = sample;
      used |= sample;
      differs |= sample ^ first;
    }
    if (differs === 0) return -1;
    const wasted = 31 - Math.clz32(used & -used);
    if (wasted > 0) for (let i = 0; i < count; i++) samples[i] = (samples[i] as number) >> wasted;
    return wasted;
  }

  /** The predictor with the smallest errors, of those that the block is long enough for. */
  #chooseOrder(count: number): number {
    const sums = this.#orderSums.fill(0);
    for (let at = MAX_ORDER; at < count; at += SUM_SAMPLES) this.#addErrors(at, Math.min(count, at + SUM_SAMPLES));
    let best = 0;
    for (let order = 1; order <= MAX_ORDER; order++) {
      if ((sums[order] as number) < (sums[best] as number)) best = order;
    }
    return best;
  }

  /** Adds up the errors of each predictor in [start, end), in numbers of 32 bits: few enough for these. */
  #addErrors(start: number, end: number): void {
    const samples = this.#samples;
    let sample = samples[start - 1] as number;
    let last1 = sample - (samples[start - 2] as number);
    let last2 = last1 - (samples[start - 2] as number) + (samples[start - 3] as number);
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let i = start; i < end; i++) {
      const next = samples[i] as number;
      const error1 = (next - sample) | 0;
      const error2 = (error1 - last1) | 0;
      const error3 = (error2 - last2) | 0;
      sample = next;
      last1 = error1;
      last2 = error2;
      sum0 = (sum0 + ((next ^ (next >> 31)) - (next >> 31))) | 0;
      sum1 = (sum1 + ((error1 ^ (error1 >> 31)) - (error1 >> 31))) | 0;
      sum2 = (sum2 + ((error2 ^ (error2 >> 31)) - (error2 >> 31))) | 0;
      sum3 = (sum3 + ((error3 ^ (error3 >> 31)) - (error3 >> 31))) | 0;
    }
    const sums = this.#orderSums;
    sums[0] = (sums[0] as number) + sum0;
    sums[1] = (sums[1] as number) + sum1;
    sums[2] = (sums[2] as number) + sum2;
    sums[3] = (sums[3] as number) + sum3;
  }

  /** The errors of a predictor, from index `order` on. */
  #predict(order: number, count: number): void {
    const samples = this.#samples;
    const errors = this.#errors;
    errors.set(samples.subarray(0, count));
    for (let level = 0; level < order; level++) {
      let last = errors[level] as number;
      for (let i = level + 1; i < count; i++) {
        const error = errors[i] as number;
        errors[i] = error - last;
        last = error;
      }
    }
  }

  /** Adds up the errors of each partition; returns the finest order, of partitions that are longer than the predictor. */
  #sumPartitions(order: number, count: number): number {
    let finest = MAX_PARTITION_ORDER;
    while (finest > 0 && (count % (1 << finest) !== 0 || count >> finest <= MAX_ORDER)) finest--;
    const errors = this.#errors;
    const sums = this.#sums;
    const length = count >> finest;
    const partitions = 1 << finest;
    for (let partition = 0, i = order; partition < partitions; partition++) {
      let sum = 0;
      for (const end = (partition + 1) * length; i < end; i++) {
        const error = errors[i] as number;
        sum += ((error << 1) ^ (error >> 31)) >>> 0;
      }
      sums[partition] = sum;
    }
    for (let i = 0, to = partitions; i < 2 * (partitions - 1); i += 2, to++) {
      sums[to] = (sums[i] as number) + (sums[i + 1] as number);
    }
    return finest;
  }

  /** The number of partitions that takes the least bits, and how many those are at the most. */
  #choosePartitions(finest: number, order: number, count: number): { order: number; bits: number } {
    let best = { order: 0, bits: Number.POSITIVE_INFINITY };
    for (let partitionOrder = finest, from = 0; partitionOrder >= 0; partitionOrder--) {
      const partitions = 1 << partitionOrder;
      let bits = 2 + PARAMETER_BITS;
      for (let i = 0; i < partitions; i++) {
        const errors = (count >> partitionOrder) - (i === 0 ? order : 0);
        const sum = this.#sums[from + i] as number;
        bits += PARAMETER_BITS + riceBits(sum, errors, riceParameter(sum, errors));
      }
      if (bits < best.bits) best = { order: partitionOrder, bits };
      from += partitions;
    }
    return best;
  }

  #header(type: number, wasted: number, out: BitWriter): void {
    out.put((type << 1) | (wasted > 0 ? 1 : 0), 8);
    // So many less one in zeros, then a one.
    if (wasted > 0) out.put(1, wasted);
  }

  #writeErrors(partitionOrder: number, finest: number, order: number, count: number, out: BitWriter): void {
    // The method with parameters of 4 bits.
    out.put(0, 2);
    out.put(partitionOrder, PARAMETER_BITS);
    let from = 0;
    for (let i = finest; i > partitionOrder; i--) from += 1 << i;
    for (let i = 0, at = order; i < 1 << partitionOrder; i++) {
      const errors = (count >> partitionOrder) - (i === 0 ? order : 0);
      const parameter = riceParameter(this.#sums[from + i] as number, errors);
      out.put(parameter, PARAMETER_BITS);
      out.putRice(this.#errors, at, errors, parameter);
      at += errors;
    }
  }
}

/** The parameter that suits `count` errors of that sum: near the logarithm of their mean. */
function riceParameter(sum: number, count: number): number {
  const mean = Math.floor(sum / count);
  const near = Math.min(MAX_PARAMETER, mean < 2 ? 0 : 31 - Math.clz32(mean));
  const before = near > 0 ? near - 1 : 0;
  return riceBits(sum, count, before) < riceBits(sum, count, near) ? before : near;
}

/** The bits of so many errors at the most: for each a one, the parameter's bits, and the zeros. */
function riceBits(sum: number, count: number, parameter: number): number {
  return count * (1 + parameter) + Math.floor(sum / (1 << parameter));
}

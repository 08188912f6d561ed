/**
 * Random numbers that come again with the same seed: sfc32 (C. Doty-Humphrey, PractRand), its state filled by
 * splitmix32 from a seed and a list of names, so that every use has a sequence of its own and none disturbs another.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `path` tells what the numbers are for, such as an interaction's index and a channel. */
  constructor(seed: number, ...path: readonly number[]) {
    let state = mix(seed | 0);
    for (const step of path) state = mix(state ^ Math.imul(step + 1, 0x9e3779b9));
    this.#a = mix(state + 0x9e3779b9);
    this.#b = mix(state + 0x3c6ef372);
    this.#c = mix(state + 0xdaa66d2b);
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** 0 to 2^32 − 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 (with) to 1 (without). */
  unit(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 to `bound` − 1. */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  /** A version 4 UUID (RFC 9562). */
  uuid(): string {
    const words = Array.from({ length: 4 }, () => this.uint32());
    const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('');
    const variant = '89ab'.charAt(this.below(4));
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}

function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

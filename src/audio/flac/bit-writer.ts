/** Writes numbers of some bits each, most significant bit first. */
export class BitWriter {
  readonly bytes: Uint8Array;
  #at = 0;
  /** What is not a whole byte yet, fewer than 8 bits between two calls. */
  #pending = 0;
  #pendingBits = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  begin(at: number): void {
    this.#at = at;
    this.#pending = 0;
    this.#pendingBits = 0;
  }

  /** Where the next byte goes; the end, once align() was called. */
  get at(): number {
    return this.#at;
  }

  /** Writes the lowest `bits` bits of `value`, at most 24. */
  put(value: number, bits: number): void {
    let pending = (this.#pending << bits) | (value & ((1 << bits) - 1));
    let count = this.#pendingBits + bits;
    const { bytes } = this;
    while (count >= 8) {
      count -= 8;
      bytes[this.#at++] = pending >>> count;
    }
    pending &= (1 << count) - 1;
    this.#pending = pending;
    this.#pendingBits = count;
  }

  /** Fills the last byte with zeros. */
  align(): void {
    if (this.#pendingBits > 0) this.put(0, 8 - this.#pendingBits);
  }

  /**
   * Writes `count` values from `at` on, each folded to an unsigned one, in Rice code: the value shifted right by
   * `parameter` as so many zeros, a one, then the rest in `parameter` bits, at most 14.
   */
  putRice(values: Int32Array, at: number, count: number, parameter: number): void {
    const { bytes } = this;
    const stop = 1 << parameter;
    const mask = stop - 1;
    let pending = this.#pending;
    let pendingBits = this.#pendingBits;
    let to = this.#at;
    for (let i = at; i < at + count; i++) {
      const value = values[i] as number;
      const folded = (value << 1) ^ (value >> 31);
      let zeros = folded >>> parameter;
      while (zeros > 8) {
        const part = zeros > 16 ? 16 : zeros - 8;
        pending <<= part;
        pendingBits += part;
        zeros -= part;
        while (pendingBits >= 8) {
          pendingBits -= 8;
          bytes[to++] = pending >>> pendingBits;
        }
        pending &= (1 << pendingBits) - 1;
      }
      const bits = zeros + 1 + parameter;
      pending = (pending << bits) | stop | (folded & mask);
      pendingBits += bits;
      while (pendingBits >= 8) {
        pendingBits -= 8;
        bytes[to++] = pending >>> pendingBits;
      }
      pending &= (1 << pendingBits) - 1;
    }
    this.#pending = pending;
    this.#pendingBits = pendingBits;
    this.#at = to;
  }
}

/** The bits asked for are beyond the bytes that there are. */
export class EndOfBits extends Error {}

/** Reads numbers of some bits each, most significant bit first. */
export class BitReader {
  readonly bytes: Uint8Array;
  #at = 0;
  #end = 0;
  /** What has been taken from the bytes and not been read yet: `#count` low bits, and zeros above them. */
  #held = 0;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  begin(at: number, end: number): void {
    this.#at = at;
    this.#end = end;
    this.#held = 0;
    this.#count = 0;
  }

  /** Where the next whole byte begins, once align() was called. */
  get at(): number {
    return this.#at - (this.#count >> 3);
  }

  /** The next `bits` bits, at most 32. */
  take(bits: number): number {
    if (bits > 16) return this.take(bits - 16) * 0x1_0000 + this.take(16);
    while (this.#count < bits) {
      if (this.#at >= this.#end) throw new EndOfBits();
      this.#held = (this.#held << 8) | (this.bytes[this.#at++] as number);
      this.#count += 8;
    }
    this.#count -= bits;
    const value = this.#held >>> this.#count;
    this.#held &= (1 << this.#count) - 1;
    return value;
  }

  /** The same as a two's complement. */
  takeSigned(bits: number): number {
    if (bits === 0) return 0;
    const value = this.take(bits);
    return value >= 2 ** (bits - 1) ? value - 2 ** bits : value;
  }

  /** Zeros up to the next one, which is taken too. */
  takeUnary(): number {
    let zeros = 0;
    while (this.#held === 0) {
      zeros += this.#count;
      if (this.#at >= this.#end) throw new EndOfBits();
      this.#held = this.bytes[this.#at++] as number;
      this.#count = 8;
    }
    const lead = Math.clz32(this.#held) - (32 - this.#count);
    this.#count -= lead + 1;
    this.#held &= (1 << this.#count) - 1;
    return zeros + lead;
  }

  /** Drops what is left of a byte. */
  align(): void {
    this.#count -= this.#count & 7;
    this.#held &= (1 << this.#count) - 1;
  }

  /** Reads `count` values in Rice code of that parameter, folded to unsigned ones, into `values` from `at` on. */
  takeRice(values: Int32Array, at: number, count: number, parameter: number): void {
    if (parameter > 16) {
      for (let i = at; i < at + count; i++) {
        const folded = this.takeUnary() * 2 ** parameter + this.take(parameter);
        values[i] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
      }
      return;
    }
    const { bytes } = this;
    const end = this.#end;
    let [held, bits, next] = [this.#held, this.#count, this.#at];
    for (let i = at; i < at + count; i++) {
      let zeros = 0;
      while (held === 0) {
        zeros += bits;
        if (next >= end) throw new EndOfBits();
        held = bytes[next++] as number;
        bits = 8;
      }
      const lead = Math.clz32(held) - (32 - bits);
      zeros += lead;
      bits -= lead + 1;
      held &= (1 << bits) - 1;
      while (bits < parameter) {
        if (next >= end) throw new EndOfBits();
        held = (held << 8) | (bytes[next++] as number);
        bits += 8;
      }
      bits -= parameter;
      const folded = (zeros << parameter) | (held >>> bits);
      held &= (1 << bits) - 1;
      values[i] = (folded >>> 1) ^ -(folded & 1);
    }
    [this.#held, this.#count, this.#at] = [held, bits, next];
  }
}

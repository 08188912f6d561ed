/**
 * Memory with packets and PCM in it, seen in each width that the work on them needs. Offsets count bytes of a payload
 * and samples of PCM; who finds both at a multiple of four bytes goes over them word by word, which is what the inner
 * loops are for: a look at memory costs them more than what they do with it. Rings place every record so.
 */
export class SampleMemory {
  readonly bytes: Uint8Array;
  /** 16 bits, native (little) endian. */
  readonly samples: Int16Array;
  /** Four bytes or two samples, the first in the low bits. */
  readonly words: Int32Array;

  constructor(memory: ArrayBufferLike) {
    this.bytes = new Uint8Array(memory);
    this.samples = new Int16Array(memory, 0, memory.byteLength >> 1);
    this.words = new Int32Array(memory, 0, memory.byteLength >> 2);
  }

  /** Memory of its own with the bytes of `array`, and zeros up to a whole word. */
  static copyOf(array: Uint8Array | Int16Array): SampleMemory {
    const copy = new SampleMemory(new ArrayBuffer((array.byteLength + 3) & ~3));
    copy.bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return copy;
  }
}

/** Copies `count` samples; the places must not overlap. */
export function copySamples(from: SampleMemory, at: number, to: SampleMemory, toAt: number, count: number): void {
  copyBytes(from, at * 2, to, toAt * 2, count * 2);
}

/** Copies `count` bytes; the places must not overlap. */
export function copyBytes(from: SampleMemory, at: number, to: SampleMemory, toAt: number, count: number): void {
  let done = 0;
  if (((at | toAt) & 3) === 0) {
    const source = from.words;
    const target = to.words;
    let read = at >> 2;
    let write = toAt >> 2;
    for (; done + 32 <= count; done += 32, read += 8, write += 8) {
      target[write] = source[read] as number;
      target[write + 1] = source[read + 1] as number;
      target[write + 2] = source[read + 2] as number;
      target[write + 3] = source[read + 3] as number;
      target[write + 4] = source[read + 4] as number;
      target[write + 5] = source[read + 5] as number;
      target[write + 6] = source[read + 6] as number;
      target[write + 7] = source[read + 7] as number;
    }
  }
  for (; done < count; done++) to.bytes[toAt + done] = from.bytes[at + done] as number;
}

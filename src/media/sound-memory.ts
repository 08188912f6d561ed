/**
 * Memory with packets and PCM in it, seen in each width that the work on them needs. Offsets count bytes of a payload
 * and samples of PCM; who finds both at a multiple of four bytes goes over them word by word, which is what the inner
 * loops are for: a look at memory costs them more than what they do with it. Rings place every record so.
 */
export class SoundMemory {
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
  static copyOf(array: Uint8Array | Int16Array): SoundMemory {
    const copy = new SoundMemory(new ArrayBuffer((array.byteLength + 3) & ~3));
    copy.bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return copy;
  }
}

/** Copies `count` samples; the places must not overlap. */
export function copySamples(from: SoundMemory, at: number, to: SoundMemory, toAt: number, count: number): void {
  let done = 0;
  if (((at | toAt) & 1) === 0) {
    const words = count >> 1;
    const source = at >> 1;
    const target = toAt >> 1;
    let i = 0;
    for (; i + 4 <= words; i += 4) {
      to.words[target + i] = from.words[source + i] as number;
      to.words[target + i + 1] = from.words[source + i + 1] as number;
      to.words[target + i + 2] = from.words[source + i + 2] as number;
      to.words[target + i + 3] = from.words[source + i + 3] as number;
    }
    done = i * 2;
  }
  for (; done < count; done++) to.samples[toAt + done] = from.samples[at + done] as number;
}

import { DIGEST_BYTES, KEY_BYTES } from './chunk-format.js';

/**
 * What a new recorder thread needs to go on with the encrypted file of a dead one, in shared memory and nowhere else:
 *
 *     0     which of the two states is valid: 1 or 2; 0 when there is no key   i32
 *     4     how often the key has been used                                    i32
 *     8     mark of the file                                                   i32
 *     16    the key
 *     48    two states of 64 bytes: end of the last chunk f64, size of the content f64, chunks i32, digest at +32
 */
export const KEY_PLACE_BYTES = 192;
const PLACE = { VALID: 0, USES: 4, MARK: 8, KEY: 16, STATES: 48, STATE_BYTES: 64 } as const;
const STATE = { END: 0, SIZE: 8, CHUNKS: 16, DIGEST: 32 } as const;
/** Uses are counted in 31 bits; at one a second that is 68 years. */
const MAX_USES = 0x7fff_ffff;

/** How far a file has been written. */
export interface FileState {
  /** Where the next chunk belongs. */
  readonly end: number;
  /** Of what is encrypted. */
  readonly size: number;
  readonly chunks: number;
  /** Of everything before `end` but the ciphertext. */
  readonly digest: Uint8Array;
}

/** The key of one file that is being written. */
export class KeyPlace {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Buffer;

  /** Place `index` of `memory`, which has KEY_PLACE_BYTES for each. */
  constructor(memory: SharedArrayBuffer | ArrayBuffer, index: number) {
    const at = index * KEY_PLACE_BYTES;
    this.#words = new Int32Array(memory, at, KEY_PLACE_BYTES >> 2);
    this.#doubles = new Float64Array(memory, at, KEY_PLACE_BYTES >> 3);
    this.#bytes = Buffer.from(memory, at, KEY_PLACE_BYTES);
  }

  begin(key: Uint8Array, mark: number, state: FileState): void {
    this.forget();
    this.#bytes.set(key, PLACE.KEY);
    this.#words[PLACE.MARK >> 2] = mark;
    this.commit(state);
  }

  /** Undefined when there is no key. */
  get state(): FileState | undefined {
    const valid = Atomics.load(this.#words, PLACE.VALID >> 2);
    if (valid === 0) return undefined;
    const at = PLACE.STATES + (valid - 1) * PLACE.STATE_BYTES;
    return {
      end: this.#doubles[(at + STATE.END) >> 3] as number,
      size: this.#doubles[(at + STATE.SIZE) >> 3] as number,
      chunks: this.#words[(at + STATE.CHUNKS) >> 2] as number,
      digest: Uint8Array.from(this.#bytes.subarray(at + STATE.DIGEST, at + STATE.DIGEST + DIGEST_BYTES)),
    };
  }

  get mark(): number {
    return (this.#words[PLACE.MARK >> 2] as number) >>> 0;
  }

  copyKey(): Buffer {
    return Buffer.from(Uint8Array.prototype.slice.call(this.#bytes, PLACE.KEY, PLACE.KEY + KEY_BYTES));
  }

  /** Written beside the valid state, which it then replaces at once: a thread may die anywhere in here. */
  commit({ end, size, chunks, digest }: FileState): void {
    const next = Atomics.load(this.#words, PLACE.VALID >> 2) === 1 ? 2 : 1;
    const at = PLACE.STATES + (next - 1) * PLACE.STATE_BYTES;
    this.#doubles[(at + STATE.END) >> 3] = end;
    this.#doubles[(at + STATE.SIZE) >> 3] = size;
    this.#words[(at + STATE.CHUNKS) >> 2] = chunks;
    this.#bytes.set(digest, at + STATE.DIGEST);
    Atomics.store(this.#words, PLACE.VALID >> 2, next);
  }

  /**
   * The number of one more use of the key, from which its nonce is made. Counted before the use and in one step, so that
   * neither a thread that dies nor two at once can use one twice.
   */
  use(): number {
    const uses = Atomics.add(this.#words, PLACE.USES >> 2, 1);
    if (uses < 0 || uses >= MAX_USES) throw new Error('The key of a recording has been used too often.');
    return uses;
  }

  forget(): void {
    this.#words.fill(0);
  }
}

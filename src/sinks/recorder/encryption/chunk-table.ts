import { createDecipheriv } from 'node:crypto';
import {
  CHUNK_HEADER_BYTES,
  CHUNK_KIND,
  type ChunkHeader,
  ChunkScratch,
  DIGEST_BYTES,
  digestOf,
  type FileHead,
  markOf,
  TAG_BYTES,
} from './chunk-format.js';

/** Reads up to `length` bytes at `position` of the encrypted file into the start of `into`; returns how many. */
export type ReadAt = (into: Buffer, length: number, position: number) => number;

/** A chunk in the file. */
export interface Chunk {
  readonly kind: number;
  /** Of its content, and the end of it. What a chunk of kind SIZE or FINAL cuts off counts as its content: zeros. */
  readonly start: number;
  readonly end: number;
  /** Of its header in the file. */
  readonly offset: number;
  readonly silent: number;
  readonly samples: number;
}

/** The chunks of an encrypted file, from their headers: some 150 bytes for each, and a second of a call or so in each. */
export class ChunkTable {
  readonly chunks: Chunk[] = [];
  readonly #mark: number;
  readonly #scratch = new ChunkScratch();
  readonly #read: ReadAt;
  /** The digest before each chunk, and after the last. */
  #digests = Buffer.alloc(64 * DIGEST_BYTES);
  #end: number;
  #size = 0;
  #isSealed = false;

  constructor(head: FileHead, read: ReadAt) {
    this.#mark = markOf(head.id);
    this.#read = read;
    this.#end = head.bytes.length;
    this.#digests.set(digestOf(head.bytes));
  }

  /** Where the last complete chunk ends in the file. */
  get end(): number {
    return this.#end;
  }

  /** Of the content. */
  get size(): number {
    return this.#size;
  }

  /** The last chunk says that it is the last. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** Goes on as far as there are complete chunks. Headers are taken as they are: see open(). */
  scan(fileSize: number): void {
    const { header } = this.#scratch;
    while (!this.#isSealed && this.#end + CHUNK_HEADER_BYTES <= fileSize) {
      if (this.#read(header, CHUNK_HEADER_BYTES, this.#end) < CHUNK_HEADER_BYTES) return;
      const chunk = this.#scratch.get(this.#mark, this.chunks.length);
      if (chunk === undefined || this.#end + CHUNK_HEADER_BYTES + chunk.length > fileSize) return;
      this.#add(chunk);
    }
  }

  /**
   * The content of a chunk; undefined when it is not as it was written. That a chunk opens shows also that the headers of
   * all those before it are as they were written.
   */
  open(number: number, key: Uint8Array): Buffer | undefined {
    const chunk = this.chunks[number];
    if (chunk === undefined) return undefined;
    const scratch = this.#scratch;
    scratch.digest.set(this.#digests.subarray(number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES));
    const length = chunk.kind === CHUNK_KIND.DATA ? chunk.end - chunk.start : 0;
    const sealed = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + length);
    if (this.#read(sealed, sealed.length, chunk.offset) < sealed.length) return undefined;
    sealed.copy(scratch.header, 0, 0, CHUNK_HEADER_BYTES);
    scratch.setNonce();
    const decipher = createDecipheriv('aes-256-gcm', key, scratch.nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(scratch.authenticated);
    decipher.setAuthTag(scratch.tag);
    try {
      const plain = decipher.update(sealed.subarray(CHUNK_HEADER_BYTES));
      decipher.final();
      return plain;
    } catch {
      return undefined;
    }
  }

  /** Forgets the chunks from `number` on. */
  cut(number: number): void {
    this.chunks.length = Math.min(this.chunks.length, number);
    const last = this.chunks.at(-1);
    this.#size = this.chunks.reduce((size, chunk) => sizeAfter(chunk, size), 0);
    this.#isSealed = last?.kind === CHUNK_KIND.FINAL;
  }

  #add(header: ChunkHeader): void {
    const { kind, silent, position, length, samples } = header;
    const end = kind === CHUNK_KIND.DATA ? position + length : Math.max(position, this.#size);
    const chunk = { kind, start: position, end, offset: this.#end, silent, samples };
    this.chunks.push(chunk);
    this.#size = sizeAfter(chunk, this.#size);
    this.#isSealed = kind === CHUNK_KIND.FINAL;
    this.#end += CHUNK_HEADER_BYTES + length;
    const at = this.chunks.length * DIGEST_BYTES;
    this.#scratch.digest.set(this.#digests.subarray(at - DIGEST_BYTES, at));
    this.#scratch.digestNext();
    if (at + DIGEST_BYTES > this.#digests.length) {
      this.#digests = Buffer.concat([this.#digests], 2 * this.#digests.length);
    }
    this.#digests.set(this.#scratch.nextDigest, at);
  }
}

function sizeAfter({ kind, start, end }: Chunk, size: number): number {
  return kind === CHUNK_KIND.DATA ? Math.max(size, end) : start;
}

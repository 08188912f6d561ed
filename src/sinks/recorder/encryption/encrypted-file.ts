import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import type { ByteFile } from '../files/byte-file.js';
import { errnoOf } from '../files/disk-fault.js';
import { encryptFor } from './age-file.js';
import type { Recipient } from './age-keys.js';
import {
  CHUNK_HEADER_BYTES,
  CHUNK_KIND,
  DIGEST_BYTES,
  digestOf,
  ID_BYTES,
  KEY_BYTES,
  MAX_CHUNK_BYTES,
  makeHead,
  markOf,
  readHead,
} from './chunk-format.js';
import type { ChunkSealer } from './chunk-sealer.js';
import { ChunkTable } from './chunk-table.js';
import type { FileState, KeyPlace } from './key-place.js';

const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const REOPEN = constants.O_RDWR | constants.O_NOFOLLOW;
const NOTHING = Buffer.alloc(0);

export interface EncryptedFileDependencies {
  readonly recipients: readonly Recipient[];
  /** Where the key is while the file is written, and after it: see RecordingEncryption.forgetKeys(). */
  readonly place: KeyPlace;
  /** For all files of the thread. */
  readonly sealer: ChunkSealer;
  /** Nobody goes on with it: close() forgets the key. */
  readonly isPrivate: boolean;
  /** What the head says of the file, in clear text and authenticated. */
  describe(): string;
}

/**
 * A file that is encrypted from its first byte. Each write appends a chunk that says where its content belongs; what is
 * written again is a further chunk, which replaces the former content for a reader. So nothing that was written is ever
 * changed, and a kill costs the last chunk at most. Once its key is forgotten, only the recipients can read it.
 */
export class EncryptedFile implements ByteFile {
  readonly #use: EncryptedFileDependencies;
  /** Of everything before the next chunk. */
  readonly #digest = Buffer.alloc(DIGEST_BYTES);
  #fd = -1;
  #key: Buffer = NOTHING;
  #end = 0;
  #size = 0;
  #chunks = 0;
  #mark = 0;
  /** For read(); made when it is needed first. */
  #table: ChunkTable | undefined;
  #samples = 0;
  #silent = 0;

  constructor(dependencies: EncryptedFileDependencies) {
    this.#use = dependencies;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  get isLinked(): boolean {
    return fstatSync(this.#fd).nlink > 0;
  }

  get size(): number {
    return this.#size;
  }

  create(path: string, mode: number): void {
    const { recipients, place, describe } = this.#use;
    const fd = openSync(path, CREATE, mode);
    try {
      const key = randomBytes(KEY_BYTES);
      const id = randomBytes(ID_BYTES);
      const head = makeHead(id, describe(), encryptFor(recipients, key));
      for (let done = 0; done < head.length; ) done += writeSync(fd, head, done, head.length - done, done);
      const state = { end: head.length, size: 0, chunks: 0, digest: digestOf(head) };
      place.begin(key, markOf(id), state);
      this.#begin(fd, key, state);
    } catch (thrown) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw thrown;
    }
  }

  reopen(path: string): boolean {
    const { place } = this.#use;
    const { state } = place;
    if (state === undefined) return false;
    let fd: number;
    try {
      fd = openSync(path, REOPEN);
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    }
    this.#begin(fd, place.copyKey(), state);
    // What a thread wrote before it died and did not get to say.
    ftruncateSync(fd, state.end);
    return true;
  }

  write(source: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    const bytes = new Uint8Array(source.buffer, source.byteOffset + at, length);
    for (let done = 0; done < length; done += MAX_CHUNK_BYTES) {
      const part = length > MAX_CHUNK_BYTES ? bytes.subarray(done, done + MAX_CHUNK_BYTES) : bytes;
      this.#append(CHUNK_KIND.DATA, position + done, part);
    }
    return length;
  }

  read(into: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    const bytes = new Uint8Array(into.buffer, into.byteOffset + at, length);
    const end = Math.min(position + length, this.#size);
    if (end <= position) return 0;
    bytes.fill(0, 0, end - position);
    const table = this.#tableOf();
    for (const [number, chunk] of table.chunks.entries()) {
      const from = Math.max(position, chunk.start);
      const to = Math.min(end, chunk.end);
      if (from >= to) continue;
      if (chunk.kind !== CHUNK_KIND.DATA) bytes.fill(0, from - position, to - position);
      else {
        const content = table.open(number, this.#key);
        if (content === undefined) throw new Error('An encrypted recording was changed while it was being written.');
        bytes.set(content.subarray(from - chunk.start, to - chunk.start), from - position);
      }
    }
    return end - position;
  }

  truncate(length: number): void {
    if (length !== this.#size) this.#append(CHUNK_KIND.SIZE, length, NOTHING);
  }

  seal(): void {
    this.#append(CHUNK_KIND.FINAL, this.#size, NOTHING);
    // After a chunk that a full disk took in part, there may be more.
    ftruncateSync(this.#fd, this.#end);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    if (this.#key.length > 0) this.#use.sealer.forget();
    this.#key.fill(0);
    this.#key = NOTHING;
    this.#table = undefined;
    if (this.#use.isPrivate) this.#use.place.forget();
  }

  label(samples: number, silent: number): void {
    this.#samples = samples;
    this.#silent = silent;
  }

  #begin(fd: number, key: Buffer, { end, size, chunks, digest }: FileState): void {
    this.#fd = fd;
    this.#key = key;
    this.#end = end;
    this.#size = size;
    this.#chunks = chunks;
    this.#mark = this.#use.place.mark;
    this.#digest.set(digest);
    this.#table = undefined;
  }

  #append(kind: number, position: number, content: Uint8Array): void {
    const { place, sealer } = this.#use;
    const { scratch } = sealer;
    const { length } = content;
    scratch.key.set(this.#key);
    scratch.digest.set(this.#digest);
    scratch.set(this.#mark, {
      kind,
      silent: this.#silent,
      number: this.#chunks,
      use: place.use(),
      position,
      length,
      samples: this.#samples,
    });
    sealer.seal(content);
    const bytes = CHUNK_HEADER_BYTES + length;
    // A disk that is nearly full takes less than it is given, and refuses only the next call.
    for (let done = 0; done < bytes; ) {
      done += writeSync(this.#fd, scratch.bytes, scratch.chunkAt + done, bytes - done, this.#end + done);
    }
    this.#digest.set(scratch.nextDigest);
    this.#end += bytes;
    this.#size = kind === CHUNK_KIND.DATA ? Math.max(this.#size, position + length) : position;
    this.#chunks++;
    place.commit({ end: this.#end, size: this.#size, chunks: this.#chunks, digest: this.#digest });
    this.#table?.scan(this.#end);
  }

  #tableOf(): ChunkTable {
    const read = (into: Uint8Array, length: number, position: number) => readSync(this.#fd, into, 0, length, position);
    const table =
      this.#table ??
      new ChunkTable(
        readHead((position, length) => {
          const part = Buffer.alloc(length);
          return part.subarray(0, read(part, length, position));
        }),
        read,
      );
    this.#table = table;
    table.scan(this.#end);
    return table;
  }
}

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { errnoOf } from '../files/disk-fault.js';
import { decryptWith } from './age-file.js';
import type { Identity } from './age-keys.js';
import { CHUNK_HEADER_BYTES, CHUNK_KIND, type FileHead, MAX_CHUNK_BYTES, readHead } from './chunk-format.js';
import { type Chunk, ChunkTable } from './chunk-table.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;

/** What the head of an encrypted audio file says of it. */
export const descriptionSchema = z.object({
  /** Its name without encryption: audio.wav. */
  file: z.string(),
  interactionId: z.string(),
  segment: z.number().int().positive(),
  startedAt: z.string(),
  codec: z.enum(['pcmu', 'pcma', 'l16', 'opus']),
  clockRate: z.number().positive(),
  sampleRate: z.number().int().positive(),
  channels: z.union([z.literal(1), z.literal(2)]),
});
export type Description = z.infer<typeof descriptionSchema>;

/** A part of an encrypted file that is not as it was written, or is missing. */
export interface Damage {
  readonly chunk: number;
  /** Where it begins in the content. */
  readonly position: number;
  /** Of the recording that had been written when the chunk was. */
  readonly seconds: number;
  readonly message: string;
}

/** The file of an encrypted recording and what can be seen of it without a key. */
export class EncryptedSource {
  readonly fd: number;
  readonly head: FileHead;
  readonly description: Description;
  readonly table: ChunkTable;
  /** Behind the last complete chunk. */
  readonly restBytes: number;

  /** @throws TrunklineError FILE_FAILED or FILE_INVALID. */
  constructor(path: string) {
    try {
      this.fd = openSync(path, READ);
    } catch (thrown) {
      const why = errnoOf(thrown) === 'ENOENT' ? 'there is no such file' : messageOf(thrown);
      throw new TrunklineError('FILE_FAILED', `Cannot read ${path}: ${why}.`, { cause: thrown });
    }
    const read = (into: Buffer, length: number, position: number) => readSync(this.fd, into, 0, length, position);
    try {
      this.head = readHead((position, length) => {
        const part = Buffer.alloc(length);
        return part.subarray(0, read(part, length, position));
      });
      this.description = parseDescription(this.head.description);
      this.table = new ChunkTable(this.head, read);
      const { size } = fstatSync(this.fd);
      this.table.scan(size);
      this.restBytes = size - this.table.end;
    } catch (thrown) {
      closeSync(this.fd);
      throw thrown instanceof TrunklineError ? new TrunklineError(thrown.code, `${path}: ${thrown.message}`) : thrown;
    }
  }

  /** More follows the last complete chunk than one that was being written can be. */
  get isDamaged(): boolean {
    return this.table.isSealed ? this.restBytes > 0 : this.restBytes >= CHUNK_HEADER_BYTES + MAX_CHUNK_BYTES;
  }

  close(): void {
    closeSync(this.fd);
  }
}

/**
 * Reads the content of an encrypted file, any part of it, and never a byte that is not authentic. The headers of all
 * chunks are looked at first; then only the chunks that are needed are read.
 */
export class EncryptedReader {
  readonly #source: EncryptedSource;
  readonly #key: Buffer;
  /** By where they begin. */
  readonly #order: Uint32Array;
  /** The furthest end of the chunks up to that place in the order. */
  readonly #ends: Float64Array;
  readonly #opened: Uint8Array;
  #last: { readonly number: number; readonly content: Buffer } | undefined;
  /** From here on nothing is proven; undefined when all headers are as they were written. */
  readonly damage: Damage | undefined;

  /** @throws TrunklineError FILE_INVALID when none of the identities opens it. */
  constructor(source: EncryptedSource, identities: readonly Identity[]) {
    const key = decryptWith(identities, source.head.age);
    if (key === undefined) {
      throw new TrunklineError('FILE_INVALID', 'None of these identities opens it, or its encrypted key is damaged.');
    }
    this.#source = source;
    this.#key = key;
    this.damage = this.#proveHeaders();
    const { chunks } = source.table;
    this.#opened = new Uint8Array(chunks.length);
    this.#order = Uint32Array.from(chunks.keys()).sort((a, b) => startOf(chunks, a) - startOf(chunks, b) || a - b);
    this.#ends = new Float64Array(chunks.length);
    let furthest = 0;
    for (const [at, number] of this.#order.entries()) {
      furthest = Math.max(furthest, chunks[number]?.end ?? 0);
      this.#ends[at] = furthest;
    }
  }

  get description(): Description {
    return this.#source.description;
  }

  /** Length of the content, as far as it is proven. */
  get size(): number {
    return this.#source.table.size;
  }

  /** The recording was finished, and this is all of it. */
  get isSealed(): boolean {
    return this.#source.table.isSealed && this.damage === undefined;
  }

  /** The content from `position` on; what is wrong, when a chunk that is needed is not as it was written. */
  read(position: number, length: number): Buffer | Damage {
    const content = Buffer.alloc(Math.max(0, Math.min(length, this.size - position)));
    const end = position + content.length;
    for (const number of this.#chunksIn(position, end)) {
      const chunk = this.#source.table.chunks[number] as Chunk;
      const from = Math.max(position, chunk.start);
      const to = Math.min(end, chunk.end);
      if (chunk.kind !== CHUNK_KIND.DATA) content.fill(0, from - position, to - position);
      else {
        const opened = this.#open(number);
        if (opened === undefined) return this.#damaged(number);
        opened.copy(content, from - position, from - chunk.start, to - chunk.start);
      }
    }
    return content;
  }

  /** Looks at the chunks that no read() has needed. */
  checkRest(): Damage | undefined {
    for (const [number, isOpened] of this.#opened.entries()) {
      if (isOpened === 0 && this.#open(number) === undefined) return this.#damaged(number);
    }
    return undefined;
  }

  /** Of the chunks that have a part of [start, end), in the order in which they were written. */
  #chunksIn(start: number, end: number): number[] {
    const { chunks } = this.#source.table;
    const found: number[] = [];
    for (let at = firstOver(this.#ends, start); at < this.#order.length; at++) {
      const number = this.#order[at] as number;
      if (startOf(chunks, number) >= end) break;
      if ((chunks[number]?.end ?? 0) > start) found.push(number);
    }
    return found.sort((a, b) => a - b);
  }

  #open(number: number): Buffer | undefined {
    if (this.#last?.number === number) return this.#last.content;
    const content = this.#source.table.open(number, this.#key);
    if (content === undefined) return undefined;
    this.#opened[number] = 1;
    this.#last = { number, content };
    return content;
  }

  #damaged(chunk: number, position = this.#source.table.chunks[chunk]?.start ?? 0): Damage {
    const samples = this.#source.table.chunks[chunk - 1]?.samples ?? 0;
    const seconds = samples / this.description.sampleRate;
    return { chunk, position, seconds, message: `chunk ${chunk} is not as it was written` };
  }

  /** The last chunk that opens proves the headers of all before it; what follows it is left out. */
  #proveHeaders(): Damage | undefined {
    const { table, restBytes } = this.#source;
    const found = table.chunks.length;
    let proven = found;
    while (proven > 0 && table.open(proven - 1, this.#key) === undefined) proven--;
    const position = table.chunks[proven]?.start ?? table.size;
    if (proven < found) {
      table.cut(proven);
      return this.#damaged(proven, position);
    }
    if (restBytes === 0) return undefined;
    const what = table.isSealed ? 'bytes follow its end' : 'bytes at its end are no whole chunk';
    return { ...this.#damaged(found, position), message: `${restBytes} ${what}` };
  }
}

function startOf(chunks: readonly Chunk[], number: number): number {
  return chunks[number]?.start ?? 0;
}

/** The first place whose value is over `limit`, in values that only grow. */
function firstOver(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] as number) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function parseDescription(text: string): Description {
  try {
    return descriptionSchema.parse(JSON.parse(text));
  } catch (thrown) {
    throw new TrunklineError('FILE_INVALID', 'Its head is damaged.', { cause: thrown });
  }
}

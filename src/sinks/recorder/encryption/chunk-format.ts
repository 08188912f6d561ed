import { hash } from 'node:crypto';
import { TrunklineError } from '../../../core/errors.js';

/** An encrypted file as FORMAT.md describes it; what is said there is not repeated here. All numbers are little-endian. */
export const FORMAT_VERSION = 1;
export const ENCRYPTED_EXTENSION = '.enc';

const MAGIC = Buffer.from([...Buffer.from('tlenc'), 0, 0, FORMAT_VERSION]);
export const HEAD = { DESCRIPTION_LENGTH: 8, AGE_LENGTH: 12, ID: 16, BYTES: 32 } as const;
export const ID_BYTES = 16;
/** Neither the description nor the age file of a recording comes near it. */
const MAX_HEAD_PART_BYTES = 1 << 20;

export const CHUNK_KIND = { DATA: 0, SIZE: 1, FINAL: 2 } as const;
export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const DIGEST_BYTES = 32;
export const NONCE_BYTES = 12;
/** Of a chunk: its header with the tag at the end. */
export const CHUNK_HEADER_BYTES = 48;
const HEADER = {
  MARK: 0,
  KIND: 4,
  SILENT: 5,
  ZERO: 6,
  NUMBER: 8,
  USE: 12,
  POSITION: 16,
  LENGTH: 24,
  SAMPLES: 28,
} as const;
export const MAX_CHUNK_BYTES = 1 << 20;

/** What is authenticated and not encrypted of a chunk. */
export interface ChunkHeader {
  readonly kind: number;
  /** Bit 1 for channel 0, 2 for channel 1: it was silent in this chunk. */
  readonly silent: number;
  readonly number: number;
  /** Of the key; never the same twice. */
  readonly use: number;
  readonly position: number;
  /** Of the ciphertext, which follows the header. */
  readonly length: number;
  /** Of each channel, that the recording had with this chunk. */
  readonly samples: number;
}

/** The head of an encrypted file: everything before the first chunk. */
export interface FileHead {
  readonly id: Buffer;
  readonly description: string;
  /** The key, encrypted: a file of age. */
  readonly age: Buffer;
  readonly bytes: Buffer;
}

export function makeHead(id: Buffer, description: string, age: Buffer): Buffer {
  const text = Buffer.from(description);
  const fixed = Buffer.alloc(HEAD.BYTES);
  MAGIC.copy(fixed);
  fixed.writeUInt32LE(text.length, HEAD.DESCRIPTION_LENGTH);
  fixed.writeUInt32LE(age.length, HEAD.AGE_LENGTH);
  id.copy(fixed, HEAD.ID);
  return Buffer.concat([fixed, text, age]);
}

/**
 * Whether a file of `size` bytes ends within its head, so that it never had a chunk.
 *
 * @param begin its first HEAD.BYTES bytes, or all that there are.
 */
export function isHeadCutOff(begin: Buffer, size: number): boolean {
  const magic = begin.subarray(0, MAGIC.length);
  if (!magic.equals(MAGIC.subarray(0, magic.length))) return false;
  if (begin.length < HEAD.BYTES) return size === begin.length;
  const description = begin.readUInt32LE(HEAD.DESCRIPTION_LENGTH);
  const age = begin.readUInt32LE(HEAD.AGE_LENGTH);
  return Math.max(description, age) <= MAX_HEAD_PART_BYTES && size < HEAD.BYTES + description + age;
}

/** @param read a part of the file; shorter at its end. */
export function readHead(read: (position: number, length: number) => Buffer): FileHead {
  const fixed = read(0, HEAD.BYTES);
  if (fixed.length < HEAD.BYTES || !fixed.subarray(0, MAGIC.length - 1).equals(MAGIC.subarray(0, -1))) {
    throw new TrunklineError('FILE_INVALID', 'It is not an encrypted recording, or its head is damaged.');
  }
  const version = fixed[MAGIC.length - 1];
  if (version !== FORMAT_VERSION) {
    throw new TrunklineError(
      'FILE_INVALID',
      `It has version ${version} of the format; this trunkline reads ${FORMAT_VERSION}.`,
    );
  }
  const description = fixed.readUInt32LE(HEAD.DESCRIPTION_LENGTH);
  const age = fixed.readUInt32LE(HEAD.AGE_LENGTH);
  const length = HEAD.BYTES + description + age;
  const bytes = Math.max(description, age) > MAX_HEAD_PART_BYTES ? Buffer.alloc(0) : read(0, length);
  if (bytes.length < length) throw new TrunklineError('FILE_INVALID', 'Its head is damaged, or cut off.');
  return {
    id: bytes.subarray(HEAD.ID, HEAD.BYTES),
    description: bytes.toString('utf8', HEAD.BYTES, HEAD.BYTES + description),
    age: bytes.subarray(HEAD.BYTES + description),
    bytes,
  };
}

/** Where the encrypted key lies in a file. */
export function keyRange({ age, bytes }: FileHead): { readonly position: number; readonly length: number } {
  return { position: bytes.length - age.length, length: age.length };
}

export function digestOf(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** Where the parts of a chunk lie in the memory in which it is made or read; also in native/src/chunk_sealer.rs. */
const SCRATCH = { NEXT_DIGEST: 0, KEY: 32, NONCE: 64, DIGEST: 80, HEADER: 112, TAG: 144, CONTENT: 160 } as const;

/**
 * Memory in which one chunk after another is made or read. The digest of everything before a chunk and the chunk's header
 * lie side by side: the first 64 bytes of the two are what the tag authenticates beside the ciphertext, the last 48 are the
 * header in the file, and all 80 make the next digest. The ciphertext follows, as in the file.
 */
export class ChunkScratch {
  readonly bytes: Buffer;
  readonly nextDigest: Buffer;
  readonly key: Buffer;
  readonly nonce: Buffer;
  readonly digest: Buffer;
  readonly header: Buffer;
  readonly tag: Buffer;
  readonly content: Buffer;
  readonly authenticated: Buffer;
  readonly #digested: Buffer;

  /** @param contentBytes space for the content of a chunk. */
  constructor(contentBytes = 0) {
    // Not from the pool, which others share.
    this.bytes = Buffer.alloc(SCRATCH.CONTENT + contentBytes);
    const part = (from: number, length: number): Buffer => this.bytes.subarray(from, from + length);
    this.nextDigest = part(SCRATCH.NEXT_DIGEST, DIGEST_BYTES);
    this.key = part(SCRATCH.KEY, KEY_BYTES);
    this.nonce = part(SCRATCH.NONCE, NONCE_BYTES);
    this.digest = part(SCRATCH.DIGEST, DIGEST_BYTES);
    this.header = part(SCRATCH.HEADER, CHUNK_HEADER_BYTES);
    this.tag = part(SCRATCH.TAG, TAG_BYTES);
    this.content = part(SCRATCH.CONTENT, contentBytes);
    this.authenticated = part(SCRATCH.DIGEST, SCRATCH.TAG - SCRATCH.DIGEST);
    this.#digested = part(SCRATCH.DIGEST, SCRATCH.CONTENT - SCRATCH.DIGEST);
  }

  /** Where header and content begin in `bytes`. */
  get chunkAt(): number {
    return SCRATCH.HEADER;
  }

  set(mark: number, chunk: ChunkHeader): void {
    const { header } = this;
    header.writeUInt32LE(mark, HEADER.MARK);
    header[HEADER.KIND] = chunk.kind;
    header[HEADER.SILENT] = chunk.silent;
    header.writeUInt16LE(0, HEADER.ZERO);
    header.writeUInt32LE(chunk.number, HEADER.NUMBER);
    header.writeUInt32LE(chunk.use, HEADER.USE);
    header.writeUInt32LE(chunk.position % 2 ** 32, HEADER.POSITION);
    header.writeUInt32LE(Math.floor(chunk.position / 2 ** 32), HEADER.POSITION + 4);
    header.writeUInt32LE(chunk.length, HEADER.LENGTH);
    header.writeUInt32LE(chunk.samples, HEADER.SAMPLES);
    this.setNonce();
  }

  /** Of the header that is there. */
  setNonce(): void {
    this.nonce.writeUInt32LE(this.header.readUInt32LE(HEADER.USE), 0);
  }

  /** The header that is there; undefined when it cannot be the one of chunk `number`. */
  get(mark: number, number: number): ChunkHeader | undefined {
    const { header } = this;
    const chunk: ChunkHeader = {
      kind: header[HEADER.KIND] as number,
      silent: header[HEADER.SILENT] as number,
      number: header.readUInt32LE(HEADER.NUMBER),
      use: header.readUInt32LE(HEADER.USE),
      position: header.readUInt32LE(HEADER.POSITION) + header.readUInt32LE(HEADER.POSITION + 4) * 2 ** 32,
      length: header.readUInt32LE(HEADER.LENGTH),
      samples: header.readUInt32LE(HEADER.SAMPLES),
    };
    const isOne =
      header.readUInt32LE(HEADER.MARK) === mark &&
      header.readUInt16LE(HEADER.ZERO) === 0 &&
      chunk.kind <= CHUNK_KIND.FINAL &&
      (chunk.kind === CHUNK_KIND.DATA || chunk.length === 0) &&
      chunk.number === number &&
      chunk.length <= MAX_CHUNK_BYTES &&
      Number.isSafeInteger(chunk.position);
    return isOne ? chunk : undefined;
  }

  /** Makes the digest of everything up to the end of the header. */
  digestNext(): void {
    this.nextDigest.set(digestOf(this.#digested));
  }
}

/** The first four bytes of the id, with which every chunk of a file begins. */
export function markOf(id: Buffer): number {
  return id.readUInt32LE(0);
}

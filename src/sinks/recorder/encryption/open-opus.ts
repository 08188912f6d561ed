import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ByteFile } from '../files/byte-file.js';
import { lateFile } from '../files/manifest.js';
import { type LatePacket, readRecords } from '../opus/late-file.js';
import { OpusRebuild } from '../opus/opus-rebuild.js';
import type { Identity } from './age-keys.js';
import { ENCRYPTED_EXTENSION } from './chunk-format.js';
import { type Damage, type Description, EncryptedReader, EncryptedSource } from './encrypted-reader.js';

export function isOpus(file: string): boolean {
  return file.endsWith('.opus');
}

/** Late packets that lie beside a recording, because nobody had its key any more or the disk was full. */
export interface LateOpus {
  readonly packets: readonly LatePacket[];
  readonly damage: Damage | undefined;
}

/**
 * Those of the file at `path`; undefined when there are none. What cannot be opened is damage of the recording.
 * @throws TrunklineError FILE_INVALID when their file is none, or no identity opens it.
 */
export function lateOpus(
  path: string,
  { interactionId, segment, startedAt }: Description,
  identities: readonly Identity[],
): LateOpus | undefined {
  const late = join(dirname(path), `${lateFile(segment)}${ENCRYPTED_EXTENSION}`);
  if (!existsSync(late)) return undefined;
  const source = new EncryptedSource(late);
  try {
    const reader = new EncryptedReader(source, identities);
    const { description } = reader;
    const isOfThis =
      description.interactionId === interactionId &&
      description.segment === segment &&
      description.startedAt === startedAt &&
      description.file === lateFile(segment);
    if (!isOfThis) return { packets: [], damage: damageOf('its late packets are of another recording') };
    const content = reader.read(0, reader.size);
    const damage = reader.damage ?? (content instanceof Uint8Array ? undefined : content);
    if (damage !== undefined) return { packets: [], damage: damageOf(`its late packets: ${damage.message}`) };
    return { packets: readRecords(new MemoryFile(content as Buffer)).packets, damage: undefined };
  } finally {
    source.close();
  }
}

/** A file of Opus with the late packets of its channel in their places, and an end. */
export function completeOpus(content: Buffer, { file, sampleRate }: Description, late: readonly LatePacket[]): Buffer {
  const target = new MemoryFile(Buffer.alloc(0));
  const channel = file.endsWith('-internal.opus') ? 1 : 0;
  const own = late.filter((packet) => packet.channel === channel);
  const rebuild = new OpusRebuild(new MemoryFile(content), target, sampleRate, own);
  while (!rebuild.step());
  rebuild.seal(rebuild.endSamples);
  return target.content;
}

function damageOf(message: string): Damage {
  return { chunk: 0, position: 0, seconds: 0, message };
}

/** A file that is nowhere. */
export class MemoryFile implements ByteFile {
  readonly isOpen = true;
  readonly isLinked = true;
  #bytes: Buffer;
  #size: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  create(): void {}

  reopen(): boolean {
    return true;
  }

  write(source: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    const end = position + length;
    if (end > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * end);
    this.#bytes.set(new Uint8Array(source.buffer, source.byteOffset + at, length), position);
    this.#size = Math.max(this.#size, end);
    return length;
  }

  read(into: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    const part = this.content.subarray(position, position + length);
    new Uint8Array(into.buffer, into.byteOffset + at, part.length).set(part);
    return part.length;
  }

  truncate(length: number): void {
    this.#size = Math.min(this.#size, length);
  }

  label(): void {}

  seal(): void {}

  close(): void {}
}

import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseWav, WAV_HEADER_BYTES, wavHeader } from '../../../audio/wav.js';
import { TrunklineError } from '../../../core/errors.js';
import { type Manifest, segmentsOf } from '../files/manifest.js';
import { readCheckpoint, readManifest } from '../files/manifest-file.js';
import type { Identity } from './age-keys.js';
import { ENCRYPTED_EXTENSION } from './chunk-format.js';
import { type Damage, EncryptedReader, EncryptedSource } from './encrypted-reader.js';
import { completeOpus, isOpus, type LateOpus, lateOpus, MemoryFile } from './open-opus.js';
import { DecryptedSource, decodedStretch } from './open-stretch.js';

const BLOCK_BYTES = 64 << 10;

/** An audio file of a recording. */
export interface EncryptedPath {
  readonly path: string;
  /** What the manifest says whose it is; undefined when there is none beside it. */
  readonly interactionId: string | undefined;
  readonly segment: number | undefined;
}

/** A stretch of the audio, in seconds from its start. */
export interface Stretch {
  readonly fromSeconds?: number | undefined;
  readonly toSeconds?: number | undefined;
}

/**
 * The encrypted audio files of a recording's folder, in order, or the one that is named.
 * @throws TrunklineError FILE_FAILED when there is none; FILE_INVALID when it is not encrypted.
 */
export function encryptedFiles(recording: string): readonly EncryptedPath[] {
  const found = lstatSync(recording, { throwIfNoEntry: false });
  if (found === undefined) throw new TrunklineError('FILE_FAILED', `There is no ${recording}.`);
  if (!found.isDirectory()) return [{ path: recording, interactionId: undefined, segment: undefined }];
  const manifest = readManifest(recording) ?? readCheckpoint(recording);
  if (manifest === undefined) {
    throw new TrunklineError('FILE_FAILED', `${recording} has no session.json; name the audio file itself.`);
  }
  return filesOf(recording, manifest);
}

function filesOf(folder: string, manifest: Manifest): readonly EncryptedPath[] {
  return segmentsOf(manifest).flatMap(({ file: first, channelFiles = [first] }, at) =>
    channelFiles.map((file) => {
      // A name from a file that anybody may have changed must not lead out of the folder.
      if (basename(file) !== file || !file.endsWith(ENCRYPTED_EXTENSION)) {
        throw new TrunklineError('FILE_INVALID', `${join(folder, file)} is not encrypted.`);
      }
      return { path: join(folder, file), interactionId: manifest.interactionId, segment: at + 1 };
    }),
  );
}

/** What became of opening a file. */
export interface Opened {
  /** What was not as it was written, or missing; undefined when all was well as far as it goes. */
  readonly damage: (Damage & { readonly second: number }) | undefined;
  /** False when the end of the recording is not written, as after a kill: there may have been more. */
  readonly isSealed: boolean;
}

/** One encrypted audio file, opened with an identity. */
export class OpenedRecording {
  readonly #source: EncryptedSource;
  readonly #reader: EncryptedReader;
  readonly #late: LateOpus | undefined;

  /**
   * @throws TrunklineError FILE_FAILED, or FILE_INVALID when no identity opens it, its head is damaged, or it is not what the
   *   manifest says.
   */
  constructor({ path, interactionId, segment }: EncryptedPath, identities: readonly Identity[]) {
    this.#source = new EncryptedSource(path);
    try {
      this.#reader = new EncryptedReader(this.#source, identities);
      const { description } = this.#reader;
      if (interactionId !== undefined && description.interactionId !== interactionId) {
        throw new TrunklineError(
          'FILE_INVALID',
          `It is of the interaction ${description.interactionId}, not ${interactionId}.`,
        );
      }
      if (segment !== undefined && description.segment !== segment) {
        throw new TrunklineError(
          'FILE_INVALID',
          `It is part ${description.segment} of its recording, not part ${segment}.`,
        );
      }
      if (interactionId !== undefined && `${description.file}${ENCRYPTED_EXTENSION}` !== basename(path)) {
        throw new TrunklineError('FILE_INVALID', `It was recorded as ${description.file}${ENCRYPTED_EXTENSION}.`);
      }
      this.#late = isOpus(description.file) ? lateOpus(path, description, identities) : undefined;
    } catch (thrown) {
      this.#source.close();
      throw thrown instanceof TrunklineError ? new TrunklineError(thrown.code, `${path}: ${thrown.message}`) : thrown;
    }
  }

  /** The name that the file had without encryption. */
  get file(): string {
    return this.#reader.description.file;
  }

  /** A name for what content() gives: a stretch is WAV. */
  nameOf(stretch: Stretch): string {
    return isWhole(stretch) ? this.file : this.file.replace(/\.\w+$/, '.wav');
  }

  close(): void {
    this.#source.close();
  }

  /**
   * The content, block by block, up to the first chunk that is not as it was written. A stretch is a WAV file, whatever is
   * stored; its header, and that of a WAV file that is not complete, says how long that is.
   */
  *content(stretch: Stretch = {}): Generator<Buffer, Opened> {
    const reader = this.#reader;
    const isWav = this.file.endsWith('.wav');
    if (!isWhole(stretch) && !isWav) return yield* this.#decoded(stretch);
    if (this.#isToComplete) {
      const { content, damage } = this.#completed();
      yield content;
      return this.#opened(damage ?? reader.checkRest() ?? reader.damage ?? this.#late?.damage);
    }
    let position = 0;
    let end = reader.size;
    if (isWav && (!isWhole(stretch) || !reader.isSealed)) {
      const header = reader.read(0, WAV_HEADER_BYTES);
      if (!(header instanceof Uint8Array)) return this.#opened(header);
      const part = stretchOf(header, reader.size, stretch.fromSeconds, stretch.toSeconds);
      if (part === undefined) return this.#opened(reader.damage ?? NO_HEADER);
      [position, end] = [part.start, part.end];
      yield Buffer.from(wavHeader(part, end - position));
    }
    for (; position < end; position += BLOCK_BYTES) {
      const block = reader.read(position, Math.min(BLOCK_BYTES, end - position));
      if (!(block instanceof Uint8Array)) return this.#opened(block);
      yield block;
    }
    return this.#opened((isWhole(stretch) ? reader.checkRest() : undefined) ?? reader.damage);
  }

  /** A stretch of FLAC or Opus. */
  *#decoded({ fromSeconds, toSeconds }: Stretch): Generator<Buffer, Opened> {
    const reader = this.#reader;
    const completed = this.#isToComplete ? this.#completed() : undefined;
    const source = completed === undefined ? new DecryptedSource(reader) : new MemoryFile(completed.content);
    const undecoded = yield* decodedStretch(source, fromSeconds, toSeconds);
    const chunk = source instanceof DecryptedSource ? source.damage : undefined;
    const damage = chunk ?? reader.damage ?? completed?.damage ?? this.#late?.damage;
    if (undecoded === undefined) return this.#opened(damage);
    const { second, message } = undecoded;
    const known = damage ?? { chunk: 0, position: 0, seconds: second, message };
    return { damage: { ...known, second }, isSealed: reader.isSealed };
  }

  /** Packets that a kill, or a full disk, has left without an end, or without the late ones in their places. */
  get #isToComplete(): boolean {
    return isOpus(this.file) && (this.#late !== undefined || !this.#reader.isSealed);
  }

  #completed(): { readonly content: Buffer; readonly damage: Damage | undefined } {
    const reader = this.#reader;
    const blocks: Buffer[] = [];
    let damage: Damage | undefined;
    for (let at = 0; at < reader.size && damage === undefined; at += BLOCK_BYTES) {
      const block = reader.read(at, Math.min(BLOCK_BYTES, reader.size - at));
      if (block instanceof Uint8Array) blocks.push(block);
      else damage = block;
    }
    const content = completeOpus(Buffer.concat(blocks), reader.description, this.#late?.packets ?? []);
    return { content, damage };
  }

  #opened(damage: Damage | undefined): Opened {
    const { sampleRate, channels } = this.#reader.description;
    const bytes = Math.max(0, (damage?.position ?? 0) - WAV_HEADER_BYTES);
    const second = this.file.endsWith('.wav') ? bytes / (2 * channels * sampleRate) : (damage?.seconds ?? 0);
    return { damage: damage && { ...damage, second }, isSealed: this.#reader.isSealed };
  }
}

function isWhole({ fromSeconds, toSeconds }: Stretch): boolean {
  return fromSeconds === undefined && toSeconds === undefined;
}

/** A recording that was killed before its first sample. */
const NO_HEADER: Damage = { chunk: 0, position: 0, seconds: 0, message: 'it has no WAV header' };

/** Where a stretch of a WAV file lies in it. */
function stretchOf(header: Buffer, size: number, fromSeconds = 0, toSeconds = Number.POSITIVE_INFINITY) {
  try {
    const { sampleRate, channels, dataOffset } = parseWav(header, size);
    if (channels !== 1 && channels !== 2) return undefined;
    const block = 2 * channels;
    const samples = Math.floor((size - dataOffset) / block);
    const at = (seconds: number) => dataOffset + block * Math.min(samples, Math.round(seconds * sampleRate));
    const start = at(fromSeconds);
    return { sampleRate, channels, start, end: Math.max(start, at(toSeconds)) } as const;
  } catch {
    return undefined;
  }
}

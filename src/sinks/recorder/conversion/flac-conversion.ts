import { closeSync, fdatasyncSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WAV_HEADER_BYTES } from '../../../audio/wav.js';
import { ENCRYPTED_EXTENSION } from '../encryption/chunk-format.js';
import { type ByteFile, PlainFile } from '../files/byte-file.js';
import { errnoOf } from '../files/disk-fault.js';
import { isWavFile, type Manifest, type ManifestSegment, renamed, segmentFile, segmentsOf } from '../files/manifest.js';
import { FlacJob } from './flac-job.js';
import type { ConversionWork } from './recording-conversion.js';

/** The files of a conversion, before they are opened. */
export interface ConversionFiles {
  /** What stands behind the names. */
  readonly extension: string;
  source(): ByteFile;
  /** @param file name that the file has without the extension. */
  target(file: string): ByteFile;
  /** Only the last file of the recording can be read. */
  readonly isLastOnly: boolean;
}

const PLAIN: ConversionFiles = {
  extension: '',
  source: () => new PlainFile(),
  target: () => new PlainFile(),
  isLastOnly: false,
};

/** A WAV file of the recording, and what will take its place. */
interface Replacement {
  readonly from: string;
  readonly to: string;
  /** The same without the extension. */
  readonly name: string;
  readonly segment: ManifestSegment;
}

/**
 * Makes FLAC files beside the finished WAV files of a recording, in small steps. Nothing refers to them until the caller
 * has written `converted(manifest)` as session.json, and the WAV files are removed only after that (removeOriginals()): a kill at any time
 * leaves a recording of WAV files, perhaps with FLAC files that nothing refers to, which the next attempt writes again.
 */
export class FlacConversion implements ConversionWork {
  readonly #folder: string;
  readonly #mode: number;
  readonly #usesNative: boolean;
  readonly #files: ConversionFiles;
  readonly #replacements: readonly Replacement[];
  #done = 0;
  #job: { readonly source: ByteFile; readonly target: ByteFile; readonly flac: FlacJob } | undefined;

  /** @param folder path of the recording. @param mode permissions of the files. @param usesNative whether the native addon may. */
  constructor(folder: string, manifest: Manifest, mode: number, usesNative = true, files = PLAIN) {
    this.#usesNative = usesNative;
    this.#folder = folder;
    this.#mode = mode;
    this.#files = files;
    const segments = segmentsOf(manifest);
    this.#replacements = segments.flatMap((segment, index) => {
      const from = `${segmentFile(index + 1, 'wav')}${files.extension}`;
      const name = segmentFile(index + 1, 'flac');
      const isToGo = segment.file === from && (!files.isLastOnly || index === segments.length - 1);
      return isToGo ? [{ from, to: `${name}${files.extension}`, name, segment }] : [];
    });
  }

  /** Does a millisecond or two of work. True once all files are made. Throws what node:fs throws; then call abandon(). */
  step(): boolean {
    const next = this.#replacements[this.#done];
    if (next === undefined) return true;
    this.#job ??= this.#begin(next);
    if (!this.#job.flac.step()) return false;
    this.#job.target.seal();
    this.#close();
    sync(join(this.#folder, next.to));
    this.#done++;
    return this.#done === this.#replacements.length;
  }

  /** The manifest with the new files. */
  converted(manifest: Manifest): Manifest {
    const { notConverted: _, ...rest } = manifest;
    const names = new Map(this.#replacements.map(({ from, to }) => [from, to]));
    const made = renamed(rest, (file) => names.get(file) ?? file);
    const isPartly = this.#files.isLastOnly && segmentsOf(made).some(isWavFile);
    return isPartly ? { ...made, notConverted: 'noKey' } : made;
  }

  /** Gives up, and removes what was made. */
  abandon(): void {
    this.#close();
    for (const { to } of this.#replacements) remove(join(this.#folder, to));
  }

  #begin({ from, to, name, segment }: Replacement) {
    const source = this.#files.source();
    const target = this.#files.target(name);
    if (!source.reopen(join(this.#folder, from))) throw new MissingAudio();
    try {
      const samples = Math.floor((source.size - WAV_HEADER_BYTES) / (2 * segment.channels));
      // What an earlier attempt has left.
      rmSync(join(this.#folder, to), { force: true });
      target.create(join(this.#folder, to), this.#mode);
      return { source, target, flac: new FlacJob(source, target, segment, Math.max(0, samples), this.#usesNative) };
    } catch (thrown) {
      source.close();
      throw thrown;
    }
  }

  #close(): void {
    this.#job?.source.close();
    this.#job?.target.close();
    this.#job = undefined;
  }
}

/** Removes the WAV files whose FLAC files the written manifest names. What cannot be removed stays. */
export function removeOriginals(folder: string, manifest: Manifest): void {
  for (const [index, { file }] of segmentsOf(manifest).entries()) {
    const [flac, wav] = [segmentFile(index + 1, 'flac'), segmentFile(index + 1, 'wav')];
    for (const extension of ['', ENCRYPTED_EXTENSION]) {
      if (file === `${flac}${extension}`) remove(join(folder, `${wav}${extension}`));
    }
  }
}

/**
 * Removes what a kill has left of a conversion: FLAC files of WAV files that are not converted, and files that were to take
 * the place of others. What cannot be removed stays.
 */
export function removeUnfinished(folder: string, manifest: Manifest): void {
  for (const [index, { file, channelFiles = [file] }] of segmentsOf(manifest).entries()) {
    for (const one of channelFiles) remove(join(folder, `${one}.new`));
    const [flac, wav] = [segmentFile(index + 1, 'flac'), segmentFile(index + 1, 'wav')];
    for (const extension of ['', ENCRYPTED_EXTENSION]) {
      if (file === `${wav}${extension}`) remove(join(folder, `${flac}${extension}`));
    }
  }
}

/** Why a recording cannot be converted: its folder was removed. */
class MissingAudio extends Error {
  readonly code = 'ENOENT';
}

/** Before the original is removed: a loss of power must not take both. */
export function sync(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}

export function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (thrown) {
    if (errnoOf(thrown) === '') throw thrown;
  }
}

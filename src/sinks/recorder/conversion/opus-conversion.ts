import { existsSync, renameSync, rmSync } from 'node:fs';
import type { ByteFile } from '../files/byte-file.js';
import type { Manifest } from '../files/manifest.js';
import { type LatePacket, readRecords } from '../opus/late-file.js';
import { OpusRebuild } from '../opus/opus-rebuild.js';
import { type PacketFiles, PLAIN_PACKETS } from '../opus/packet-files.js';
import { remove, sync } from './flac-conversion.js';
import type { ConversionWork } from './recording-conversion.js';

/** Ends the name of a file that is to take the place of another one. */
export const SUFFIX = '.new';

/**
 * Writes the Opus files of a stream again, beside the ones that there are, with its late packets in their places; each
 * takes its old one's name when it is whole. The late packets are removed at last, so that it can be done again after a kill
 * at any time: what is in its place then is passed over.
 */
export class OpusConversion implements ConversionWork {
  readonly #paths: readonly string[];
  readonly #files: PacketFiles;
  readonly #lateFile: string;
  readonly #sampleRate: number;
  readonly #mode: number;
  #late: readonly LatePacket[] | undefined;
  #channel = 0;
  #job: { readonly source: ByteFile; readonly target: ByteFile; readonly rebuild: OpusRebuild } | undefined;
  /** The longest of the channels, in samples of the stream. */
  lengthSamples = 0;

  /** @param paths of the channels' files. @param lateFile path of the late packets, which need not exist. */
  constructor(
    paths: readonly string[],
    lateFile: string,
    sampleRate: number,
    mode: number,
    files: PacketFiles = PLAIN_PACKETS,
  ) {
    this.#paths = paths;
    this.#files = files;
    this.#lateFile = lateFile;
    this.#sampleRate = sampleRate;
    this.#mode = mode;
  }

  step(): boolean {
    const path = this.#paths[this.#channel];
    if (path === undefined) {
      remove(this.#lateFile);
      return true;
    }
    if (this.#files.isReplaced(this.#channel)) {
      takeName(path);
      this.#channel++;
      return false;
    }
    this.#job ??= this.#begin(path);
    const { rebuild } = this.#job;
    if (!rebuild.step()) return false;
    rebuild.seal(rebuild.endSamples);
    this.lengthSamples = Math.max(this.lengthSamples, rebuild.endSamples);
    this.#close();
    sync(path + SUFFIX);
    this.#files.replace(this.#channel);
    takeName(path);
    this.#channel++;
    return false;
  }

  /** The names of the files stay as they are. */
  converted(manifest: Manifest): Manifest {
    return manifest;
  }

  /** What is there remains, with the late packets beside it. */
  abandon(): void {
    this.#close();
    for (const [channel, path] of this.#paths.entries()) {
      if (!this.#files.isReplaced(channel)) remove(path + SUFFIX);
    }
  }

  #begin(path: string) {
    this.#late ??= this.#readLate();
    const source = this.#files.packets(this.#channel);
    const target = this.#files.rewritten(this.#channel);
    if (!source.reopen(path)) throw new Error('The audio is gone.');
    try {
      rmSync(path + SUFFIX, { force: true });
      target.create(path + SUFFIX, this.#mode);
      const late = this.#late.filter(({ channel }) => channel === this.#channel);
      return { source, target, rebuild: new OpusRebuild(source, target, this.#sampleRate, late) };
    } catch (thrown) {
      source.close();
      throw thrown;
    }
  }

  #readLate(): readonly LatePacket[] {
    const file = this.#files.late();
    if (!file.reopen(this.#lateFile)) return [];
    try {
      return readRecords(file).packets;
    } finally {
      file.close();
    }
  }

  #close(): void {
    this.#job?.source.close();
    this.#job?.target.close();
    this.#job = undefined;
  }
}

/** Where a thread has died just before, or just after it. */
function takeName(path: string): void {
  if (existsSync(path + SUFFIX)) renameSync(path + SUFFIX, path);
}

import { OggPage } from '../../../audio/ogg/page.js';
import type { Channel } from '../../../core/events.js';
import { channelFile } from '../files/manifest.js';
import { type RecorderMemory, SLOT } from '../recorder-memory.js';
import { type OpusEntry, OpusFile, type OpusFileState, type StateKeeper } from './opus-file.js';
import type { PacketFiles } from './packet-files.js';

/** Used by one file at a time, from the first to the last packet of a write. */
const PAGE = new OggPage();

/**
 * The files of one stream of Opus: one for each channel, because the packets of two people come at times and with lengths
 * of their own, while those of two channels in one file would have to begin and end together (RFC 7845 §3).
 */
export class OpusFiles {
  readonly #files: readonly OpusFile[];

  constructor(
    files: PacketFiles,
    memory: RecorderMemory,
    slot: number,
    { sampleRate, channels }: { readonly sampleRate: number; readonly channels: 1 | 2 },
  ) {
    this.#files = (channels === 1 ? ([0] as const) : ([0, 1] as const)).map(
      (channel) =>
        new OpusFile(
          files.packets(channel),
          keeperOf(memory, slot + SLOT.OPUS + channel * SLOT.OPUS_BYTES),
          sampleRate,
          PAGE,
        ),
    );
  }

  get isOpen(): boolean {
    return this.#files.every((file) => file.isOpen);
  }

  get isLinked(): boolean {
    return this.#files.every((file) => file.isLinked);
  }

  /** @param path of the file of a single channel. */
  create(path: string, mode: number): void {
    for (const [channel, file] of this.#files.entries()) file.create(this.#pathOf(path, channel), mode);
  }

  /** False when one of them was removed. */
  reopen(path: string): boolean {
    return this.#files.every((file, channel) => file.isOpen || file.reopen(this.#pathOf(path, channel)));
  }

  write(channel: Channel, entries: Iterable<OpusEntry>): number {
    return this.#files[channel]?.write(entries) ?? 0;
  }

  seal(lengthSamples: number): void {
    for (const file of this.#files) file.seal(lengthSamples);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  /** Of all channels. */
  paths(path: string): string[] {
    return this.#files.map((_, channel) => this.#pathOf(path, channel));
  }

  #pathOf(path: string, channel: number): string {
    return channelFile(path, channel === 0 ? 0 : 1, this.#files.length);
  }
}

/** In the recording's slot, see SLOT.OPUS. */
function keeperOf(memory: RecorderMemory, at: number): StateKeeper {
  const { doubles, words } = memory;
  return {
    load: () => {
      const offset = doubles[at >> 3] as number;
      return {
        offset,
        granule: doubles[(at + 8) >> 3] as number,
        lastPageAt: offset - (words[(at + 16) >> 2] as number),
        sequence: words[(at + 20) >> 2] as number,
        toc: words[(at + 24) >> 2] as number,
      };
    },
    store: ({ offset, granule, lastPageAt, sequence, toc }: OpusFileState) => {
      doubles[at >> 3] = offset;
      doubles[(at + 8) >> 3] = granule;
      words[(at + 16) >> 2] = offset - lastPageAt;
      words[(at + 20) >> 2] = sequence;
      words[(at + 24) >> 2] = toc;
    },
  };
}

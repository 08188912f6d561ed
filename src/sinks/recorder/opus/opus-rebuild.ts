import { isConcealment, isSilencePacket, OPUS_RATE, opusDuration, PRE_SKIP } from '../../../audio/ogg/opus.js';
import { MAX_PAGE_BYTES, OggPage, type PageContent, readPage } from '../../../audio/ogg/page.js';
import type { ByteFile } from '../files/byte-file.js';
import type { LatePacket } from './late-file.js';
import { type OpusEntry, OpusFile, type OpusFileState } from './opus-file.js';

const READ_BYTES = 4 * MAX_PAGE_BYTES;
/** The two headers, and what is skipped. */
const HEADER_PAGES = 3;

/** Reads the pages of an Ogg file one after another, up to the first that is not whole. */
export class PageReader {
  readonly #file: ByteFile;
  readonly #bytes = Buffer.alloc(READ_BYTES);
  /** Where in the file the buffer begins, what it has, and the next page in it. */
  #start = 0;
  #held = 0;
  #at = 0;

  constructor(file: ByteFile) {
    this.#file = file;
  }

  /** Where the next page begins. */
  get position(): number {
    return this.#start + this.#at;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Its packets lie in `bytes` until the next call. */
  next(): PageContent | undefined {
    if (this.#held - this.#at < MAX_PAGE_BYTES) {
      this.#start += this.#at;
      this.#held = this.#file.read(this.#bytes, 0, READ_BYTES, this.#start);
      this.#at = 0;
    }
    const page = readPage(this.#bytes, this.#at, this.#held);
    if (page !== undefined) this.#at += page.length;
    return page;
  }
}

/**
 * Writes the audio of one channel again, from a file that may end in the middle of a page, with its late packets in their
 * places: they take those of the packets that have a decoder conceal. Done in steps of a page or so. Throws what node:fs
 * throws.
 */
export class OpusRebuild {
  readonly #reader: PageReader;
  readonly #target: OpusFile;
  readonly #sampleRate: number;
  readonly #late: readonly LatePacket[];
  /** End of what has been read, in samples at 48 kHz. */
  #granule: number = PRE_SKIP;
  #nextLate = 0;
  #isBegun = false;
  /** Where the audio ends by its last page. */
  endSamples = 0;

  /** @param late those of this channel. */
  constructor(source: ByteFile, target: ByteFile, sampleRate: number, late: readonly LatePacket[]) {
    this.#reader = new PageReader(source);
    this.#sampleRate = sampleRate;
    this.#late = late.toSorted((a, b) => a.position - b.position);
    let state: OpusFileState = { offset: 0, lastPageAt: 0, sequence: 0, granule: 0, toc: -1 };
    const keeper = {
      load: () => ({ ...state }),
      store: (next: OpusFileState) => {
        state = next;
      },
    };
    this.#target = new OpusFile(target, keeper, sampleRate, new OggPage());
  }

  /** Takes a page. True when there is none left; then seal() ends the file. */
  step(): boolean {
    if (!this.#isBegun) {
      this.#target.begin();
      for (let i = 0; i < HEADER_PAGES; i++) this.#reader.next();
      this.#isBegun = true;
    }
    const page = this.#reader.next();
    if (page === undefined) return true;
    const entries: OpusEntry[] = [];
    for (const { at, length } of page.packets) this.#take(at, length, entries);
    this.endSamples = this.#toSamples(Math.min(page.granule, this.#granule));
    this.#target.write(entries);
    return false;
  }

  /** @param lengthSamples what the audio is to have; it is never made shorter by that. */
  seal(lengthSamples: number): void {
    this.#target.seal(lengthSamples);
  }

  /** Adds what stands for one packet of the file to `entries`. */
  #take(at: number, length: number, entries: OpusEntry[]): void {
    const { bytes } = this.#reader;
    const from = this.#granule;
    this.#granule += opusDuration(bytes, at, length);
    const [start, end] = [this.#toSamples(from), this.#toSamples(this.#granule)];
    if (isConcealment(bytes, at, length)) this.#fillGap(start, end, entries);
    else if (isSilencePacket(bytes, at, length)) entries.push({ start, end, packet: undefined });
    else entries.push({ start, end, packet: bytes.subarray(at, at + length) });
  }

  /** A gap, as far as no late packet fills it. One that begins in a gap goes over its end into the next. */
  #fillGap(start: number, end: number, entries: OpusEntry[]): void {
    const half = this.#sampleRate / 800;
    let at = Math.max(start, entries.at(-1)?.end ?? start);
    for (; this.#nextLate < this.#late.length; this.#nextLate++) {
      const late = this.#late[this.#nextLate] as LatePacket;
      if (late.position >= end - half) break;
      // It is there already, or its place is.
      if (late.position < at - half) continue;
      if (late.position > at) entries.push({ start: at, end: late.position, packet: EMPTY });
      at = Math.max(at, late.position) + late.samples;
      entries.push({ start: at - late.samples, end: at, packet: late.packet });
    }
    if (at < end) entries.push({ start: at, end, packet: EMPTY });
  }

  #toSamples(granule: number): number {
    return Math.round(((granule - PRE_SKIP) * this.#sampleRate) / OPUS_RATE);
  }
}

const EMPTY = new Uint8Array(0);

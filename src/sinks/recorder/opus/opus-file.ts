import { rmSync } from 'node:fs';
import {
  concealmentPackets,
  OPUS_RATE,
  OPUS_UNIT,
  opusDuration,
  opusHead,
  opusTags,
  PRE_SKIP,
  PRE_SKIP_PACKET,
  silencePackets,
} from '../../../audio/ogg/opus.js';
import { endStream, MAX_PAGE_BYTES, type OggPage, PAGE_FLAG } from '../../../audio/ogg/page.js';
import type { ByteFile } from '../files/byte-file.js';

/** A page has no more than so much time of packets, so that a player finds its place. */
const PAGE_SAMPLES = OPUS_RATE;
/** There is one stream in a file. */
export const SERIAL = 1;

/** Where a file stands: what a new thread, or the next write, continues from. Samples are those at 48 kHz. */
export interface OpusFileState {
  /** Bytes written. */
  offset: number;
  /** Where the last page begins. */
  lastPageAt: number;
  /** Number of the next page. */
  sequence: number;
  /** End of the last packet. */
  granule: number;
  /** First byte of the last packet that came; −1 before. */
  toc: number;
}

/** Keeps the state where it survives the thread. */
export interface StateKeeper {
  load(): OpusFileState;
  store(state: OpusFileState): void;
}

/** A part of a channel's time line, in samples of the stream. */
export interface OpusEntry {
  readonly start: number;
  readonly end: number;
  /** The packet; empty where it is missing, undefined where silence was decided. */
  readonly packet: Uint8Array | undefined;
}

/**
 * One channel of Opus in an Ogg file (RFC 7845). Packets are written as they came, and the file always has the length of
 * what it has: where none came, there are packets that have a decoder conceal, or silence. Positions in the stream need not
 * be multiples of the 2.5 ms that packets have; the file then differs by less than half of that, which never adds up.
 * A write that failed is repeated as a whole: it leaves the state as it was. Every method throws what node:fs throws.
 */
export class OpusFile {
  readonly #bytes: ByteFile;
  readonly #keeper: StateKeeper;
  readonly #sampleRate: number;
  readonly #page: OggPage;
  /** Granule position at which the page at hand begins. */
  #pageStart = 0;

  /** @param page memory for the page at hand, which files share. */
  constructor(bytes: ByteFile, keeper: StateKeeper, sampleRate: number, page: OggPage) {
    this.#bytes = bytes;
    this.#keeper = keeper;
    this.#sampleRate = sampleRate;
    this.#page = page;
  }

  get isOpen(): boolean {
    return this.#bytes.isOpen;
  }

  get isLinked(): boolean {
    return this.#bytes.isLinked;
  }

  create(path: string, mode: number): void {
    this.#bytes.create(path, mode);
    try {
      this.begin();
    } catch (thrown) {
      this.close();
      rmSync(path, { force: true });
      throw thrown;
    }
  }

  /** Writes the headers of an empty file. */
  begin(): void {
    const state = { offset: 0, lastPageAt: 0, sequence: 0, granule: 0, toc: -1 };
    this.#page.clear();
    this.#put(opusHead(this.#sampleRate));
    this.#write(state, PAGE_FLAG.FIRST);
    this.#put(opusTags());
    this.#write(state);
    this.#add(PRE_SKIP_PACKET, state);
    this.#write(state);
    this.#keeper.store(state);
  }

  reopen(path: string): boolean {
    return this.#bytes.reopen(path);
  }

  /** Adds what came, in the order of its time. What is in the file already is passed over. Returns the bytes. */
  write(entries: Iterable<OpusEntry>): number {
    const state = this.#keeper.load();
    const { offset } = state;
    // A write that failed may have left packets there.
    this.#page.clear();
    this.#pageStart = state.granule;
    for (const { start, end, packet } of entries) {
      const gap = this.#unitsTo(start, state);
      if (gap < 0) continue;
      this.#fill(concealmentPackets(tocOf(state), gap * OPUS_UNIT), state);
      if (packet === undefined) this.#fill(silencePackets(this.#unitsTo(end, state) * OPUS_UNIT), state);
      else if (packet.length === 0) {
        this.#fill(concealmentPackets(tocOf(state), this.#unitsTo(end, state) * OPUS_UNIT), state);
      } else {
        this.#add(packet, state);
        state.toc = packet[0] as number;
      }
    }
    if (!this.#page.isEmpty) this.#write(state);
    this.#keeper.store(state);
    return state.offset - offset;
  }

  /** Gives the audio its final length in samples of the stream, with silence at the end, and ends the stream. */
  seal(lengthSamples: number): void {
    const state = this.#keeper.load();
    const end = this.#toGranule(lengthSamples);
    this.#page.clear();
    const missing = Math.ceil((end - state.granule) / OPUS_UNIT);
    if (missing > 0) {
      this.#fill(silencePackets(missing * OPUS_UNIT), state);
      if (!this.#page.isEmpty) this.#write(state);
    }
    this.#end(state, end);
    this.#bytes.truncate(state.offset);
    this.#bytes.seal();
  }

  close(): void {
    this.#bytes.close();
  }

  /** The last page says that it is, and where the audio ends within its last packet (§4.4). */
  #end({ lastPageAt, offset }: OpusFileState, granule: number): void {
    const page = Buffer.alloc(Math.min(offset - lastPageAt, MAX_PAGE_BYTES));
    this.#bytes.read(page, 0, page.length, lastPageAt);
    endStream(page, page.length, granule);
    this.#bytes.write(page, 0, page.length, lastPageAt);
  }

  #fill(packets: Iterable<Uint8Array>, state: OpusFileState): void {
    for (const packet of packets) this.#add(packet, state);
  }

  #add(packet: Uint8Array, state: OpusFileState): void {
    if (!this.#page.fits(packet.length)) this.#write(state);
    this.#put(packet);
    state.granule += opusDuration(packet, 0, packet.length);
    if (state.granule - this.#pageStart >= PAGE_SAMPLES) this.#write(state);
  }

  #put(packet: Uint8Array): void {
    this.#page.add(packet, 0, packet.length);
  }

  #write(state: OpusFileState, flags = 0): void {
    const length = this.#page.finish(SERIAL, state.sequence, state.granule, flags);
    const samples = Math.round(((state.granule - PRE_SKIP) * this.#sampleRate) / OPUS_RATE);
    this.#bytes.label(Math.max(0, samples), 0);
    this.#bytes.write(this.#page.bytes, 0, length, state.offset);
    state.lastPageAt = state.offset;
    state.offset += length;
    state.sequence++;
    this.#pageStart = state.granule;
  }

  /** The nearest number of units between the end of the file and a position in the stream. */
  #unitsTo(samples: number, state: OpusFileState): number {
    return Math.round((this.#toGranule(samples) - state.granule) / OPUS_UNIT);
  }

  #toGranule(samples: number): number {
    return PRE_SKIP + Math.round((samples * OPUS_RATE) / this.#sampleRate);
  }
}

function tocOf({ toc }: OpusFileState): number | undefined {
  return toc < 0 ? undefined : toc;
}

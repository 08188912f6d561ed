import { SAMPLE_RATES } from '../../core/codec.js';
import { TrunklineError } from '../../core/errors.js';
import { OpusDecoder, opusPacketSamples } from '../codecs/opus.js';
import { OPUS_RATE } from '../ogg/opus.js';
import { MAX_PAGE_BYTES, PAGE_HEADER_BYTES, readPage } from '../ogg/page.js';
import { SampleMemory } from '../sample-memory.js';
import type { ByteSource } from './byte-source.js';
import type { PcmReader } from './pcm-reader.js';

const HEAD_BYTES = 19;
const MAX_LACING_BYTES = 255;
/** OpusHead and OpusTags. */
const HEADER_PAGES = 2;
/** 120 ms at 48 kHz. */
const MAX_PACKET_SAMPLES = 5760;
/** What a decoder needs before what it decodes is right (RFC 7845 §4.6): 80 ms. */
const PRE_ROLL = (80 * OPUS_RATE) / 1000;

interface Page {
  readonly position: number;
  readonly length: number;
  /** Of the samples at 48 kHz where its audio ends. */
  readonly granule: number;
}

/** Reads an Ogg Opus file (RFC 7845) of one channel at the rate that its head names, or 48 kHz; also while it grows. */
export class OpusReader implements PcmReader {
  readonly channels = 1;
  readonly sampleRate: number;
  readonly samples: number;
  readonly #source: ByteSource;
  readonly #pages: readonly Page[];
  readonly #preSkip: number;
  readonly #decoder: OpusDecoder;
  readonly #bytes = Buffer.alloc(MAX_PAGE_BYTES);
  /** The next page, and where its first packet begins, in samples of the file's rate; the pre-skip lies before 0. */
  #page = 0;
  #position = 0;
  /** Decoded samples of a page, from which on they are still to be read, and their end. */
  #pcm = new SampleMemory(new ArrayBuffer(2 * MAX_PACKET_SAMPLES));
  #from = 0;
  #to = 0;

  /** @throws TrunklineError FILE_INVALID */
  constructor(source: ByteSource) {
    this.#source = source;
    const pages = pagesOf(source);
    const head = this.#packetsOf(pages[0])[0];
    if (head === undefined || head.length < HEAD_BYTES || head.toString('latin1', 0, 8) !== 'OpusHead') {
      throw new TrunklineError('FILE_INVALID', 'This Ogg file holds no Opus.');
    }
    if (head.readUInt8(9) !== 1) {
      throw new TrunklineError(
        'FILE_INVALID',
        `It has ${head.readUInt8(9)} channels in one stream; convert it to WAV or FLAC.`,
      );
    }
    this.#preSkip = head.readUInt16LE(10);
    const rate = head.readUInt32LE(12);
    this.sampleRate = (SAMPLE_RATES as readonly number[]).includes(rate) ? rate : OPUS_RATE;
    this.#pages = pages.slice(HEADER_PAGES);
    this.samples = Math.max(0, this.#toSamples(this.#pages.at(-1)?.granule ?? 0));
    this.#position = this.#toSamples(0);
    this.#decoder = new OpusDecoder(this.sampleRate);
  }

  read(into: Int16Array): number {
    let done = 0;
    while (done < into.length) {
      if (this.#from === this.#to && !this.#decodePage()) break;
      const part = Math.min(into.length - done, this.#to - this.#from);
      into.set(this.#pcm.samples.subarray(this.#from, this.#from + part), done);
      this.#from += part;
      done += part;
    }
    return done;
  }

  seek(sample: number): void {
    const target = Math.min(sample, this.samples);
    const granule = (target * OPUS_RATE) / this.sampleRate + this.#preSkip - PRE_ROLL;
    const first = this.#pages.findIndex((page) => page.granule > granule);
    this.#page = first < 0 ? this.#pages.length : first;
    this.#position = this.#toSamples(this.#pages[this.#page - 1]?.granule ?? 0);
    this.#decoder.reset();
    [this.#from, this.#to] = [0, 0];
    // Where the audio begins whose end #position is.
    let begins = this.#position;
    while (this.#position <= target) {
      begins = Math.max(0, this.#position);
      if (!this.#decodePage()) return;
    }
    this.#from = Math.min(this.#to, this.#from + target - begins);
  }

  close(): void {
    this.#decoder.free();
    this.#source.close();
  }

  /** Decodes the next page that has samples; false when there is none. */
  #decodePage(): boolean {
    [this.#from, this.#to] = [0, 0];
    for (let page = this.#pages[this.#page]; page !== undefined; page = this.#pages[this.#page]) {
      const packets = this.#packetsOf(page);
      const due = packets.reduce((sum, packet) => sum + this.#samplesOf(packet), 0);
      if (this.#pcm.samples.length < due) this.#pcm = new SampleMemory(new ArrayBuffer(2 * due));
      let end = 0;
      for (const packet of packets) {
        const samples = this.#samplesOf(packet);
        // Packets that are broken last as long as they say.
        const got = this.#decoder.decode({ bytes: packet }, 0, packet.length, this.#pcm, end);
        if (got !== samples) this.#decoder.conceal(samples, this.#pcm, end);
        end += samples;
      }
      const start = this.#position;
      this.#page++;
      // The position of the page ends the audio, if that is earlier than its packets do.
      this.#position = this.#toSamples(page.granule);
      this.#from = Math.min(end, Math.max(0, -start));
      this.#to = Math.max(this.#from, Math.min(end, this.#position - start));
      if (this.#to > this.#from) return true;
    }
    return false;
  }

  #samplesOf(packet: Buffer): number {
    return Math.max(0, opusPacketSamples(packet, 0, packet.length, this.sampleRate));
  }

  #packetsOf(page: Page | undefined): Buffer[] {
    if (page === undefined) return [];
    const got = this.#source.read(this.#bytes, 0, page.length, page.position);
    const content = got === page.length ? readPage(this.#bytes, 0, got) : undefined;
    if (content === undefined) {
      throw new TrunklineError(
        'FILE_INVALID',
        `Its Ogg page at byte ${page.position} is damaged, or goes on in the next.`,
      );
    }
    return content.packets.map(({ at, length }) => this.#bytes.subarray(at, at + length));
  }

  #toSamples(granule: number): number {
    return Math.round(((granule - this.#preSkip) * this.sampleRate) / OPUS_RATE);
  }
}

/** Every page, by its header; one that is cut off at the end is still being written, or was when its process was killed. */
function pagesOf(source: ByteSource): Page[] {
  const pages: Page[] = [];
  const header = Buffer.alloc(PAGE_HEADER_BYTES + MAX_LACING_BYTES);
  for (let position = 0; position < source.size; ) {
    const got = source.read(header, 0, header.length, position);
    if (got < PAGE_HEADER_BYTES) break;
    if (header.toString('latin1', 0, 5) !== 'OggS\0') {
      throw new TrunklineError('FILE_INVALID', `This Ogg file is damaged at byte ${position}.`);
    }
    const segments = header.readUInt8(PAGE_HEADER_BYTES - 1);
    const lacing = header.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + segments);
    const length = PAGE_HEADER_BYTES + segments + lacing.reduce((sum, bytes) => sum + bytes, 0);
    if (position + length > source.size) break;
    pages.push({ position, length, granule: Number(header.readBigInt64LE(6)) });
    position += length;
  }
  return pages;
}

import type { PcmReader } from './pcm-reader.js';

const BLOCK_SAMPLES = 4_096;

/** Files of one channel each, of the same rate, read as one; the shorter ones end with silence. */
export class JoinedChannels implements PcmReader {
  readonly #readers: readonly PcmReader[];
  readonly #block = new Int16Array(BLOCK_SAMPLES);
  readonly sampleRate: number;
  readonly samples: number;
  #position = 0;

  constructor(readers: readonly [PcmReader, ...PcmReader[]]) {
    this.#readers = readers;
    this.sampleRate = readers[0].sampleRate;
    this.samples = Math.max(...readers.map(({ samples }) => samples));
  }

  get channels(): number {
    return this.#readers.length;
  }

  read(into: Int16Array): number {
    const { channels, samples } = this;
    const wanted = Math.min(Math.floor(into.length / channels), samples - this.#position, BLOCK_SAMPLES);
    for (const [channel, reader] of this.#readers.entries()) {
      let done = 0;
      for (let got = 1; done < wanted && got > 0; done += got) got = reader.read(this.#block.subarray(done, wanted));
      this.#block.fill(0, done, wanted);
      for (let i = 0, to = channel; i < wanted; i++, to += channels) into[to] = this.#block[i] as number;
    }
    this.#position += wanted;
    return wanted;
  }

  seek(sample: number): void {
    this.#position = Math.min(sample, this.samples);
    for (const reader of this.#readers) reader.seek(this.#position);
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}

/** One channel of a file. */
export class OneChannel implements PcmReader {
  readonly channels = 1;
  readonly #reader: PcmReader;
  readonly #channel: number;
  readonly #block: Int16Array;

  constructor(reader: PcmReader, channel: number) {
    this.#reader = reader;
    this.#channel = channel;
    this.#block = new Int16Array(BLOCK_SAMPLES * reader.channels);
  }

  get sampleRate(): number {
    return this.#reader.sampleRate;
  }

  get samples(): number {
    return this.#reader.samples;
  }

  read(into: Int16Array): number {
    const { channels } = this.#reader;
    const wanted = Math.min(into.length, BLOCK_SAMPLES);
    const got = this.#reader.read(this.#block.subarray(0, wanted * channels));
    for (let i = 0, from = this.#channel; i < got; i++, from += channels) into[i] = this.#block[from] as number;
    return got;
  }

  seek(sample: number): void {
    this.#reader.seek(sample);
  }

  close(): void {
    this.#reader.close();
  }
}

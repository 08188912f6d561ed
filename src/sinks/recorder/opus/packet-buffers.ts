import type { Channel } from '../../../core/events.js';
import { type SampleSource, WriteBuffers } from '../buffers/write-buffers.js';
import { type RecorderMemory, WRITE_BUFFER } from '../recorder-memory.js';
import type { OpusEntry } from './opus-file.js';
import type { OpusFiles } from './opus-files.js';

/** start, length in samples, and length of the packet, i32 each; then the packet, filled up to four bytes. */
const ENTRY = { START: 0, SAMPLES: 4, LENGTH: 8, BYTES: 12 } as const;
/** LENGTH of a stretch of silence. */
const SILENCE = -1;

/**
 * The packets of one recording that are not yet in its files: of each channel a list of entries in its write buffer,
 * WRITE_BUFFER.COUNT bytes long and beginning at WRITE_BUFFER.START of the time line.
 */
export class PacketBuffers extends WriteBuffers {
  readonly #memory: RecorderMemory;
  readonly #index: number;
  readonly #channels: readonly Channel[];
  readonly #files: OpusFiles | undefined;

  constructor(memory: RecorderMemory, index: number, channels: 1 | 2, files: OpusFiles | undefined) {
    super(memory, index, channels, Number.MAX_SAFE_INTEGER);
    this.#memory = memory;
    this.#index = index;
    this.#channels = channels === 1 ? [0] : [0, 1];
    this.#files = files;
  }

  /** Takes the packet of `length` bytes at byte `at`, none where it is missing. Returns 0 when the buffer is full. */
  override take(
    channel: Channel,
    position: number,
    count: number,
    source: SampleSource,
    at: number,
    length: number,
    nowUs: number,
  ): number {
    const to = this.#claim(channel, position, count, length, nowUs);
    if (to < 0) return 0;
    for (let i = 0; i < length; i++) this.#memory.bytes[to + i] = source.bytes[at + i] as number;
    return count;
  }

  override noteSilence(channel: Channel, start: number, samples: number, nowUs: number): boolean {
    return this.#claim(channel, start, samples, SILENCE, nowUs) >= 0;
  }

  override writtenTo(channel: Channel): number {
    const line = this.#memory.line(this.#index, channel);
    const isHeld = this.#memory.int(line, WRITE_BUFFER.COUNT) > 0;
    return isHeld ? this.#memory.int(line, WRITE_BUFFER.START) : this.end(channel);
  }

  override drop(_nowUs: number, dropped: (channel: Channel, start: number, length: number) => void): void {
    for (const channel of this.#channels) {
      const start = this.writtenTo(channel);
      if (start < this.end(channel)) dropped(channel, start, this.end(channel) - start);
      this.#empty(channel);
    }
  }

  override write(): number {
    let bytes = 0;
    for (const channel of this.#channels) {
      if (this.#memory.int(this.#memory.line(this.#index, channel), WRITE_BUFFER.COUNT) === 0) continue;
      bytes += this.#files?.write(channel, this.#entries(channel)) ?? 0;
      this.#empty(channel);
    }
    return bytes;
  }

  *#entries(channel: Channel): Generator<OpusEntry> {
    const { words, bytes } = this.#memory;
    const from = this.#memory.buffer(this.#index, channel);
    const end = from + this.#memory.int(this.#memory.line(this.#index, channel), WRITE_BUFFER.COUNT);
    for (let at = from; at < end; ) {
      const start = words[(at + ENTRY.START) >> 2] as number;
      const length = words[(at + ENTRY.LENGTH) >> 2] as number;
      const packet = length === SILENCE ? undefined : bytes.subarray(at + ENTRY.BYTES, at + ENTRY.BYTES + length);
      yield { start, end: start + (words[(at + ENTRY.SAMPLES) >> 2] as number), packet };
      at += entryBytes(length);
    }
  }

  /** Space for an entry, of which all but the packet is written. Returns where that goes; −1 when the buffer is full. */
  #claim(channel: Channel, start: number, samples: number, length: number, nowUs: number): number {
    const memory = this.#memory;
    const line = memory.line(this.#index, channel);
    const held = memory.int(line, WRITE_BUFFER.COUNT);
    if (held + entryBytes(length) > memory.writeBufferBytes) return -1;
    if (held === 0) {
      memory.setInt(line, WRITE_BUFFER.START, start);
      memory.doubles[(line + WRITE_BUFFER.SINCE_US) >> 3] = nowUs;
    }
    const at = memory.buffer(this.#index, channel) + held;
    memory.words[(at + ENTRY.START) >> 2] = start;
    memory.words[(at + ENTRY.SAMPLES) >> 2] = samples;
    memory.words[(at + ENTRY.LENGTH) >> 2] = length;
    memory.setInt(line, WRITE_BUFFER.COUNT, held + entryBytes(length));
    return at + ENTRY.BYTES;
  }

  #empty(channel: Channel): void {
    this.#memory.setInt(this.#memory.line(this.#index, channel), WRITE_BUFFER.COUNT, 0);
  }
}

function entryBytes(length: number): number {
  return ENTRY.BYTES + (length <= 0 ? 0 : (length + 3) & ~3);
}

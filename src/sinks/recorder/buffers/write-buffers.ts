import { copyQuads } from '../../../core/copy.js';
import type { Channel } from '../../../core/events.js';
import type { AudioFile } from '../files/audio-file.js';
import { FLUSH_BYTES, type RecorderMemory, WRITE_BUFFER } from '../recorder-memory.js';
import type { SpanTrack } from '../spans.js';

/** Memory with samples in it, also by fours. */
export interface SampleSource {
  readonly bytes: Uint8Array;
  readonly samples: Int16Array;
  readonly quads: BigInt64Array;
}

export function sampleSource(memory: SharedArrayBuffer): SampleSource {
  return {
    bytes: new Uint8Array(memory),
    samples: new Int16Array(memory, 0, memory.byteLength >> 1),
    quads: new BigInt64Array(memory, 0, memory.byteLength >> 3),
  };
}

/**
 * The samples of one recording that are not yet in its file: of each channel one unbroken part of the time line, in the
 * recorder's memory, where it survives the thread.
 */
export class WriteBuffers {
  readonly #memory: RecorderMemory;
  readonly #index: number;
  readonly #channels: 1 | 2;
  readonly #capacity: number;
  /** The most that the file can hold of one channel. */
  readonly #maxSamples: number;
  readonly #file: AudioFile | undefined;

  /** @param file what is written to; undefined where another writes. */
  constructor(memory: RecorderMemory, index: number, channels: 1 | 2, maxSamples: number, file?: AudioFile) {
    this.#memory = memory;
    this.#index = index;
    this.#channels = channels;
    this.#capacity = memory.writeBufferBytes >> 1;
    this.#maxSamples = maxSamples;
    this.#file = file;
  }

  /** End of a channel so far, written or not. */
  end(channel: Channel): number {
    return this.#int(channel, WRITE_BUFFER.END);
  }

  extendTo(channel: Channel, endSamples: number): void {
    if (endSamples > this.end(channel)) this.#setInt(channel, WRITE_BUFFER.END, endSamples);
  }

  /** Frames of both channels. */
  get frames(): number {
    return this.#int(0, WRITE_BUFFER.FRAMES) + this.#int(1, WRITE_BUFFER.FRAMES);
  }

  countFrame(channel: Channel): void {
    this.#memory.addInt(this.#memory.line(this.#index, channel), WRITE_BUFFER.FRAMES, 1);
  }

  /** Which frames of a channel only add samples; see WRITE_BUFFER.APPEND_ONLY. */
  setAppendOnly(channel: Channel, word: number): void {
    this.#setInt(channel, WRITE_BUFFER.APPEND_ONLY, word);
  }

  /** End of the channel that is ahead. */
  get lengthSamples(): number {
    return Math.max(this.end(0), this.end(1));
  }

  /** Position up to which the buffer of a channel no longer holds its samples. */
  writtenTo(channel: Channel): number {
    return this.end(channel) - this.#held(channel);
  }

  /** Whether a buffer holds samples since `sinceUs` or longer, or holds so many that they are better written. */
  isDue(sinceUs: number): boolean {
    return this.#isDue(0, sinceUs) || this.#isDue(1, sinceUs);
  }

  /**
   * Takes up to `count` samples that belong at `position`. `source` has the first `available` of them from `at` on; the
   * others are zeros. Returns how many were taken; when fewer than `count`, the buffers must be emptied first.
   */
  take(
    channel: Channel,
    position: number,
    count: number,
    source: SampleSource,
    at: number,
    available: number,
    nowUs: number,
  ): number {
    const held = this.#held(channel);
    if (held === 0) this.#begin(channel, position, nowUs);
    const start = this.#int(channel, WRITE_BUFFER.START);
    const offset = position - start;
    // A gap may be filled with zeros only where nothing has been written before.
    const joins = offset >= 0 && (offset <= held || start + held >= this.end(channel));
    if (!joins || offset >= this.#capacity) return 0;
    const taken = Math.min(this.#capacity - offset, count);
    const copied = Math.max(0, Math.min(taken, available));
    const buffer = this.#memory.buffer(this.#index, channel) >> 1;
    const { samples } = this.#memory;
    if (offset > held) samples.fill(0, buffer + held, buffer + offset);
    copySamples(source, at, this.#memory, buffer + offset, copied);
    if (copied < taken) samples.fill(0, buffer + offset + copied, buffer + offset + taken);
    this.#setHeld(channel, Math.max(held, offset + taken));
    return taken;
  }

  /** It was decided that a stretch has no audio. False when there is no space to note it. */
  noteSilence(_channel: Channel, _position: number, _count: number, _nowUs: number): boolean {
    // Samples that are never written are zeros.
    return true;
  }

  /** The part of the time line of which the buffer of a channel holds the samples. */
  heldStart(channel: Channel): number {
    return this.#int(channel, WRITE_BUFFER.START);
  }

  heldEnd(channel: Channel): number {
    return this.heldStart(channel) + this.#held(channel);
  }

  /** Replaces the samples from `position` on, as far as the buffer holds them. */
  overwrite(channel: Channel, position: number, count: number, source: SampleSource, at: number): void {
    const heldStart = this.heldStart(channel);
    const from = Math.max(position, heldStart);
    const to = Math.min(position + count, this.heldEnd(channel));
    const buffer = (this.#memory.buffer(this.#index, channel) >> 1) - heldStart;
    if (to > from) copySamples(source, at + from - position, this.#memory, buffer + from, to - from);
  }

  /** Those without speech in what the buffers hold: bit 1 for channel 0, 2 for channel 1. */
  silentChannels(tracks: readonly SpanTrack[]): number {
    let bits = 0;
    for (const track of tracks) if (track.isSilentSince(this.heldStart(track.channel))) bits |= 1 << track.channel;
    return bits;
  }

  /** Writes everything to the file, interleaved in `scratch`, which is four buffers long. Returns the bytes written. */
  write(scratch: Int16Array, nowUs: number): number {
    const file = this.#file;
    if (file === undefined) return 0;
    const held0 = this.#held(0);
    const held1 = this.#held(1);
    const start0 = this.#int(0, WRITE_BUFFER.START);
    const start1 = this.#int(1, WRITE_BUFFER.START);
    let bytes = 0;
    if (this.#channels === 1) {
      if (held0 > 0) bytes = file.write(this.#memory.bytes, this.#memory.buffer(this.#index, 0), held0, start0);
    } else if (held0 > 0 && held1 > 0 && start0 <= start1 + held1 && start1 <= start0 + held0) {
      const end = Math.max(start0 + held0, start1 + held1);
      bytes = this.#writeMerged(file, scratch, Math.min(start0, start1), end);
    } else {
      if (held0 > 0) bytes = this.#writeMerged(file, scratch, start0, start0 + held0);
      if (held1 > 0) bytes += this.#writeMerged(file, scratch, start1, start1 + held1);
    }
    this.#empty(0, nowUs);
    this.#empty(1, nowUs);
    return bytes;
  }

  /** Drops what has not been written: `dropped` is called with each range. */
  drop(nowUs: number, dropped: (channel: Channel, start: number, length: number) => void): void {
    for (const channel of [0, 1] as const) {
      const held = this.#held(channel);
      if (held > 0) dropped(channel, this.#int(channel, WRITE_BUFFER.START), held);
      this.#empty(channel, nowUs);
    }
  }

  /** Writes [start, end) of both channels: what the buffers hold over what the file holds. */
  #writeMerged(file: AudioFile, scratch: Int16Array, start: number, end: number): number {
    scratch.fill(0, 0, 2 * (end - start));
    file.read(scratch, start, end);
    const { samples } = this.#memory;
    for (const channel of [0, 1] as const) {
      const bufferStart = this.#int(channel, WRITE_BUFFER.START);
      const from = Math.max(start, bufferStart);
      const to = Math.min(end, bufferStart + this.#held(channel));
      const source = (this.#memory.buffer(this.#index, channel) >> 1) + from - bufferStart;
      const target = 2 * (from - start) + channel;
      for (let i = 0; i < to - from; i++) scratch[target + 2 * i] = samples[source + i] as number;
    }
    return file.write(scratch, 0, end - start, start);
  }

  #isDue(channel: Channel, sinceUs: number): boolean {
    const held = this.#held(channel);
    return held > 0 && (2 * held >= FLUSH_BYTES || (this.#memory.doubles[this.#since(channel)] as number) <= sinceUs);
  }

  #held(channel: Channel): number {
    return this.#int(channel, WRITE_BUFFER.COUNT);
  }

  #setHeld(channel: Channel, samples: number): void {
    this.#setInt(channel, WRITE_BUFFER.COUNT, samples);
  }

  /** The next frame most probably begins where the last one ended. */
  #empty(channel: Channel, nowUs: number): void {
    this.#setHeld(channel, 0);
    this.#begin(channel, this.end(channel), nowUs);
  }

  #begin(channel: Channel, position: number, nowUs: number): void {
    this.#setInt(channel, WRITE_BUFFER.START, position);
    this.#setInt(channel, WRITE_BUFFER.LIMIT, Math.min(position + this.#capacity, this.#maxSamples));
    this.#memory.doubles[this.#since(channel)] = nowUs;
  }

  #int(channel: Channel, field: number): number {
    return this.#memory.int(this.#memory.line(this.#index, channel), field);
  }

  #setInt(channel: Channel, field: number, value: number): void {
    this.#memory.setInt(this.#memory.line(this.#index, channel), field, value);
  }

  #since(channel: Channel): number {
    return (this.#memory.line(this.#index, channel) + WRITE_BUFFER.SINCE_US) >> 3;
  }
}

/** Copies four samples at a time where positions and count allow it. */
export function copySamples(from: SampleSource, at: number, to: SampleSource, target: number, count: number): void {
  if (((at | target | count) & 3) === 0) copyQuads(from.quads, at >> 2, to.quads, target >> 2, count >> 2);
  else for (let i = 0; i < count; i++) to.samples[target + i] = from.samples[at + i] as number;
}

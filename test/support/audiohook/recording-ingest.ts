import { decodePcmu } from '../../../src/audio/codecs/g711.js';
import { decodeL16Le } from '../../../src/audio/codecs/l16.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import type { StreamFormat } from '../../../src/core/codec.js';
import { TrunklineError } from '../../../src/core/errors.js';
import type { EndReason } from '../../../src/core/events.js';
import {
  CLAIM,
  type Claim,
  type OrderedIngest,
  type OrderedStreamIngest,
  type StreamOptions,
} from '../../../src/engine/input/ingest.js';
import { PayloadArena } from '../../../src/engine/input/payload-arena.js';
import { LooseBatch } from '../engine/packets.js';

export interface Mark {
  state: string;
  start: number;
  length: number;
}

export class RecordedStream {
  readonly interactionId: string;
  readonly format: StreamFormat;
  readonly options: StreamOptions | undefined;
  readonly channels: [number[], number[]] = [[], []];
  readonly nextSequence = [0, 0];
  readonly marks: Mark[] = [];
  readonly problems: string[] = [];
  endReason: EndReason | undefined;

  constructor(interactionId: string, format: StreamFormat, options: StreamOptions | undefined) {
    this.interactionId = interactionId;
    this.format = format;
    this.options = options;
  }

  /** The PCM of a channel, as long as the time line. */
  pcm(channel: 0 | 1): Int16Array {
    return Int16Array.from(this.channels[channel]);
  }
}

export interface OrderedPacket {
  readonly stream: number;
  readonly channel: number;
  readonly sequence: number;
  readonly position: number;
  readonly bytes: Buffer;
}

const CAPACITY_BYTES = 1 << 17;
/** As a ring's: a payload begins at a multiple of 8, and not where the one before ends. */
const GAP_BYTES = 56;

/** An OrderedIngest that hands each packet on as it is committed. */
export class DirectIngest implements OrderedIngest {
  readonly bytes = Buffer.from(new SharedArrayBuffer(CAPACITY_BYTES));
  readonly words = new Int32Array(this.bytes.buffer);
  readonly at = new Int32Array(2);
  /** Claims that are still granted. */
  claimsLeft = Number.POSITIVE_INFINITY;
  /** Streams whose claims are always refused. */
  readonly full = new Set<number>();
  published = 0;
  readonly #channelsOf: (stream: number) => number;
  readonly #take: (packet: OrderedPacket) => void;
  #stream = 0;
  #length = 0;

  constructor(channelsOf: (stream: number) => number, take: (packet: OrderedPacket) => void) {
    this.#channelsOf = channelsOf;
    this.#take = take;
  }

  claim(stream: number, length: number): Claim {
    if (this.#channelsOf(stream) === 0) return CLAIM.GONE;
    if (this.claimsLeft === 0 || this.full.has(stream)) return CLAIM.FULL;
    this.at[0] = GAP_BYTES;
    this.at[1] = GAP_BYTES + ((length + GAP_BYTES + 7) & ~7);
    this.#stream = stream;
    this.#length = length;
    return CLAIM.GIVEN;
  }

  commit(sequence: number, position: number): void {
    this.claimsLeft -= 1;
    const stream = this.#stream;
    for (let channel = 0; channel < this.#channelsOf(stream); channel++) {
      const at = this.at[channel] as number;
      const bytes = Buffer.from(this.bytes.subarray(at, at + this.#length));
      this.#take({ stream, channel, sequence, position, bytes });
    }
  }

  publish(): void {
    this.published += 1;
  }
}

/** An engine for tests: decodes at once and lays every channel out on its time line, without the rings. */
export class RecordingIngest implements OrderedStreamIngest {
  readonly streams: RecordedStream[] = [];
  readonly batch = new LooseBatch(new PayloadArena(new SharedArrayBuffer(0), 0, 0), () => {});
  readonly ordered = new DirectIngest(
    (index) => (this.streams[index]?.endReason === undefined ? (this.streams[index]?.format.channels ?? 0) : 0),
    (packet) => this.#take(packet),
  );
  maxStreams = Number.POSITIVE_INFINITY;

  openStream(interactionId: string, format: StreamFormat, options?: StreamOptions): number {
    const live = this.streams.filter((stream) => stream.endReason === undefined);
    if (live.some((stream) => stream.interactionId === interactionId))
      throw new TrunklineError('STREAM_EXISTS', 'There already.');
    if (live.length >= this.maxStreams) throw new TrunklineError('LIMIT_EXCEEDED', 'Too many.');
    return this.streams.push(new RecordedStream(interactionId, format, options)) - 1;
  }

  endStream(index: number, reason: EndReason): void {
    const stream = this.streams[index];
    if (stream === undefined) throw new Error('ended without having been opened');
    if (stream.endReason !== undefined) stream.problems.push('ended twice');
    stream.endReason = reason;
  }

  streamInterrupted(): void {}

  pauseStream(): void {}

  resumeStream(): void {}

  markSpan(index: number, channel: number, state: string, start: number, length: number): void {
    const stream = this.streams[index];
    if (stream === undefined || channel !== -1) throw new Error('no such marks are made');
    for (const pcm of stream.channels.slice(0, stream.format.channels)) {
      if (pcm.length !== start) stream.problems.push(`mark at ${start}, channel at ${pcm.length}`);
      for (let i = 0; i < length; i++) pcm.push(0);
    }
    const last = stream.marks.at(-1);
    if (last?.state === state && last.start + last.length === start) last.length += length;
    else stream.marks.push({ state, start, length });
  }

  submit(): void {}

  #take({ stream: index, channel, sequence, position, bytes }: OrderedPacket): void {
    const stream = this.streams[index];
    const pcm = stream?.channels[channel];
    if (stream === undefined || pcm === undefined) throw new Error('packet of no stream');
    if (stream.endReason !== undefined) stream.problems.push('packet after the end');
    if (position !== pcm.length) stream.problems.push(`packet at ${position}, channel at ${pcm.length}`);
    if (sequence !== stream.nextSequence[channel]) stream.problems.push(`sequence ${sequence}`);
    stream.nextSequence[channel] = sequence + 1;
    const payload = SampleMemory.copyOf(bytes);
    const out = new SampleMemory(new ArrayBuffer(stream.format.codec === 'pcmu' ? 2 * bytes.length : bytes.length));
    if (stream.format.codec === 'pcmu') decodePcmu(payload, 0, bytes.length, out, 0);
    else decodeL16Le(payload, 0, bytes.length, out, 0);
    for (const sample of out.samples) pcm.push(sample);
  }
}

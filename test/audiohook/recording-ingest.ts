import type { StreamFormat } from '../../src/core/codec.js';
import { TrunklineError } from '../../src/core/errors.js';
import type { EndReason } from '../../src/core/events.js';
import type { StreamIngest, StreamOptions } from '../../src/engine/ingest.js';
import { PacketBatch } from '../../src/engine/packet-batch.js';
import { PayloadArena } from '../../src/engine/payload-arena.js';
import { decodePcmu } from '../../src/media/g711.js';
import { decodeL16Le } from '../../src/media/l16.js';

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

const ARENA_BYTES = 8 << 20;

/** Stands in for the engine: decodes at once and lays every channel out on its time line, without the rings. */
export class RecordingIngest implements StreamIngest {
  readonly streams: RecordedStream[] = [];
  readonly batch: PacketBatch;
  readonly #arena = new PayloadArena(new SharedArrayBuffer(ARENA_BYTES), 0, ARENA_BYTES);
  submits = 0;
  maxStreams = Number.POSITIVE_INFINITY;

  constructor() {
    this.batch = new PacketBatch(this.#arena, () => this.submit());
  }

  openStream(interactionId: string, format: StreamFormat, options?: StreamOptions): number {
    const live = this.streams.filter((stream) => stream.endReason === undefined);
    if (live.some((stream) => stream.interactionId === interactionId))
      throw new TrunklineError('STREAM_EXISTS', 'There already.');
    if (live.length >= this.maxStreams) throw new TrunklineError('LIMIT_EXCEEDED', 'Too many.');
    return this.streams.push(new RecordedStream(interactionId, format, options)) - 1;
  }

  endStream(index: number, reason: EndReason): void {
    const stream = this.streams[index];
    if (stream === undefined || this.batch.count > 0) throw new Error('ended before its packets were submitted');
    if (stream.endReason !== undefined) stream.problems.push('ended twice');
    stream.endReason = reason;
  }

  streamInterrupted(): void {}

  pauseStream(): void {}

  resumeStream(): void {}

  markSpan(index: number, channel: number, state: string, start: number, length: number): void {
    const stream = this.streams[index];
    if (stream === undefined || channel !== -1 || this.batch.count > 0) throw new Error('marked out of order');
    for (const pcm of stream.channels.slice(0, stream.format.channels)) {
      if (pcm.length !== start) stream.problems.push(`mark at ${start}, channel at ${pcm.length}`);
      for (let i = 0; i < length; i++) pcm.push(0);
    }
    const last = stream.marks.at(-1);
    if (last?.state === state && last.start + last.length === start) last.length += length;
    else stream.marks.push({ state, start, length });
  }

  submit(): void {
    this.submits += 1;
    const { batch } = this;
    for (let i = 0; i < batch.count; i++) this.#take(i);
    batch.count = 0;
    this.#arena.releaseTo(-1);
  }

  #take(i: number): void {
    const { batch } = this;
    const stream = this.streams[batch.stream[i] as number];
    const channel = batch.channel[i] as number;
    const pcm = stream?.channels[channel];
    if (stream === undefined || pcm === undefined) throw new Error('packet of no stream');
    if (stream.endReason !== undefined) stream.problems.push('packet after the end');
    if (batch.timestamp[i] !== pcm.length)
      stream.problems.push(`packet at ${batch.timestamp[i]}, channel at ${pcm.length}`);
    if (batch.sequence[i] !== stream.nextSequence[channel]) stream.problems.push(`sequence ${batch.sequence[i]}`);
    stream.nextSequence[channel] = (batch.sequence[i] as number) + 1;
    const length = batch.payloadLength[i] as number;
    const from = batch.payloadOffset[i] as number;
    const samples = stream.format.codec === 'pcmu' ? length : length / 2;
    const out = new Int16Array(samples);
    if (stream.format.codec === 'pcmu') decodePcmu(batch.bytes, from, length, out, 0);
    else decodeL16Le(batch.bytes, from, length, out, 0);
    for (const sample of out) pcm.push(sample);
  }
}

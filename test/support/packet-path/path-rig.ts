import { Buffer } from 'node:buffer';
import { ManualClock } from '../../../src/core/clock.js';
import { type Codec, codecId, type StreamFormat } from '../../../src/core/codec.js';
import { addCounts, zeroCounts } from '../../../src/core/counts.js';
import { TrunklineError } from '../../../src/core/errors.js';
import type { EndReason } from '../../../src/core/events.js';
import type { StreamSample } from '../../../src/engine/engine-state.js';
import type { StreamIngest, StreamOptions } from '../../../src/engine/input/ingest.js';
import type { PacketBatch } from '../../../src/engine/input/packet-batch.js';
import { PacketInput } from '../../../src/engine/input/packet-input.js';
import { resolveOptions } from '../../../src/engine/options.js';
import { type Stream, Streams } from '../../../src/engine/streams.js';
import { layOutMemory } from '../../../src/engine/threads/memory.js';
import { KIND, RECORD } from '../../../src/ring/layout.js';
import { RingConsumer } from '../../../src/ring/ring.js';
import { Refusals, type SourceCounters, zeroCounters } from '../../../src/sources/genesys/counters.js';
import {
  InteractionTable,
  type RowOwner,
  type UndecidedPacket,
} from '../../../src/sources/genesys/interaction-table.js';
import { PacketIngest } from '../../../src/sources/genesys/media/packet-ingest.js';
import type { SocketReader } from '../../../src/sources/genesys/protocol/socket-reader.js';
import type { PathSizes, Script, ScriptCall, Step } from './steps.js';

const CODECS: readonly Codec[] = ['pcmu', 'pcma', 'l16', 'opus'];
const FORMATS: Record<Codec, Omit<StreamFormat, 'channels'>> = {
  pcmu: { codec: 'pcmu', clockRate: 8000, sampleRate: 8000 },
  pcma: { codec: 'pcma', clockRate: 8000, sampleRate: 8000 },
  l16: { codec: 'l16', clockRate: 16_000, sampleRate: 16_000 },
  opus: { codec: 'opus', clockRate: 48_000, sampleRate: 16_000 },
};
const START_US = 5_000_000;
/** Where the part of an input record's header ends that anybody writes: bytes of an earlier record stand behind it. */
const UNUSED_FROM = RECORD.PEAK;

/** How a path is put together, where the two differ. */
export interface PathParts {
  readonly native: 'off' | 'require';
  readonly reader: (batch: PacketBatch) => SocketReader | undefined;
}

/** A call of the script, which opens its stream with its first packet and again with each new format. */
class Call implements RowOwner {
  readonly id: string;
  readonly table: InteractionTable;
  readonly slot: number;
  stream = -1;
  readonly #channels: 1 | 2;
  readonly #codec: Codec;
  readonly #ingest: StreamIngest;
  readonly #counters: SourceCounters;

  constructor(
    { id, codec, channels }: ScriptCall,
    table: InteractionTable,
    ingest: StreamIngest,
    counters: SourceCounters,
  ) {
    this.id = id;
    this.table = table;
    this.#codec = codec;
    this.#channels = channels;
    this.#ingest = ingest;
    this.#counters = counters;
    this.slot = table.add(this);
  }

  takePacket({ codec, channel }: UndecidedPacket): boolean {
    const isOpen = this.table.flowing[this.slot] === 1;
    if (Math.max(channel, 0) >= this.#channels) {
      this.#counters.wrongFormat++;
      return false;
    }
    const format = FORMATS[CODECS[codec] ?? this.#codec];
    if (isOpen && codecId(format.codec) === this.table.codec[this.slot]) return true;
    const continues = isOpen ? this.stream : -1;
    this.end();
    try {
      this.stream = this.#ingest.openStream(this.id, { ...format, channels: this.#channels }, { continues });
    } catch (thrown) {
      if (thrown instanceof TrunklineError && thrown.code === 'LIMIT_EXCEEDED') return false;
      throw thrown;
    }
    const { stream } = this;
    this.table.set(this.slot, { stream, codec: codecId(format.codec), channels: this.#channels, flowing: true });
    return true;
  }

  /** Packets that follow are those of another stream. */
  end(): void {
    this.stream = -1;
    this.table.set(this.slot, { stream: -1, codec: 0, channels: 0, flowing: false });
  }
}

/** One connection: what has arrived and was not processed yet, which begins with a frame. */
interface Connection {
  readonly table: InteractionTable;
  /** Not yet read. */
  arrived: Buffer;
  /** Read; the beginning of a frame whose rest has not come. */
  cut: Buffer;
}

/**
 * The packet path of an engine and its source, from the bytes of sockets to the rings of the shards, in this thread and
 * in virtual time: the real parts, put together as Engine and MediaConnection do it, without threads, sockets and timers.
 */
export class PathRig implements StreamIngest {
  readonly batch: PacketBatch;
  readonly counters = zeroCounters();
  readonly #clock = new ManualClock(START_US);
  readonly #input: PacketInput;
  readonly #streams: Streams;
  readonly #rings: readonly RingConsumer[];
  readonly #packetIngest: PacketIngest;
  readonly #connections: readonly Connection[];
  readonly #pumpEveryUs: number;
  #pumpedUs = Number.NEGATIVE_INFINITY;
  readonly #calls: readonly Call[];
  readonly #ending = new Map<number, Stream>();
  /** Counts of all streams that have ended. */
  readonly #ended = { ...zeroCounts(), packetsPaused: 0 };
  /** Kinds of the records taken so far. */
  readonly #kinds: number[] = [];
  #controls = 0;

  constructor({ sizes, calls, connections }: Script, { native, reader }: PathParts) {
    const settings = settingsOf(sizes, native);
    const memory = layOutMemory(settings.memory);
    this.#pumpEveryUs = sizes.pumpEveryUs;
    this.#streams = new Streams(sizes.maxStreams, sizes.shards);
    this.#input = new PacketInput(memory, settings, this.#streams, { wake: () => {}, onPublished: () => {} });
    this.batch = this.#input.batch;
    this.#rings = memory.shards.map(({ input }) => new RingConsumer(input));
    const refusals = new Refusals(this.counters);
    const control = () => this.#controls++;
    this.#packetIngest = new PacketIngest(this, this.#clock, this.counters, { control, refusals }, reader(this.batch));
    const empty = Buffer.alloc(0);
    this.#connections = Array.from({ length: connections }, () => ({
      ...{ table: new InteractionTable(), arrived: empty, cut: empty },
    }));
    this.#calls = calls.map((call) => new Call(call, this.#connection(call.connection).table, this, this.counters));
  }

  /** Does a step, and returns what the other path must return as well. */
  async do(step: Step): Promise<unknown> {
    switch (step.does) {
      case 'arrive': {
        const connection = this.#connection(step.connection);
        connection.arrived = Buffer.concat([connection.arrived, step.bytes]);
        return undefined;
      }
      case 'read':
        return this.#read(this.#connection(step.connection), step.bytes);
      case 'turn':
        await Promise.resolve();
        return undefined;
      case 'wait':
        this.#clock.advanceUs(step.us);
        if (this.#clock.nowUs() >= this.#input.dueUs()) this.#pump();
        return this.#input.dueUs();
      case 'take':
        return this.take(step.shard, step.records);
      default:
        return this.#control(step);
    }
  }

  /** Everything that is still to come: ends all calls and empties the rings. */
  async finish(): Promise<unknown[]> {
    await Promise.resolve();
    const records: unknown[] = [];
    for (const { stream } of this.#calls) if (stream >= 0) this.endStream(stream, 'ended');
    for (let isNew = true; isNew; ) {
      const taken = this.#rings.flatMap((_, shard) => this.take(shard, Number.POSITIVE_INFINITY));
      isNew = taken.length > 0;
      records.push(...taken);
      this.#clock.advanceUs(1000);
      this.#pump();
    }
    return records;
  }

  /** Every count and every figure that can be read of the path. */
  state(): unknown {
    const input = this.#input;
    const streams = [...this.#streams].map((stream) => ({
      ...{ id: stream.info.interactionId, stream: stream.info.stream, ending: stream.ending },
      ...{ counts: input.countsOf(stream), paused: input.pausedPackets(stream) },
      channels: stream.ending ? [] : input.receptionOf(stream),
      positionAt: stream.ending ? 0 : input.positionAt(stream, this.#clock.nowUs()),
    }));
    return {
      ...{ streams, counters: { ...this.counters }, controls: this.#controls },
      ...{ unknownStream: input.unknownStream, arenaFull: input.arenaFull, arenaUsedBytes: input.arenaUsedBytes },
      ...{ latePacketsRefused: input.latePacketsRefused, latePacketsUnplaced: input.latePacketsUnplaced },
      dueUs: input.dueUs(),
      samples: [...this.#streams].map((stream) => this.#sample(stream)),
      refused: this.#rings.map((_, shard) => input.refusedBy(shard)),
    };
  }

  /** What is shown of a stream while it goes on. */
  #sample(stream: Stream): StreamSample {
    const sample = { counts: zeroCounts(), playoutDelayUs: 0, mosLq: 0, driftPpm: 0, isOrdered: false };
    this.#input.sample(stream, sample);
    return sample;
  }

  /** How often each thing has happened that a comparison should not miss. */
  exercised(): [string, number][] {
    const counts: Record<string, number> = { ...this.#ended };
    for (const kind of this.#kinds) counts[`records of kind ${kind}`] = (counts[`records of kind ${kind}`] ?? 0) + 1;
    const { arenaFull, latePacketsRefused, regularPackets, unknownStream } = this.#input;
    const refusedByRings = this.#rings.reduce((sum, _, shard) => sum + this.#input.refusedBy(shard), 0);
    Object.assign(counts, this.counters, {
      arenaFull,
      latePacketsRefused,
      regularPackets,
      unknownStream,
      refusedByRings,
    });
    return [...Object.entries(counts), ['controls', this.#controls]];
  }

  // ---- StreamIngest, as Engine implements it

  openStream(interactionId: string, format: StreamFormat, { continues = -1 }: StreamOptions = {}): number {
    this.#input.insert();
    if (continues >= 0) this.endStream(continues, 'formatChanged');
    const stream = this.#streams.open(interactionId, format, false, this.#clock.wallMs());
    this.#input.open(stream);
    return stream.info.stream;
  }

  endStream(index: number, reason: EndReason): void {
    const stream = this.#openStreamAt(index);
    if (stream === undefined) return;
    this.#input.flush(stream, this.#clock.nowUs());
    const packetsPaused = this.#input.pausedPackets(stream);
    const counts = this.#input.countsOf(stream);
    const quality = this.#input.qualityOf(stream, counts);
    addCounts(this.#ended, counts);
    this.#ended.packetsPaused += packetsPaused;
    this.#streams.end(stream, counts);
    this.#ending.set(stream.generation, stream);
    const endedAtMs = this.#clock.wallMs();
    this.#input.close(stream, { ...counts, packetsPaused, ...quality, endReason: reason, endedAtMs });
  }

  streamInterrupted(index: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined) this.#input.interrupted(stream);
  }

  markSpan(): void {
    throw new Error('the media subscription has no ordered streams');
  }

  pauseStream(index: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined) this.#input.pause(stream);
  }

  resumeStream(index: number, fromUs: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined) this.#input.resume(stream, fromUs);
  }

  submit(): void {
    this.#input.insert();
    if (this.#clock.nowUs() >= this.#pumpedUs + this.#pumpEveryUs) this.#pump();
  }

  #pump(): void {
    this.#pumpedUs = this.#clock.nowUs();
    this.#input.advance(this.#pumpedUs);
  }

  #openStreamAt(index: number): Stream | undefined {
    const stream = this.#streams.at(index);
    return stream?.ending === false ? stream : undefined;
  }

  #connection(index: number): Connection {
    const connection = this.#connections[index];
    if (connection === undefined) throw new Error(`The script has no connection ${index}.`);
    return connection;
  }

  // ---- steps

  /** As WebSocketFastPath does it: what the reader does not take goes the way of ws, a frame that was cut waits. */
  #read(connection: Connection, most: number): number {
    const read = connection.arrived.subarray(0, most);
    connection.arrived = connection.arrived.subarray(read.length);
    const bytes = Buffer.concat([connection.cut, read]);
    let at = 0;
    while (at < bytes.length) {
      at = this.#packetIngest.read(bytes, at, bytes.length, connection.table);
      const header = frameHeader(bytes, at);
      if (header === undefined || at + header.bytes + header.length > bytes.length) break;
      const end = at + header.bytes + header.length;
      this.#packetIngest.message(Buffer.from(bytes.subarray(at + header.bytes, end)), connection.table);
      at = end;
    }
    connection.cut = bytes.subarray(at);
    return at;
  }

  #control(step: Extract<Step, { readonly call: number }>): void {
    this.#packetIngest.flush();
    const call = this.#calls[step.call];
    if (call === undefined || call.stream < 0) return;
    if (step.does === 'pause') this.pauseStream(call.stream);
    else if (step.does === 'resume') this.resumeStream(call.stream, this.#clock.nowUs() - step.agoUs);
    else if (step.does === 'interrupt') this.streamInterrupted(call.stream);
    else {
      this.endStream(call.stream, 'ended');
      call.end();
    }
  }

  /** The records of a shard's ring: their bytes as text, headers apart. */
  take(shard: number, most: number): string[] {
    const ring = this.#rings[shard];
    const records: string[] = [];
    if (ring === undefined) return records;
    for (let at = ring.peek(); at >= 0 && records.length < most; at = ring.peek()) {
      if (!ring.isWhole(at)) throw new Error(`shard ${shard}: a record at ${at} is not whole`);
      records.push(this.#record(ring, shard, at));
      ring.release();
    }
    // The native path takes the regular packets of a turn before what is left to JavaScript: the order may differ across
    // streams, never within one. A sort leaves what compares as equal in its order.
    return records.sort((a, b) => compareText(streamOf(a), streamOf(b)));
  }

  #record({ bytes, view }: RingConsumer, shard: number, at: number): string {
    const end = at + view.getInt32(at + RECORD.LENGTH, true);
    const kind = view.getUint8(at + RECORD.KIND);
    this.#kinds.push(kind);
    if (kind === KIND.CLOSE) this.#closed(view.getFloat64(at + RECORD.GENERATION, true));
    const hex = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('hex');
    const what =
      `${view.getInt32(at + RECORD.STREAM, true)} channel ${view.getUint8(at + RECORD.CHANNEL)} shard ${shard} kind ${kind} ` +
      `sequence ${view.getFloat64(at + RECORD.SEQUENCE, true)} position ${view.getFloat64(at + RECORD.POSITION, true)}`;
    return `${what} ${hex(at, at + UNUSED_FROM)} ${hex(at + RECORD.INPUT_HEADER_BYTES, end)}`;
  }

  /** The end of a stream has come through: its index is free. */
  #closed(generation: number): void {
    const stream = this.#ending.get(generation);
    this.#ending.delete(generation);
    if (stream !== undefined) this.#streams.free(stream);
  }
}

function streamOf(record: string): string {
  return record.slice(0, record.indexOf(' '));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function settingsOf(sizes: PathSizes, native: 'off' | 'require'): ReturnType<typeof resolveOptions> {
  const { shards, maxStreams, packets, arenaBytes, inputRingBytes, isRecording, pumpEveryUs: _, ...delays } = sizes;
  const settings = resolveOptions({ native, shards, maxStreams, ...delays });
  return {
    ...settings,
    memory: {
      ...{ ...settings.memory, arenaBytes, inputRingBytes, outputRingBytes: 1024 },
      recorderRingBytes: isRecording ? 1024 : 0,
    },
    jitter: { ...settings.jitter, packets },
  };
}

/** RFC 6455 section 5.2, of a frame without a mask; undefined while the header is not whole. */
function frameHeader(bytes: Buffer, at: number): { bytes: number; length: number } | undefined {
  if (bytes.length - at < 2) return undefined;
  const length = (bytes[at + 1] as number) & 0x7f;
  if (length < 126) return { bytes: 2, length };
  return bytes.length - at < 4 ? undefined : { bytes: 4, length: bytes.readUInt16BE(at + 2) };
}

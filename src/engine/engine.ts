import { EventEmitter } from 'node:events';
import { type Clock, systemClock } from '../core/clock.js';
import type { StreamFormat } from '../core/codec.js';
import { addCounts, zeroCounts } from '../core/counts.js';
import { TrunklineError } from '../core/errors.js';
import type {
  Channel,
  EndReason,
  FrameSink,
  MarkedState,
  ReceptionCounts,
  StreamInfo,
  StreamSummary,
} from '../core/events.js';
import { MS_PER_SECOND, US_PER_MS } from '../core/units.js';
import { STREAM, STREAM_STATE, StreamTable, WANT } from '../ring/stream-table.js';
import { JitterBuffer } from '../rtp/jitter-buffer.js';
import { Timeline } from '../rtp/timeline.js';
import { SHARD_COUNTERS } from '../shard/shard-data.js';
import type { OrderedStreamIngest, StreamOptions } from './input/ingest.js';
import { OrderedInput } from './input/ordered-input.js';
import { PacketBatch } from './input/packet-batch.js';
import { PayloadArena } from './input/payload-arena.js';
import { Release } from './input/release.js';
import { type EngineOptions, resolveOptions } from './options.js';
import { Delivery } from './output/delivery.js';
import { type PreviousStream, type Stream, Streams } from './streams.js';
import { agentTasks, sumCounter } from './threads/agents.js';
import { type EngineMemory, layOutMemory } from './threads/memory.js';
import { AgentPool } from './threads/pool.js';
import { Schedule } from './threads/schedule.js';

export interface EngineCounters {
  readonly framesDecoded: number;
  readonly decodeErrors: number;
  readonly concealed: number;
  readonly poisoned: number;
  readonly recorderRefused: number;
  readonly decodersRebuilt: number;
  readonly shardRestarts: number;
  readonly framesRepeated: number;
  readonly arenaFull: number;
  readonly unknownStream: number;
  /** Received while their stream was paused, and withheld. */
  readonly packetsPaused: number;
}

export interface EngineEvents {
  restarted: [name: string, cause: string];
  failed: [error: TrunklineError];
  sinkError: [thrown: unknown];
}

const CLOSE_GRACE_MS = 5_000;
const CLOSE_DRAIN_MS = 5;
/** Sources that submit packet by packet have them shown to the shards no more often than this, but for the timer. */
const PUMP_EVERY_US = 500;

/**
 * The engine: packets in through StreamIngest, frames out to sinks. The main thread's part of the way is here in the
 * order in which a packet takes it: submit() → jitter buffer → pump() → release to the shard's input ring → (the shard
 * decodes, see shard/shard-loop.ts) → delivery from the output ring to the sinks. Ordered streams begin at the ring.
 */
export class Engine extends EventEmitter<EngineEvents> implements OrderedStreamIngest {
  readonly batch: PacketBatch;
  readonly ordered: OrderedInput;
  readonly #isRecording: boolean;
  readonly #clock: Clock;
  readonly #memory: EngineMemory;
  readonly #table: StreamTable;
  readonly #streams: Streams;
  readonly #arena: PayloadArena;
  readonly #jitter: JitterBuffer;
  readonly #timeline: Timeline;
  readonly #release: Release;
  readonly #delivery: Delivery;
  readonly #schedule: Schedule;
  readonly #pool: AgentPool;
  #pumpedUs = 0;
  #restarts = 0;
  #unknownStream = 0;
  /** Of streams that have ended. */
  #packetsPaused = 0;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions = {}) {
    super();
    this.#isRecording = options.recorder !== undefined;
    this.#clock = options.clock ?? systemClock;
    const settings = resolveOptions(options);
    const { maxStreams } = settings.memory;
    this.#memory = layOutMemory(settings.memory);
    const { memory, arena, streamTable } = this.#memory;
    this.#table = new StreamTable(memory, streamTable.offset, streamTable.capacity);
    this.#streams = new Streams(maxStreams, settings.memory.shards);
    this.#arena = new PayloadArena(memory, arena.offset, arena.capacity);
    this.batch = new PacketBatch(this.#arena, () => this.#takeIn());
    this.#jitter = new JitterBuffer(settings.jitter);
    this.#timeline = new Timeline(maxStreams * 2);
    this.#release = new Release(this.#memory, maxStreams, this.#streams, this.#timeline, (shard) =>
      this.#pool.handle(shard).wake(),
    );
    this.ordered = new OrderedInput(memory, maxStreams, this.#release, () => this.#schedule.update());
    this.#delivery = new Delivery(
      this.#memory.shards.map((shard) => shard.output),
      memory,
      this.#streams,
      maxStreams,
      this.#clock,
      (info) => this.#ended(info),
      (thrown) => this.#sinkError(thrown),
    );
    this.#schedule = new Schedule(this.#memory.outputWaiter, this.#clock, this.#delivery, {
      pump: () => this.#pump(),
      dueUs: () => this.#dueUs(),
    });
    this.#pool = new AgentPool(agentTasks(this.#memory, settings.silence, options), this.#clock);
    this.#pool.on('restarted', (name, cause) => {
      this.#restarts++;
      this.emit('restarted', name, cause);
    });
    this.#pool.on('failed', (error) => this.emit('failed', error));
    this.#schedule.update();
  }

  /**
   * Starts the worker threads; resolves when they are at work. Packets may be pushed before: they wait in the rings.
   * @throws TrunklineError NATIVE_UNAVAILABLE, ENGINE_FAILED.
   */
  start(): Promise<void> {
    return this.#pool.start();
  }

  // ---- StreamIngest: what sources call

  openStream(interactionId: string, format: StreamFormat, options: StreamOptions = {}): number {
    if (this.#closed) throw new TrunklineError('ENGINE_CLOSED', 'This engine is closed; create another.');
    this.#takeIn();
    const previous = this.#endForSuccessor(interactionId, options.continues ?? -1);
    const stream = this.#streams.open(interactionId, format, options.ordered ?? false, this.#clock.wallMs(), previous);
    const index = stream.info.stream;
    this.ordered.open(index, stream.ordered ? format.channels : 0);
    this.#table.assign(index, {
      shard: stream.shard,
      codec: stream.codec,
      clockRate: format.clockRate,
      sampleRate: format.sampleRate,
      channels: format.channels,
      wants: this.#wantsOf(stream.info),
    });
    for (const lane of lanesOf(stream)) {
      this.#jitter.openChannel(lane, format.clockRate);
      this.#timeline.openChannel(lane, format.clockRate);
      this.#release.pauses.openLane(lane);
    }
    this.#release.open(index);
    this.#release.publish();
    this.#schedule.update();
    return index;
  }

  /** Ends the stream that another one continues, and says what the recorder must know to join the two. */
  #endForSuccessor(interactionId: string, index: number): PreviousStream | undefined {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending || stream.info.interactionId !== interactionId) return undefined;
    const { segment, startedAtMs, clockRate } = stream.info;
    const nowUs = this.#clock.nowUs();
    const ticks = lanesOf(stream).map((channel) => this.#timeline.positionAt(channel, nowUs));
    this.endStream(index, 'formatChanged');
    const lengthMs = stream.ordered
      ? this.#clock.wallMs() - startedAtMs
      : (Math.max(0, ...ticks) * MS_PER_SECOND) / clockRate;
    return {
      shard: stream.shard,
      segment: {
        number: (segment?.number ?? 1) + 1,
        firstStartedAtMs: segment?.firstStartedAtMs ?? startedAtMs,
        startMs: (segment?.startMs ?? 0) + lengthMs,
      },
    };
  }

  endStream(index: number, reason: EndReason): void {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending) return;
    this.#takeIn();
    const nowUs = this.#clock.nowUs();
    for (const lane of lanesOf(stream)) {
      this.#jitter.flushChannel(lane, nowUs, this.#release);
      this.#release.pauses.closeLane(lane);
    }
    this.ordered.close(index);
    const packetsPaused = this.#pausedPackets(stream);
    const counts = this.#countsOf(stream);
    const summary: StreamSummary = {
      ...counts,
      ...(packetsPaused === 0 ? {} : { packetsPaused }),
      endReason: reason,
      endedAtMs: this.#clock.wallMs(),
    };
    this.#packetsPaused += packetsPaused;
    for (const lane of lanesOf(stream)) {
      this.#jitter.closeChannel(lane);
      this.#timeline.closeChannel(lane);
    }
    this.#arena.releaseTo(this.#jitter.oldestPayloadOffset());
    this.#streams.end(stream, counts);
    this.#release.close(stream, summary);
    this.#release.publish();
    this.#schedule.update();
  }

  streamInterrupted(index: number): void {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending) return;
    this.#takeIn();
    for (const lane of lanesOf(stream)) this.#jitter.interrupted(lane);
  }

  markSpan(
    index: number,
    channel: Channel | -1,
    state: MarkedState,
    startSamples: number,
    lengthSamples: number,
  ): void {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending || !stream.ordered) return;
    for (const lane of lanesOf(stream)) {
      if (channel === -1 || channel === (lane & 1)) this.#release.mark(lane, state, startSamples, lengthSamples);
    }
    this.#schedule.update();
  }

  pauseStream(index: number): void {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending || stream.ordered) return;
    for (const lane of lanesOf(stream)) this.#release.pauses.begin(lane);
  }

  resumeStream(index: number, fromUs: number): void {
    const stream = this.#streams.at(index);
    if (stream === undefined || stream.ending) return;
    for (const lane of lanesOf(stream)) this.#release.pauses.end(lane, fromUs);
  }

  submit(): void {
    if (this.batch.count === 0) return;
    this.#takeIn();
    // A source's turn of the event loop is as good as the timer's: the more of them there are, the sooner all goes on.
    const nowUs = this.#clock.nowUs();
    if (nowUs >= this.#pumpedUs + PUMP_EVERY_US && nowUs >= this.#dueUs()) this.#pump();
    else this.#delivery.drain();
    this.#schedule.update();
  }

  /** As submit(), for embedders who push packet by packet: their listeners are not called from within push(). */
  submitLater(): void {
    this.#takeIn();
    this.#schedule.update();
  }

  /** From the batch into the jitter buffer. */
  #takeIn(): void {
    const { batch } = this;
    const count = batch.count;
    batch.count = 0;
    for (let i = 0; i < count; i++) {
      const index = batch.stream[i] as number;
      const stream = this.#streams.at(index);
      const channel = batch.channel[i] as number;
      if (stream === undefined || stream.ending || stream.ordered || channel >= stream.info.channels) {
        this.#unknownStream++;
        continue;
      }
      this.#jitter.insert(
        index * 2 + channel,
        batch.sequence[i] as number,
        batch.timestamp[i] as number,
        batch.arrivalUs[i] as number,
        batch.flags[i] as number,
        batch.payloadOffset[i] as number,
        batch.payloadLength[i] as number,
      );
    }
  }

  // ---- the embedder's side

  addSink(sink: FrameSink): void {
    this.#delivery.addSink(sink);
    this.refreshWants();
  }

  removeSink(sink: FrameSink): void {
    this.#delivery.removeSink(sink);
    this.refreshWants();
  }

  /** Asks every sink anew which samples it wants; called when a sink's wishes have changed. */
  refreshWants(): void {
    for (const stream of this.#streams) this.#table.set(stream.info.stream, STREAM.WANTS, this.#wantsOf(stream.info));
  }

  streams(): StreamInfo[] {
    return [...this.#streams].filter((stream) => !stream.ending).map((stream) => stream.info);
  }

  find(interactionId: string): StreamInfo | undefined {
    return this.#streams.find(interactionId)?.info;
  }

  /** Reception counts of a stream so far, its channels added up; until its end has been delivered. */
  counts(index: number): ReceptionCounts | undefined {
    const stream = this.#streams.at(index);
    return stream && (stream.finalCounts ?? this.#countsOf(stream));
  }

  /** Adds up the same of every stream whose end has not been delivered yet. */
  addOpenCounts(sum: ReceptionCounts): void {
    for (const stream of this.#streams) {
      if (stream.finalCounts === undefined) this.#addCounts(stream, sum);
      else addCounts(sum, stream.finalCounts);
    }
  }

  counters(): EngineCounters {
    const sum = (field: number): number => sumCounter(this.#memory, field);
    let packetsPaused = this.#packetsPaused;
    for (const stream of this.#streams) if (!stream.ending) packetsPaused += this.#pausedPackets(stream);
    return {
      framesDecoded: sum(SHARD_COUNTERS.FRAMES),
      decodeErrors: sum(SHARD_COUNTERS.DECODE_ERRORS),
      concealed: sum(SHARD_COUNTERS.CONCEALED),
      poisoned: sum(SHARD_COUNTERS.POISONED),
      recorderRefused: sum(SHARD_COUNTERS.RECORDER_REFUSED),
      decodersRebuilt: sum(SHARD_COUNTERS.REBUILT),
      shardRestarts: this.#restarts,
      framesRepeated: this.#delivery.repeated,
      arenaFull: this.#arena.refused,
      unknownStream: this.#unknownStream + this.ordered.unknownStream,
      packetsPaused,
    };
  }

  /** `native` when every shard runs the Rust path, else `js`. */
  get backend(): 'js' | 'native' {
    return sumCounter(this.#memory, SHARD_COUNTERS.NATIVE) === this.shardCount ? 'native' : 'js';
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get shardCount(): number {
    return this.#memory.shards.length;
  }

  /** Ends a shard's thread as a crash would. For tests and drills. */
  killShard(shard: number): void {
    this.#pool.kill(shard);
  }

  /**
   * Ends every stream with reason `stopped`, waits until all frames are delivered and the recorder has written them, and
   * stops the threads. May be called more than once.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const stream of [...this.#streams]) this.endStream(stream.info.stream, 'stopped');
    this.#closed = true;
    this.#schedule.stop();
    const deadlineUs = this.#clock.nowUs() + CLOSE_GRACE_MS * US_PER_MS;
    while (this.#pool.isStarted && this.#streams.size > 0 && this.#clock.nowUs() < deadlineUs) {
      this.#pump();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    // A shard that finds no room for its output is alive, and would be waited for.
    const drainer = setInterval(() => this.#delivery.drain(), CLOSE_DRAIN_MS);
    await this.#pool.close(CLOSE_GRACE_MS);
    clearInterval(drainer);
    this.#delivery.drain();
  }

  // ---- the pump

  /** Lets go what is due, shows it to the shards, and delivers what they have put out. */
  #pump(): void {
    // Everything that has arrived must be in the jitter buffer before the arena is freed up to its oldest packet.
    this.#takeIn();
    const nowUs = this.#clock.nowUs();
    this.#pumpedUs = nowUs;
    this.#release.room.measure(nowUs);
    this.#jitter.advance(nowUs, this.#release);
    this.#arena.releaseTo(this.#jitter.oldestPayloadOffset());
    this.#release.publish();
    this.#delivery.drain();
  }

  /** When something is to leave the jitter buffer, or to be shown to a shard. */
  #dueUs(): number {
    return this.#release.isUnpublished ? 0 : this.#jitter.nextDueUs();
  }

  #ended(info: StreamInfo): void {
    const stream = this.#streams.at(info.stream);
    if (stream === undefined) return;
    this.#table.set(info.stream, STREAM.STATE, STREAM_STATE.FREE);
    this.#streams.free(stream);
  }

  /** A listener may throw as well. That is for the process to judge, but not amid the work of all other streams. */
  #sinkError(thrown: unknown): void {
    try {
      this.emit('sinkError', thrown);
    } catch (fromListener) {
      setImmediate(() => {
        throw fromListener;
      });
    }
  }

  #wantsOf(info: StreamInfo): number {
    let wants: number = this.#isRecording ? WANT.RECORDING : 0;
    for (const sink of this.#delivery.sinks) {
      const wish = sink.pcmSelection?.(info) ?? 'none';
      if (wish !== 'none') wants |= WANT.SPEECH_PCM;
      if (wish === 'all') wants |= WANT.SILENT_PCM;
    }
    return wants;
  }

  #countsOf(stream: Stream): ReceptionCounts {
    const sum = zeroCounts();
    this.#addCounts(stream, sum);
    return sum;
  }

  #addCounts(stream: Stream, sum: ReceptionCounts): void {
    for (const lane of lanesOf(stream)) {
      this.#jitter.addCounts(lane, sum);
      sum.packetsDropped += this.#release.dropped[lane] as number;
    }
    sum.packetsReceived += this.ordered.packetsOf(stream.info.stream);
    sum.bytesReceived += this.ordered.payloadBytesOf(stream.info.stream);
  }

  #pausedPackets(stream: Stream): number {
    return lanesOf(stream).reduce((sum, lane) => sum + (this.#release.pauses.packets[lane] as number), 0);
  }
}

function lanesOf(stream: Stream): readonly number[] {
  const first = stream.info.stream * 2;
  return stream.info.channels === 2 ? [first, first + 1] : [first];
}

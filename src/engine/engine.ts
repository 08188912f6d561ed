import type { CallAttributes } from '../core/attributes/attributes.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { StreamFormat } from '../core/codec.js';
import { zeroCounts } from '../core/counts.js';
import { GuardedEmitter } from '../core/emitter.js';
import { TrunklineError } from '../core/errors.js';
import {
  type Channel,
  type ChannelReception,
  DETECTOR_ID,
  type EndReason,
  type FrameSink,
  type MarkedState,
  type ReceptionCounts,
  type SilenceDetector,
  type StreamInfo,
  type StreamSummary,
} from '../core/events.js';
import { MS_PER_SECOND, US_PER_MS } from '../core/units.js';
import { STREAM, STREAM_STATE, StreamTable } from '../ring/stream-table.js';
import { SHARD_COUNTERS } from '../shard/shard-data.js';
import { decodingCounters, type EngineCounters } from './counters.js';
import { EngineGauges, type EngineState, type StreamSample } from './engine-state.js';
import type { OrderedStreamIngest, StreamOptions } from './input/ingest.js';
import type { OrderedInput } from './input/ordered-input.js';
import type { PacketBatch } from './input/packet-batch.js';
import { PacketInput } from './input/packet-input.js';
import { type InternalEngineOptions, type RecorderAgent, resolveOptions } from './options.js';
import { Delivery } from './output/delivery.js';
import { recordingWants, type Wants, wantsOf } from './output/wants.js';
import { type PreviousStream, previousOf, type Stream, Streams } from './streams.js';
import { agentTasks, sumCounter } from './threads/agents.js';
import { type EngineMemory, layOutMemory } from './threads/memory.js';
import { AgentPool } from './threads/pool.js';
import { Schedule } from './threads/schedule.js';
import { SpeechModel } from './threads/speech-model.js';

export type { DecodingCounters, EngineCounters } from './counters.js';

export interface EngineEvents {
  /** A source has opened a stream; the sinks hear of it when OPEN has come through the rings. */
  opening: [info: StreamInfo, generation: number];
  /** Its end was asked for; likewise. */
  ending: [summary: StreamSummary, generation: number];
  restarted: [name: string, cause: string];
  /** `name` is the thread that is given up. */
  failed: [error: TrunklineError, name: string];
  /** A sink or a listener has thrown, or its promise has rejected. */
  sinkError: [error: Error];
}

const ZERO_COUNTS = zeroCounts();
const CLOSE_GRACE_MS = 5_000;
const CLOSE_DRAIN_MS = 5;
/** Sources that submit packet by packet publish them to the shards at most this often, except when the timer is due. */
const PUMP_EVERY_US = 250;

/**
 * The engine: packets in through StreamIngest, frames out to sinks. A packet takes this way on the main thread:
 * submit() → jitter buffer → pump() → input ring of the shard (input/packet-input.ts) → the shard decodes
 * (shard/shard-loop.ts) → output ring → sinks (output/delivery.ts).
 */
export class Engine extends GuardedEmitter<EngineEvents> implements OrderedStreamIngest {
  protected override readonly faultEvent = 'sinkError';
  readonly batch: PacketBatch;
  readonly ordered: OrderedInput;
  readonly #recorder: RecorderAgent | undefined;
  readonly #clock: Clock;
  readonly #memory: EngineMemory;
  readonly #table: StreamTable;
  readonly #silenceDetector: SilenceDetector;
  readonly #speechModel: SpeechModel;
  readonly #streams: Streams;
  readonly #input: PacketInput;
  readonly #delivery: Delivery;
  readonly #schedule: Schedule;
  readonly #pool: AgentPool;
  readonly #gauges: EngineGauges;
  #pumpedUs = 0;
  #restarts = 0;
  /** Of streams that have ended. */
  #packetsPaused = 0;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(options: InternalEngineOptions = {}) {
    super();
    const settings = resolveOptions(options);
    this.#recorder = options.recorder;
    this.#clock = options.clock ?? systemClock;
    this.#silenceDetector = settings.silenceDetector;
    const { maxStreams } = settings.memory;
    this.#memory = layOutMemory(settings.memory);
    this.#speechModel = new SpeechModel(this.#memory);
    if (settings.silenceDetector === 'neural') this.#speechModel.load();
    const { memory, streamTable } = this.#memory;
    this.#table = new StreamTable(memory, streamTable.offset, streamTable.capacity);
    this.#gauges = new EngineGauges(this.#memory);
    this.#streams = new Streams(maxStreams, settings.memory.shards);
    this.#input = new PacketInput(this.#memory, settings, this.#streams, {
      wake: (shard) => this.#pool.handle(shard).wake(),
      onPublished: () => this.#schedule.update(),
    });
    this.batch = this.#input.batch;
    this.ordered = this.#input.ordered;
    this.#delivery = new Delivery(
      this.#memory.shards.map((shard) => shard.output),
      memory,
      this.#streams,
      maxStreams,
      this.#clock,
      (info) => this.#ended(info),
      (thrown) => this.report(thrown),
    );
    this.#schedule = new Schedule(this.#memory.outputWaiter, this.#clock, this.#delivery, {
      pump: () => this.#pump(),
      dueUs: () => this.#input.dueUs(),
    });
    this.#pool = new AgentPool(agentTasks(this.#memory, settings.silence, options), this.#clock);
    this.#pool.on('restarted', (name, cause) => {
      this.#restarts++;
      this.emit('restarted', name, cause);
    });
    this.#pool.on('failed', (error, name) => this.emit('failed', error, name));
    this.#schedule.update();
  }

  /**
   * Starts the worker threads; resolves when they run. Packets may be pushed before: they wait in the rings.
   * @throws TrunklineError NATIVE_UNAVAILABLE, ENGINE_FAILED.
   */
  start(): Promise<void> {
    return this.#pool.start();
  }

  // ---- StreamIngest: what sources call

  openStream(interactionId: string, format: StreamFormat, options: StreamOptions = {}): number {
    if (this.#closed) throw new TrunklineError('ENGINE_CLOSED', 'This engine is closed; create another.');
    const detector = options.silenceDetector ?? this.#silenceDetector;
    if (detector === 'neural') this.#speechModel.load();
    this.#input.insert();
    const previous = this.#endForSuccessor(interactionId, options.continues ?? -1);
    const stream = this.#streams.open(interactionId, format, options.ordered ?? false, this.#clock.wallMs(), {
      organizationId: options.organizationId,
      source: options.source,
      attributes: options.attributes,
      previous,
    });
    const index = stream.info.stream;
    this.#table.assign(index, {
      shard: stream.shard,
      codec: stream.codec,
      clockRate: format.clockRate,
      sampleRate: format.sampleRate,
      channels: format.channels,
      ...this.#askSinks(stream.info),
      detector: DETECTOR_ID[detector],
    });
    this.#input.open(stream);
    this.emit('opening', stream.info, stream.generation);
    this.#schedule.update();
    return index;
  }

  /** Ends the stream that another one continues, and says what the recorder must know to join the two. */
  #endForSuccessor(interactionId: string, index: number): PreviousStream | undefined {
    const stream = this.#openStreamAt(index);
    if (stream === undefined || stream.info.interactionId !== interactionId) return undefined;
    const { startedAtMs, clockRate } = stream.info;
    const ticks = this.#input.positionAt(stream, this.#clock.nowUs());
    this.endStream(index, 'formatChanged');
    const lengthMs = stream.ordered ? this.#clock.wallMs() - startedAtMs : (ticks * MS_PER_SECOND) / clockRate;
    return previousOf(stream, lengthMs);
  }

  endStream(index: number, reason: EndReason): void {
    const stream = this.#openStreamAt(index);
    if (stream === undefined) return;
    this.#input.flush(stream, this.#clock.nowUs());
    const packetsPaused = this.#input.pausedPackets(stream);
    const counts = this.#input.countsOf(stream);
    const summary: StreamSummary = {
      ...counts,
      ...(packetsPaused === 0 ? {} : { packetsPaused }),
      ...this.#input.qualityOf(stream, counts),
      endReason: reason,
      endedAtMs: this.#clock.wallMs(),
    };
    this.#packetsPaused += packetsPaused;
    this.#streams.end(stream, counts);
    this.#input.close(stream, summary);
    this.emit('ending', summary, stream.generation);
    this.#schedule.update();
  }

  streamInterrupted(index: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined) this.#input.interrupted(stream);
  }

  markSpan(
    index: number,
    channel: Channel | -1,
    state: MarkedState,
    startSamples: number,
    lengthSamples: number,
  ): void {
    const stream = this.#openStreamAt(index);
    if (stream === undefined || !stream.ordered) return;
    this.#input.mark(stream, channel, state, startSamples, lengthSamples);
    this.#schedule.update();
  }

  pauseStream(index: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined && !stream.ordered) this.#input.pause(stream);
  }

  resumeStream(index: number, fromUs: number): void {
    const stream = this.#openStreamAt(index);
    if (stream !== undefined) this.#input.resume(stream, fromUs);
  }

  submit(): void {
    // A source's turn of the event loop serves as well as the timer's, and many sources make packets leave sooner. What
    // comes packet by packet is taken in, too, for many at once.
    const nowUs = this.#clock.nowUs();
    if (nowUs >= this.#pumpedUs + PUMP_EVERY_US && nowUs >= this.#input.dueUs()) this.#pump(nowUs);
    else this.#delivery.drain();
    this.#schedule.submitted(nowUs);
  }

  /** As submit(), for embedders who push packet by packet: their listeners are not called from within push(). */
  submitLater(): void {
    this.#input.insert();
    this.#schedule.update();
  }

  #openStreamAt(index: number): Stream | undefined {
    const stream = this.#streams.at(index);
    return stream?.ending === false ? stream : undefined;
  }

  // ---- the embedder's side

  addSink(sink: FrameSink): void {
    this.#delivery.sinks.add(sink);
    this.refreshWants();
  }

  removeSink(sink: FrameSink): void {
    this.#delivery.sinks.remove(sink);
    this.refreshWants();
  }

  /** Asks every sink again which frames and samples it wants; to be called when a sink's selection has changed. */
  refreshWants(): void {
    for (const { info } of this.#streams) {
      const { wants, preRoll, postRoll } = this.#askSinks(info);
      this.#table.want(info.stream, wants, preRoll, postRoll);
    }
  }

  /** These replace what is known of an open stream's call; the recorder and the sinks are told. */
  setAttributes(index: number, attributes: CallAttributes): void {
    const stream = this.#openStreamAt(index);
    if (stream === undefined || !this.#streams.setAttributes(stream, attributes)) return;
    this.#input.update(stream);
    this.#schedule.update();
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
    return stream && (stream.finalCounts ?? this.#input.countsOf(stream));
  }

  /** The same of each channel, with its playout delay; undefined once the stream has ended. */
  reception(index: number): ChannelReception[] | undefined {
    const stream = this.#openStreamAt(index);
    return stream && this.#input.receptionOf(stream);
  }

  /** Adds up the same of every stream whose end has not been delivered yet. */
  addOpenCounts(sum: ReceptionCounts): void {
    for (const stream of this.#streams) this.#input.addCounts(stream, sum);
  }

  counters(): EngineCounters {
    let packetsPaused = this.#packetsPaused;
    for (const stream of this.#streams) if (!stream.ending) packetsPaused += this.#input.pausedPackets(stream);
    return {
      ...decodingCounters((field) => sumCounter(this.#memory, field)),
      shardRestarts: this.#restarts,
      framesRepeated: this.#delivery.repeated,
      arenaFull: this.#input.arenaFull,
      unknownStream: this.#input.unknownStream,
      latePacketsRefused: this.#input.latePacketsRefused,
      latePacketsUnplaced: this.#input.latePacketsUnplaced,
      packetsPaused,
    };
  }

  /** Threads, rings and memory at the moment. Costs some microseconds a shard. */
  state(): EngineState {
    return this.#gauges.read({
      threads: this.#pool.states(),
      arenaUsedBytes: this.#input.arenaUsedBytes,
      streamsOn: (shard) => this.#streams.onShard(shard),
      refusedByInput: (shard) => this.#input.refusedBy(shard),
    });
  }

  /** Fills `sample` with what the stream of an index does; false when there is none. Allocates nothing. */
  sample(index: number, sample: StreamSample): boolean {
    const stream = this.#streams.at(index);
    if (stream === undefined) return false;
    Object.assign(sample.counts, ZERO_COUNTS);
    this.#input.addCounts(stream, sample.counts);
    this.#input.sample(stream, sample);
    return true;
  }

  /** Streams that may be open at a time; their indices are below it. */
  get maxStreams(): number {
    return this.#memory.streamTable.capacity;
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
    // A shard whose output ring is full is alive, and would be waited for.
    const drainer = setInterval(() => this.#delivery.drain(), CLOSE_DRAIN_MS);
    await this.#pool.close(CLOSE_GRACE_MS);
    clearInterval(drainer);
    this.#delivery.drain();
  }

  /** Releases what is due, shows it to the shards, and delivers what they have put out. */
  #pump(nowUs = this.#clock.nowUs()): void {
    this.#pumpedUs = nowUs;
    this.#input.advance(nowUs);
    this.#delivery.drain();
  }

  #ended(info: StreamInfo): void {
    const stream = this.#streams.at(info.stream);
    if (stream === undefined) return;
    this.#table.set(info.stream, STREAM.STATE, STREAM_STATE.FREE);
    this.#streams.free(stream);
  }

  /** What the sinks want of a stream: its frames, and which of them with samples. */
  #askSinks(info: StreamInfo): Wants {
    this.#delivery.sinks.refresh(info);
    return wantsOf(this.#delivery.sinks.sinks, info, recordingWants(info, this.#recorder));
  }
}

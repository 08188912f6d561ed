import type { EventEmitter } from 'node:events';
import type { Archive } from '../archive/archive.js';
import { abortable, whenAborted } from '../core/abort.js';
import type { AttributeChange, CallAttributes } from '../core/attributes/attributes.js';
import { type Clock, systemClock } from '../core/clock.js';
import { GuardedEmitter } from '../core/emitter.js';
import { messageOf } from '../core/errors.js';
import type { AuditEntry, AuditFields, ReceptionCounts, StreamInfo } from '../core/events.js';
import { type HealthReport, worstOf } from '../core/health.js';
import type { LiveUtterance } from '../core/media/live-utterance.js';
import type { MediaChunk } from '../core/media/media-chunk.js';
import type { Utterance } from '../core/media/utterance.js';
import { Engine } from '../engine/engine.js';
import type {
  AudioFrame,
  ChunkOptions,
  FrameOptions,
  FrameQueue,
  UtteranceOptions,
} from '../engine/output/frame-queue.js';
import type { LiveUtteranceOptions } from '../engine/output/live-utterances.js';
import { EventSink, type NodeEvents } from '../sinks/events/event-sink.js';
import type { MetricsSnapshot, Throughput } from '../sinks/metrics/metrics.js';
import type { ListenOptions, ListenStream } from '../sinks/monitor/listen-stream.js';
import type { MonitorOptions, MonitorStream } from '../sinks/monitor/monitor-stream.js';
import type { Sink, SinkContext } from '../sinks/sink.js';
import type { Source, SourceContext } from '../sources/source.js';
import { logBackend, logNode } from './node-log.js';
import type { NodeStats } from './node-stats.js';
import type { NodeOptions, StartOptions, WaitOptions } from './options.js';
import { archiveOf } from './parts/node-archive.js';
import { NodeAttributes } from './parts/node-attributes.js';
import { NodeFigures } from './parts/node-figures.js';
import { eventLoopCheck, type NodeState, nodeClosed, stateCheck, threadChecks } from './parts/node-health.js';
import { keepParts } from './parts/node-parts.js';
import { NodeServices, serviceContext } from './parts/node-services.js';
import { agentOf, NodeSinks } from './parts/node-sinks.js';
import { NodeSources } from './parts/node-sources.js';
import { SinkHealth } from './parts/sink-health.js';
import { sourceContext } from './parts/source-context.js';
import { Readers } from './readers.js';
import type { RunningNode } from './service.js';
import { Outcomes, outcomeEntry } from './streams/outcomes.js';
import { StreamEnds } from './streams/stream-ends.js';
import { NodeWatch } from './watch/node-watch.js';
import { oneWayEntry } from './watch/one-way-audio.js';
import { WarningLog } from './watch/warning-log.js';

export { engineOf } from './parts/node-parts.js';

/**
 * An engine with the sources that bring its packets, the sinks that keep its frames, and services such as control(). It
 * knows none of them: createNode() composes them.
 */
export class AudioNode extends GuardedEmitter<NodeEvents> implements RunningNode {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #logger: WarningLog;
  readonly #sources: NodeSources;
  readonly #attributes: NodeAttributes;
  readonly #services: NodeServices;
  readonly #sinks: NodeSinks;
  readonly #sinkHealth = new SinkHealth();
  readonly #native: 'off' | 'auto' | 'require';
  readonly #figures: NodeFigures;
  readonly #events: EventSink;
  readonly #ends = new StreamEnds();
  readonly #outcomes: Outcomes;
  readonly #archive: Archive | undefined;
  readonly #watch: NodeWatch;
  readonly #closed = new AbortController();
  readonly #readers: Readers;
  #state: NodeState = 'starting';
  #monitoring: MonitorStream | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: NodeOptions = {}) {
    super();
    const { sources = [], sinks = [], services = [], engine = {}, signal } = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = new WarningLog(options.logger, this.#clock);
    const report = (error: unknown): void => this.report(error);
    this.#sources = new NodeSources(sources, report);
    this.#services = new NodeServices(services, report);
    this.#native = engine.native ?? 'auto';
    const recorder = agentOf(sinks);
    this.#archive = archiveOf(recorder, sinks, services, report);
    this.on('recordingAttributesChanged', () => this.#archive?.look());
    this.#engine = new Engine({ ...engine, clock: this.#clock, ...(recorder && { recorder }) });
    this.#attributes = new NodeAttributes(options, this.#engine, this.#sources);
    this.#outcomes = new Outcomes(this.#engine, recorder, (info, result) => {
      audit(outcomeEntry(info, result));
      this.emit('streamFinished', info, result);
      if (result.recording !== undefined) this.#archive?.look();
    });
    const audit = (entry: AuditEntry): void => this.#sinks.audit(entry);
    // Events of sinks and of every emitter, which a map of events cannot name.
    const self = this as EventEmitter;
    const emit: SinkContext['emit'] = (name, ...values) => void self.emit(name, ...values);
    this.#sinks = new NodeSinks(this.#engine, { clock: this.#clock, logger: this.#logger, emit, report, audit }, sinks);
    this.#engine.on('restarted', (name, cause) => this.emit('workerRestarted', { name, cause }));
    this.#engine.on('failed', (error) => this.emit('failed', error));
    this.#engine.on('sinkError', (thrown) => this.report(thrown));
    this.#readers = new Readers(this.#engine, this.#clock, report);
    this.#figures = new NodeFigures(this.#engine, this.#clock, {
      sources: this.#sources,
      sinks: this.#sinks,
      services: this.#services,
      readers: this.#readers,
      outcomes: this.#outcomes,
    });
    keepParts(this, { engine: this.#engine, metrics: this.#figures.metrics });
    this.#events = new EventSink(this, options);
    this.#watch = new NodeWatch(this.#logger, this.#clock, {
      refusals: () => this.#figures.refusals(),
      counts: ({ stream }) => this.#engine.counts(stream),
      ...{ maxStreams: this.#engine.maxStreams, oneWaySeconds: options.oneWaySeconds },
      onOneWayAudio: (event) => {
        audit(oneWayEntry(event));
        self.emit('reason' in event ? 'oneWayAudioEnded' : 'oneWayAudio', event);
      },
    });
    for (const sink of [...this.#figures.frameSinks, ...this.#watch.sinks, this.#events, this.#ends, this.#outcomes])
      this.#engine.addSink(sink);
    self.on('newListener', () => queueMicrotask(this.#listenersChanged));
    self.on('removeListener', () => queueMicrotask(this.#listenersChanged));
    if (options.logger !== undefined) logNode(this, this.#logger);
    if (signal !== undefined) whenAborted(signal, this.#closed.signal, () => void this.close());
  }

  /**
   * Opens the sinks, starts the threads, then the sources. Resolves when packets can arrive.
   * @throws TrunklineError as the sinks and sources do, NATIVE_UNAVAILABLE, ENGINE_FAILED; the node is closed then.
   *   ENGINE_CLOSED when it has been closed before.
   */
  async start({ signal }: StartOptions = {}): Promise<unknown> {
    if (this.#closing !== undefined) throw nodeClosed('This node has been closed; make another.');
    this.#starting ??= this.#start();
    try {
      await abortable(this.#starting, signal);
      return undefined;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Withholds the audio of an interaction until resume(), whichever source it came by. The recording keeps its time and
   * marks the span *paused*. A pause of the platform or the client is separate: audio flows when all are over.
   * @throws TrunklineError STREAM_UNKNOWN when no source has that interaction.
   */
  pause(interactionId: string): void {
    this.#sources.act(interactionId, (source) => source.pause(interactionId));
  }

  /** Undoes pause(). @throws TrunklineError STREAM_UNKNOWN when no source has that interaction. */
  resume(interactionId: string): void {
    this.#sources.act(interactionId, (source) => source.resume(interactionId));
  }

  /** Changes attributes of an interaction; `null` removes one. Returns them all. @throws TrunklineError STREAM_UNKNOWN, CONFIG_INVALID */
  setAttributes(interactionId: string, change: AttributeChange): CallAttributes {
    return this.#attributes.set(interactionId, change);
  }

  /** Ends the capture of an interaction; the call itself goes on. @throws TrunklineError STREAM_UNKNOWN if there is none. */
  end(interactionId: string): void {
    this.#sources.act(interactionId, (source) => source.end?.(interactionId) ?? false);
  }

  /** The open streams. */
  streams(): StreamInfo[] {
    return this.#engine.streams();
  }

  /**
   * The stream of an interaction, as soon as it is open.
   * @throws TrunklineError ENGINE_CLOSED when the node closes first; the signal's reason when it aborts first.
   */
  async waitForStream(interactionId: string, { signal }: WaitOptions = {}): Promise<StreamInfo> {
    return await this.#readers.waitForStream(interactionId, this.#closed.signal, signal);
  }

  /**
   * Decoded audio for a `for await` loop, from now on. A reader that is too slow loses chunks, counted in
   * `droppedFrames`; the node never waits for it. Ends when the node closes or the signal aborts.
   * @example
   * for await (const { metadata, payload } of node.chunks({ signal })) await transcribe(metadata.interactionId, payload);
   */
  chunks(options: ChunkOptions = {}): FrameQueue<MediaChunk> {
    return this.#readers.chunks(options);
  }

  /** The same with every frame and all that is known of it, silence, loss and concealment included. */
  frames(options: FrameOptions = {}): FrameQueue<AudioFrame> {
    return this.#readers.frames(options);
  }

  /** What each speaker says between two silences, with its audio, once it has ended. @throws RangeError */
  utterances(options: UtteranceOptions = {}): FrameQueue<Utterance> {
    return this.#readers.utterances(options);
  }

  /**
   * The same while it is spoken: each comes when it begins, with an iterator of its audio that ends with it. A reader that
   * is too slow loses audio beyond `bufferMs`, counted in the utterance's `droppedMs` and in `droppedFrames`. @throws RangeError
   * @example
   * for await (const utterance of node.liveUtterances({ signal })) void recognise(utterance); // reads utterance.audio
   */
  liveUtterances(options: LiveUtteranceOptions = {}): FrameQueue<LiveUtterance> {
    return this.#readers.liveUtterances(options);
  }

  /** NDJSON of every frame with speech; made at the first use. A reader that is too slow loses whole frames, counted. */
  get monitoringStream(): MonitorStream {
    this.#monitoring ??= this.monitor();
    return this.#monitoring;
  }

  /** Another such stream, for a reader of its own. Ends with the node; destroy it to detach. */
  monitor(options: MonitorOptions = {}): MonitorStream {
    return this.#readers.monitor(options);
  }

  /**
   * The audio of one interaction from now on: PCM of 16 bit, little-endian, at the stream's sample rate; two channels are
   * interleaved. Ends with the interaction. Destroy it to detach. @throws TrunklineError STREAM_UNKNOWN when not captured. */
  listen(interactionId: string, options: ListenOptions = {}): ListenStream {
    return this.#readers.listen(interactionId, options);
  }

  /**
   * Adds a sink while the node runs; its first frame comes when its start() has resolved, or at once when it has none.
   * Removed with removeSink(), closed with the node. @throws TrunklineError CONFIG_INVALID for a sink with a thread of its
   *   own: name that in createNode(). ENGINE_CLOSED after close(). Whatever its start() throws.
   */
  async addSink(sink: Sink): Promise<void> {
    if (this.#closing !== undefined) throw nodeClosed('This node has been closed; make another.');
    await this.#sinks.add(sink);
  }

  /** Removes a sink and closes it; it gets no frame from now on. A sink that is not there is ignored. */
  async removeSink(sink: Sink): Promise<void> {
    await this.#sinks.remove(sink);
  }

  /** Opens the files of sinks and services again: they were moved away, or keys in them changed. Returns what failed. */
  async reopen(): Promise<readonly unknown[]> {
    return [...(await this.#sinks.reopen()), ...(await this.#services.reopen())];
  }

  /** The sources that it was made with. */
  get sources(): readonly Source[] {
    return this.#sources.list;
  }

  /** What works and what does not: the node itself, its threads, and what its sources, sinks and services say. */
  health(): HealthReport {
    const checks = [
      stateCheck(this.#state),
      eventLoopCheck(this.#watch.longestStallUs),
      ...threadChecks(this.#engine.state()),
      ...this.#sources.health(),
      ...this.#sinks.health(),
      ...this.#sinkHealth.checks(this.#sinks.stats(), this.#clock.nowUs()),
      ...this.#services.health(),
    ];
    return { status: worstOf(checks), checks };
  }

  /** Everything that is counted, at this moment. Costs some microseconds a stream. */
  stats(): NodeStats {
    const archive = this.#archive?.stats();
    return { ...this.#figures.stats(), ...this.#watch.oneWayAudio, ...(archive && { archive }) };
  }

  /** Reception counts of an open stream; undefined when there is none of that interaction. */
  streamCounts(interactionId: string): ReceptionCounts | undefined {
    const info = this.#engine.find(interactionId);
    return info && this.#engine.counts(info.stream);
  }

  /** @deprecated Use stats().throughput. */
  getThroughputStats(): Throughput {
    return this.#figures.throughput();
  }

  /** @deprecated Use stats(). */
  snapshot(): MetricsSnapshot {
    return this.#figures.snapshot();
  }

  /** The most important counters in one line for people. */
  metricsLine(): string {
    return this.#figures.line();
  }

  /**
   * Resolves when every source has captured all that it was asked for, or the node is closed; never while calls may still
   * come, as with queues or AudioHook. Rejects with the signal's reason when it aborts first.
   */
  async untilIdle({ signal }: WaitOptions = {}): Promise<void> {
    const whenClosed = new Promise<void>((resolve) => whenAborted(this.#closed.signal, undefined, resolve));
    await abortable(Promise.race([this.#sources.untilIdle(), whenClosed]), signal);
  }

  /**
   * Takes no new calls and gives those that run `deadlineMs` to end, or what each source has by its own options. close()
   * does it as well. */
  async drain(deadlineMs?: number): Promise<void> {
    // A node whose start has failed has taken no calls that it could stop to take.
    const isFirst = this.#state === 'running';
    if (this.#state !== 'closed') this.#state = 'draining';
    if (isFirst) this.emit('draining');
    await this.#sources.drain(deadlineMs);
  }

  /**
   * Drains and closes the sources, delivers what is under way, finishes every file and stops the threads. May be called
   * more than once; it never rejects: what fails becomes an `error` event.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The same as close(). */
  stop(): Promise<void> {
    return this.close();
  }

  /** For `await using node = await createNode(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Logged, and an `error` event for those who listen. */
  protected override report(thrown: unknown): void {
    this.#logger.error({ err: thrown }, messageOf(thrown));
    super.report(thrown);
  }

  async #start(): Promise<void> {
    await this.#services.start(({ name }) =>
      serviceContext(this, this.#engine, this.#clock, this.#logger, {
        report: (error) => this.report(error),
        audit: (action, fields, interactionId) => this.#audit(name, action, fields, interactionId),
        auditCheckpoint: () => this.#sinks.auditCheckpoint(),
      }),
    );
    await this.#sinks.start();
    await this.#archive?.start();
    if (this.#closing !== undefined) throw nodeClosed('The node was closed while it started.');
    await this.#engine.start();
    logBackend(this.#logger, this.#engine.backend, this.#native);
    this.#watch.start();
    this.#outcomes.start();
    await this.#sources.start((source) => this.#sourceContext(source));
    if (this.#state === 'starting') this.#state = 'running';
  }

  async #close(): Promise<void> {
    this.#services.stopping();
    // The caller may be a listener of the source that is to be closed.
    await this.drain();
    await this.#sources.close();
    await this.#engine.close();
    this.#outcomes.close();
    await this.#sinks.settle();
    // Its entries come before the end of the audit.
    await this.#archive?.close();
    await this.#sinks.close();
    this.#state = 'closed';
    this.#watch.close();
    this.#readers.close();
    await this.#services.close();
    this.#closed.abort();
  }

  readonly #listenersChanged = (): void => {
    this.#events.refresh();
    this.#engine.refreshWants();
  };

  #audit(source: string, action: string, fields: AuditFields, interactionId: string | undefined): void {
    this.#sinks.audit({ source, action, fields, ...(interactionId === undefined ? {} : { interactionId }) });
  }

  #sourceContext({ name }: Source): SourceContext {
    return sourceContext(this, name, {
      ...{ engine: this.#engine, clock: this.#clock, logger: this.#logger, native: this.#native, ends: this.#ends },
      ...{ attributes: this.#attributes, sinks: this.#sinks, sinkHealth: this.#sinkHealth, watch: this.#watch },
      audit: (action, fields, interactionId) => this.#audit(name, action, fields, interactionId),
      report: (error) => this.report(error),
    });
  }
}

import type { EventEmitter } from 'node:events';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { checkOptions, type FormerOptions, type NodeConfig, nodeSchema } from '../config/schema.js';
import { type Clock, systemClock } from '../core/clock.js';
import { GuardedEmitter } from '../core/emitter.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import type { FrameSink, ReceptionCounts } from '../core/events.js';
import { Engine } from '../engine/engine.js';
import { type AuditExtra, AuditLog } from '../sinks/audit/audit-log.js';
import { type CaptureNodeEvents, EventSink } from '../sinks/events/event-sink.js';
import { Metrics, type MetricsContext, type MetricsSnapshot, type Throughput } from '../sinks/metrics/metrics.js';
import { Tally } from '../sinks/metrics/tally.js';
import { ListenStream } from '../sinks/monitor/listen-stream.js';
import { type MonitorOptions, MonitorStream } from '../sinks/monitor/monitor-stream.js';
import { NodeRecorder } from '../sinks/recorder/recorder-agent.js';
import type { RecorderCounters } from '../sinks/recorder/recorder-memory.js';
import { type RepairReport, repairRecordings } from '../sinks/recorder/repair.js';

/** Settings of a node, each with its default in `config/`; those of the AudioHook server are options of AudioHookNode. */
export type NodeSettings = Partial<NodeConfig> & FormerOptions;

/** What a node has done; the last line that `--json` prints. */
export interface NodeSummary {
  readonly streams: number;
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  readonly packetsLost: number;
  readonly packetsLate: number;
  readonly packetsDuplicate: number;
  readonly packetsForeign: number;
  readonly packetsReordered: number;
  /** Thrown away by the node itself, a ring or the arena being full. */
  readonly packetsDropped: number;
  /** Concealed frames included. */
  readonly framesDecoded: number;
  readonly framesSilent: number;
  readonly decodeErrors: number;
  /** From arrival to delivery, the jitter buffer's hold included. */
  readonly latencyMicros: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  /** Recordings of which a part could not be written; their session.json says so. Counted at their end. */
  readonly recordingsIncomplete: number;
  /** Entries of the audit that could not be written; all of them are known once the node has stopped. */
  readonly auditEntriesLost: number;
  readonly backend: 'js' | 'native';
  readonly out: string;
}

const REPORT_MS = 500;

/**
 * An engine with everything that takes its output: events, recordings, audit, metrics, live streams. What brings the
 * packets is a subclass's: CaptureNode subscribes at Genesys Cloud.
 */
export class AudioNode extends GuardedEmitter<CaptureNodeEvents> {
  readonly config: NodeConfig;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly metrics: Metrics;
  #audit: AuditLog | undefined;
  readonly #tally = new Tally();
  readonly #events: EventSink;
  readonly #recorder: NodeRecorder | undefined;
  #monitoring: MonitorStream | undefined;
  readonly #monitors = new Set<MonitorStream>();
  #reports: NodeJS.Timeout | undefined;

  /** @throws TrunklineError CONFIG_INVALID. */
  constructor(settings: NodeSettings = {}, clock: Clock = systemClock) {
    super();
    this.config = checkOptions(nodeSchema, settings);
    this.clock = clock;
    const { config } = this;
    this.#recorder = config.record ? new NodeRecorder(config.out, config.maxStreams) : undefined;
    this.engine = new Engine({
      shards: config.shards,
      maxStreams: config.maxStreams,
      playoutDelayMs: config.playoutDelayMs,
      maxPlayoutDelayMs: config.maxPlayoutDelayMs,
      silenceThreshold: config.silenceThreshold,
      silenceWindowMs: config.silenceWindowMs,
      native: config.native,
      clock,
      ...(this.#recorder === undefined ? {} : { recorder: this.#recorder }),
    });
    this.engine.on('restarted', (name, cause) => this.emit('workerRestarted', { name, cause }));
    this.engine.on('failed', (error) => this.emit('failed', error));
    this.engine.on('sinkError', (thrown) => this.report(thrown));
    this.metrics = new Metrics({ clock });
    this.engine.addSink(this.#tally);
    this.engine.addSink(this.metrics);
    this.#events = new EventSink(this, config.includeSilent);
    this.engine.addSink(this.#events);
    // Node's own events of every emitter, which a map of events cannot name.
    const self = this as EventEmitter;
    self.on('newListener', () => queueMicrotask(this.#listenersChanged));
    self.on('removeListener', () => queueMicrotask(this.#listenersChanged));
  }

  /** Packets and bytes a second and the share of packets lost. */
  getThroughputStats(): Throughput {
    return this.metrics.throughput(this.clock.nowUs(), this.#counts());
  }

  /** Everything that is counted, at this moment. */
  snapshot(): MetricsSnapshot {
    return this.metrics.snapshot(this.clock.nowUs(), this.#metricsContext());
  }

  /** The same in one line for people. */
  metricsLine(): string {
    return this.metrics.metricsLine(this.clock.nowUs(), this.#metricsContext());
  }

  /** NDJSON of every frame with speech; made at the first use. A reader that is slow loses whole frames, counted. */
  get monitoringStream(): MonitorStream {
    this.#monitoring ??= this.monitor();
    return this.#monitoring;
  }

  /** Another such stream, for a reader of its own. Ends with the node; destroy it to detach. */
  monitor(options: MonitorOptions = {}): MonitorStream {
    const monitor = this.#attach(new MonitorStream(options));
    this.#monitors.add(monitor);
    monitor.once('close', () => this.#monitors.delete(monitor));
    return monitor;
  }

  /**
   * The sound of one interaction from now on, as it happens: PCM of 16 bit, little-endian, at the stream's sample
   * rate; two channels are interleaved. Ends with the interaction. Destroy it to detach.
   *
   * @throws TrunklineError STREAM_UNKNOWN when the interaction is not being captured.
   */
  listen(interactionId: string): ListenStream {
    const info = this.engine.find(interactionId);
    if (info === undefined) {
      throw new TrunklineError(
        'STREAM_UNKNOWN',
        `Interaction ${interactionId} is not being captured; listen after its streamOpened event.`,
      );
    }
    return this.#attach(new ListenStream(info));
  }

  summary(): NodeSummary {
    const { counts, framesSilent, streamsOpened, deliveredMicros } = this.snapshot();
    const { framesDecoded, decodeErrors } = this.engine.counters();
    const { p50, p99, p999, max } = deliveredMicros;
    return {
      streams: streamsOpened,
      packetsReceived: counts.packetsReceived,
      bytesReceived: counts.bytesReceived,
      packetsLost: counts.packetsLost,
      packetsLate: counts.packetsLate,
      packetsDuplicate: counts.packetsDuplicate,
      packetsForeign: counts.packetsForeign,
      packetsReordered: counts.packetsReordered,
      packetsDropped: counts.packetsDropped,
      framesDecoded,
      framesSilent,
      decodeErrors,
      latencyMicros: { p50, p99, p999, max },
      recordingsIncomplete: this.recorderCounters()?.recordingsIncomplete ?? 0,
      auditEntriesLost: this.#audit?.dropped ?? 0,
      backend: this.engine.backend,
      out: this.config.out,
    };
  }

  /** What the recorder has counted; undefined when nothing is recorded. */
  recorderCounters(): RecorderCounters | undefined {
    return this.#recorder?.counters();
  }

  /** Makes the output folder, mends what an earlier process left there, and waits for the threads. */
  protected async startSinks(): Promise<RepairReport | undefined> {
    if (this.engine.isClosed) throw new TrunklineError('ENGINE_CLOSED', 'This node has been stopped; make another.');
    const { out, record, audit } = this.config;
    let repaired: RepairReport | undefined;
    if (record || audit !== 'off') {
      try {
        await makeFolder(out);
      } catch (error) {
        throw new TrunklineError(
          'FILE_FAILED',
          `Cannot make the folder ${out}: ${messageOf(error)}. Set --out to another.`,
          {
            cause: error,
          },
        );
      }
      if (record) repaired = await repairRecordings(out, { clock: this.clock });
    }
    if (audit !== 'off') this.engine.addSink(await this.#openAudit());
    await this.engine.start();
    this.#reports = setInterval(() => this.#lookForReports(), REPORT_MS);
    this.#reports.unref();
    return repaired;
  }

  /** Delivers and writes everything that is under way. */
  protected async stopSinks(): Promise<void> {
    await this.engine.close();
    clearInterval(this.#reports);
    this.#lookForReports();
    this.#checkRecordings();
    for (const monitor of this.#monitors) monitor.push(null);
    await this.#audit?.close();
  }

  /** An entry in the audit beside those of the streams. */
  protected auditEvent(action: string, extra: AuditExtra, interactionId?: string): void {
    this.#audit?.event(action, interactionId, extra);
  }

  /** Resolves when what has been delivered by now lies in the recordings as well. */
  protected async recorded(): Promise<void> {
    await this.#recorder?.caughtUp();
  }

  readonly #listenersChanged = (): void => {
    this.#events.refresh();
    this.engine.refreshWants();
  };

  async #openAudit(): Promise<AuditLog> {
    const { out, region, audit, auditKey } = this.config;
    this.#audit = new AuditLog({
      file: join(out, 'audit.jsonl'),
      region,
      perPacket: audit === 'packets',
      clock: this.clock,
      onFault: (message) => this.report(new TrunklineError('FILE_FAILED', message)),
      ...(auditKey === undefined ? {} : { idKey: auditKey }),
    });
    await this.#audit.open();
    return this.#audit;
  }

  #attach<Sink extends FrameSink & Readable>(sink: Sink): Sink {
    this.engine.addSink(sink);
    sink.once('close', () => this.engine.removeSink(sink));
    return sink;
  }

  #counts(): ReceptionCounts {
    return this.#tally.total((sum) => this.engine.addOpenCounts(sum));
  }

  #metricsContext(): MetricsContext {
    const counts = this.#counts();
    const { recorderRefused, arenaFull } = this.engine.counters();
    const monitorDrops = this.#monitoring?.droppedFrames ?? 0;
    const drops = counts.packetsDropped + recorderRefused + arenaFull + monitorDrops + (this.#audit?.dropped ?? 0);
    return { counts, drops, backend: this.engine.backend };
  }

  #checkRecordings(): void {
    const counters = this.#recorder?.counters();
    if (counters === undefined || counters.recordingsOpened === counters.recordingsFinished) return;
    const missing = counters.recordingsOpened - counters.recordingsFinished;
    this.report(
      new TrunklineError(
        'FILE_FAILED',
        `${missing} recordings could not be finished in time; run "trunkline repair ${this.config.out}".`,
      ),
    );
  }

  #lookForReports(): void {
    const text = this.#recorder?.takeReport();
    if (text !== undefined) this.report(new TrunklineError('FILE_FAILED', text));
  }
}

/** As mkdir with `recursive`, which never comes back where a file system lets nobody make folders, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  const isThere = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isThere) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    // Somebody else has just made it.
    if (error.code !== 'EEXIST') throw error;
    return stat(path).then((found) => {
      if (!found.isDirectory()) throw error;
    });
  });
}

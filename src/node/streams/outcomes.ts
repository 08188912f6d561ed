import { zeroCounts } from '../../core/counts.js';
import type {
  AuditEntry,
  FrameSink,
  OutcomeCause,
  StreamInfo,
  StreamOutcome,
  StreamResult,
  StreamSummary,
} from '../../core/events.js';
import type { Engine } from '../../engine/engine.js';
import { AUDIO_FILE } from '../../sinks/recorder/files/manifest.js';
import type { RecordingResult, SinkAgent } from '../../sinks/sink.js';

/** How often the recorder's results are looked at. */
const LOOK_MS = 100;

/** opened = open + recorded + delivered + empty + incomplete + failed, at every moment. */
export interface OutcomeCounts extends Readonly<Record<StreamOutcome, number>> {
  /** Streams that sources have opened. */
  readonly opened: number;
  /** Of these, those that go on, or whose recording is not finished yet. */
  readonly open: number;
}

interface Pending {
  readonly info: StreamInfo;
  /** Set when the end was asked for. */
  summary?: StreamSummary;
  /** The sinks have had its last frame. */
  isDelivered: boolean;
  recording?: RecordingResult;
}

type Finished = (info: StreamInfo, result: StreamResult) => void;

/**
 * Decides, once for each stream that a source opens, what became of it; see StreamOutcome. A stream is finished when the
 * sinks have had its end and, where there is a recorder, that has told what became of the recording.
 */
export class Outcomes implements FrameSink {
  readonly #recorder: SinkAgent | undefined;
  readonly #finished: Finished;
  /** By generation, which no two streams share. */
  readonly #pending = new Map<number, Pending>();
  readonly #generations = new WeakMap<StreamInfo, number>();
  readonly #counts = { opened: 0, recorded: 0, delivered: 0, empty: 0, incomplete: 0, failed: 0 };
  #hasRecorderFailed = false;
  #timer: NodeJS.Timeout | undefined;

  /** Add it to the engine as a sink. */
  constructor(engine: Engine, recorder: SinkAgent | undefined, finished: Finished) {
    this.#recorder = recorder;
    this.#finished = finished;
    engine.on('opening', (info, generation) => {
      this.#counts.opened++;
      this.#pending.set(generation, { info, isDelivered: false });
      this.#generations.set(info, generation);
    });
    engine.on('ending', (summary, generation) => {
      const pending = this.#pending.get(generation);
      if (pending !== undefined) pending.summary = summary;
    });
    engine.on('failed', (_error, name) => {
      if (name === 'recorder') this.#recorderFailed();
    });
  }

  start(): void {
    if (this.#recorder !== undefined) this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  streamEnded(info: StreamInfo): void {
    const generation = this.#generations.get(info);
    const pending = generation === undefined ? undefined : this.#pending.get(generation);
    if (generation === undefined || pending === undefined) return;
    pending.isDelivered = true;
    // Every sink is to hear of the end first, those that were added later as well.
    queueMicrotask(() => this.#decide(generation, pending));
  }

  /** Call it when the engine has closed and the audit has not: what is still open has failed. */
  close(): void {
    clearInterval(this.#timer);
    this.#look();
    this.#hasRecorderFailed = true;
    for (const [generation, pending] of this.#pending) {
      if (pending.isDelivered || pending.recording !== undefined) {
        pending.isDelivered = true;
        this.#decide(generation, pending);
      } else this.#finish(generation, pending, { outcome: 'failed', cause: 'engineFailed' });
    }
  }

  counts(): OutcomeCounts {
    return { ...this.#counts, open: this.#pending.size };
  }

  #look(): void {
    for (const result of this.#recorder?.takeResults() ?? []) {
      const pending = this.#pending.get(result.generation);
      // A recorder's thread that died between telling and forgetting has its successor tell it again.
      if (pending === undefined || pending.recording !== undefined) continue;
      pending.recording = result;
      this.#decide(result.generation, pending);
    }
  }

  #recorderFailed(): void {
    this.#look();
    this.#hasRecorderFailed = true;
    for (const [generation, pending] of this.#pending) this.#decide(generation, pending);
  }

  #decide(generation: number, pending: Pending): void {
    const { isDelivered, recording, summary } = pending;
    if (!isDelivered || summary === undefined || !this.#pending.has(generation)) return;
    if (this.#recorder === undefined) this.#finish(generation, pending, deliveryOf(summary));
    else if (recording !== undefined) this.#finish(generation, pending, recording);
    else if (this.#hasRecorderFailed) {
      this.#finish(generation, pending, { outcome: 'failed', cause: 'recorderFailed' });
    }
  }

  #finish(generation: number, pending: Pending, decided: { outcome: StreamOutcome; cause?: OutcomeCause }): void {
    const { info, recording } = pending;
    // Only a stream that the engine's close() could not even end has none.
    const summary = pending.summary ?? { ...zeroCounts(), endReason: 'stopped', endedAtMs: info.startedAtMs };
    const { outcome, cause } = decided;
    this.#pending.delete(generation);
    this.#counts[outcome]++;
    this.#finished(info, {
      outcome,
      ...(cause === undefined ? {} : { cause }),
      summary,
      ...(recording?.folder === undefined ? {} : { recording: filesOf(recording, recording.folder) }),
    });
  }
}

/** The entry of the audit for a stream that is finished. */
export function outcomeEntry({ interactionId }: StreamInfo, result: StreamResult): AuditEntry {
  const { outcome, cause, summary, recording } = result;
  const fields = {
    outcome,
    reason: summary.endReason,
    ...(cause === undefined ? {} : { detail: cause }),
    ...(recording === undefined ? {} : { durationMs: recording.durationMs }),
  };
  return { source: 'node', action: 'stream_finished', interactionId, fields };
}

function deliveryOf({ packetsReceived, packetsDropped }: StreamSummary): {
  outcome: StreamOutcome;
  cause?: OutcomeCause;
} {
  if (packetsDropped > 0) return { outcome: 'incomplete', cause: 'packetsDropped' };
  return { outcome: packetsReceived === 0 ? 'empty' : 'delivered' };
}

function filesOf({ file = AUDIO_FILE, durationMs, notRecordedMs }: RecordingResult, folder: string) {
  return { folder, file, durationMs, notRecordedMs };
}

import type { Clock } from '../core/clock.js';
import type { AuditEntry, FrameSink, OutcomeCause } from '../core/events.js';
import type { HealthCheck } from '../core/health.js';
import type { Logger } from '../core/logger.js';
import type { RetentionSettings } from '../core/retention/policy.js';

/** The space on the disk of the recordings has fallen below its watermark, or is above it again. */
export interface DiskLowEvent {
  readonly isLow: boolean;
  readonly freeBytes: number;
  readonly watermarkBytes: number;
  /** Present at the lower watermark: whether calls that begin from now on are not recorded. */
  readonly refusesNew?: boolean;
}

/** A recording of a killed process has been completed. */
export interface RecordingRepairedEvent {
  readonly interactionId: string;
  /** Folder within the output directory. */
  readonly folder: string;
  /** Of all its audio; absent when it is not known. */
  readonly durationMs?: number;
}

/** Events that sinks have for their node. */
export interface SinkEvents {
  diskLow: [event: DiskLowEvent];
  recordingRepaired: [event: RecordingRepairedEvent];
}

/** What a node gives each of its sinks. */
export interface SinkContext {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Emits an event of the node. */
  emit<Name extends keyof SinkEvents>(name: Name, ...values: SinkEvents[Name]): void;
  /** Emits the node's `error` event, for what failed while the sink goes on. */
  report(error: unknown): void;
  /** Gives every sink an entry for the audit. */
  audit(entry: AuditEntry): void;
}

/** A thread that the engine runs for a sink. Only recorder() can make one. */
export interface SinkAgent {
  /** Module that the thread runs. */
  readonly entry: string;
  /** What became of the recordings whose streams have ended since the last call. */
  takeResults(): readonly RecordingResult[];
  /** How long recordings are kept; absent for ever. */
  readonly retention?: RetentionSettings | undefined;
  /** Has every finished recording kept for an archive from now on; to be called before the thread starts. */
  archive(): ArchivePlace;
}

/** Where an archive finds finished recordings. */
export interface ArchivePlace {
  /** The output directory. */
  readonly directory: string;
  /** Permissions of the files in it. */
  readonly fileMode: number;
  /** How long recordings are kept; absent for ever. */
  readonly retention?: RetentionSettings | undefined;
}

/** The files of an audit, for entries that something else waits for. */
export interface AuditKeeper {
  /** Folder of `audit.jsonl` and of the files that were rotated. */
  readonly directory: string;
  /** Resolves once the entry is in the file. @throws TrunklineError FILE_FAILED when it could not be written. */
  keep(entry: AuditEntry): Promise<void>;
  /** The newest signed checkpoint of the audit; undefined while there is none. */
  checkpoint(): string | undefined;
}

/** Why a recording is incomplete or failed. */
export type RecordingCause = Extract<OutcomeCause, 'notWritten' | 'interrupted' | 'refused'>;

/** What became of the recording of one stream. */
export interface RecordingResult {
  /** Tells the streams of an engine apart that have had the same index. */
  readonly generation: number;
  readonly outcome: 'recorded' | 'empty' | 'incomplete' | 'failed';
  readonly cause?: RecordingCause;
  readonly durationMs: number;
  /** Audio that could not be written, all channels added up. */
  readonly notRecordedMs: number;
  /** Number of the audio file in the folder, from 1. */
  readonly segment: number;
  /** Within the output directory; absent when there is none. */
  readonly folder?: string;
  /** Name of that audio file, of the first channel where each has one; absent when there is none. */
  readonly file?: string;
}

/** What a sink has counted. */
export interface SinkStats {
  /** Frames or entries that it could not keep. */
  readonly dropped: number;
  readonly [counter: string]: number;
}

/**
 * Takes what a node puts out: frames, silence edges, spans, the begin and end of streams. All methods are optional. Those
 * of FrameSink are called on the main thread, for every frame: they must not block. What one throws becomes the node's
 * `error` event and costs no other sink its frame.
 *
 * @example
 * const levels: Sink = {
 *   name: 'levels',
 *   frame: ({ info, channel, meanSquare }) => gauge.set({ id: info.interactionId, channel }, Math.sqrt(meanSquare)),
 * };
 * const node = await createNode({ sources: [audioHook({ port: 8080, keys })], sinks: [levels] });
 */
export interface Sink extends FrameSink {
  /** `stats().sinks` has its counters under this name; default `sink`. */
  readonly name?: string;
  /**
   * A thread that the engine runs for this sink, with rings of frames of its own; one sink of a node may have one.
   * Absent in sinks that take frames by frame().
   */
  readonly agent?: SinkAgent;
  /** Opens files and connections; the first frame comes after it. The node does not start when it throws. */
  start?(context: SinkContext): Promise<void> | void;
  /** An entry for the audit, such as a connection that was opened or a session that was refused. */
  auditEntry?(entry: AuditEntry): void;
  /** The folder that it writes: the node keeps other nodes and processes from writing it. */
  readonly output?: { readonly directory: string; readonly folderMode: number };
  /** Present in a sink that keeps the audit in files. */
  readonly auditKeeper?: AuditKeeper;
  /** Closes its files and opens them again under their names, after they were moved away. */
  reopen?(): Promise<void>;
  /** Resolves when everything delivered until now has been kept. */
  flush?(): Promise<void>;
  /** Ends what works beside the frames, before the archive ends. The last frame has been delivered before. */
  settle?(): Promise<void>;
  /** Keeps what is under way and closes. The last frame has been delivered before. */
  close?(): Promise<void> | void;
  stats?(): SinkStats;
  /** What it knows of its own health, such as the space of its disk; part of the node's health(). */
  health?(): readonly HealthCheck[];
}

import type { AuditFields } from '../core/events.js';
import type { Deletion } from './retention/deletions.js';

/** A finished recording: its manifest is final, and nothing writes its files. */
export interface FinishedRecording {
  /** Its folder within the output directory. */
  readonly folder: string;
  /** That folder's path. */
  readonly path: string;
}

/**
 * What the archive does with each finished recording, in its thread. Jobs follow one another: a recording comes to a job
 * when it is done by the job before. After a kill it comes again, so that a job has to see whether it is done already.
 */
export interface ArchiveJob {
  /** Unique; how far the job has come is kept under this name. */
  readonly name: string;
  /** Recordings that it works on at a time. */
  readonly parallel: number;
  /** Whether the node waits for it when it closes, as long as that takes a few seconds; otherwise it goes on at the next start. */
  readonly finishesAtClose: boolean;
  /**
   * Resolves when the recording is done and that is durable. When it rejects, the recording comes again after a pause, and
   * those behind it wait when `parallel` of them fail: for a store that is unavailable that is what is wanted; a recording
   * that cannot be done is to be reported, and to resolve.
   */
  run(recording: FinishedRecording): Promise<void>;
  /** Gives up its connections. No recording is under way. */
  close?(): Promise<void> | void;
}

/** What a job can ask of the archive. */
export interface ArchiveContext {
  /** The output directory. */
  readonly directory: string;
  readonly fileMode: number;
  /** Resolves once the entry is in the audit's file. Without an audit it resolves at once. */
  audit(action: string, fields: AuditFields, interactionId?: string): Promise<void>;
  /** Deletes a recording, with its entry in the audit before. Rejects when it is still there. */
  delete(deletion: Deletion): Promise<void>;
  /** Reports what failed while the archive goes on: a sentence for the operator. */
  fault(message: string): void;
  /** Adds to a counter of the archive's stats(). */
  count(counter: string, by?: number): void;
  /** Aborts when the node closes: what is quickly done is to hurry up, what takes long is to end. */
  readonly closing: AbortSignal;
  /** Aborts when the time for that is over. */
  readonly stopped: AbortSignal;
}

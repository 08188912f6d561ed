import type { RecordingArchived } from '../core/archive-events.js';
import type { AuditFields } from '../core/events.js';
import type { RetentionSettings } from '../core/retention/policy.js';
import type { UploadSettings } from './upload/options.js';
import type { UploadReport } from './upload/upload-report.js';

/** What the archive's thread is given at its start. */
export interface ArchiveThreadData {
  /** The output directory. */
  readonly directory: string;
  readonly fileMode: number;
  /** How long recordings are kept; undefined for ever. */
  readonly retention?: RetentionSettings | undefined;
  /** Folder of the audit; undefined without one: then there are no digests. */
  readonly auditDirectory: string | undefined;
  /** Recordings that were finished earlier may be in the audit already; wall clock, milliseconds since 1970. */
  readonly sinceMs: number;
  /** What is uploaded, and what a thread before this one has reported of it; undefined when nothing is. */
  readonly uploads?: { readonly settings: UploadSettings; readonly earlier: UploadReport } | undefined;
}

/** What the archive's thread tells the main thread. */
export type FromArchive =
  | {
      readonly kind: 'entry';
      readonly number: number;
      readonly action: string;
      readonly interactionId: string | undefined;
      readonly fields: AuditFields;
    }
  | { readonly kind: 'counts'; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: 'uploads'; readonly report: UploadReport }
  | { readonly kind: 'archived'; readonly recording: RecordingArchived }
  | { readonly kind: 'fault'; readonly message: string };

/** What it is told. */
export type ToArchive =
  /** A recording was finished. */
  | { readonly kind: 'look' }
  /** Whether an entry is in the audit. */
  | { readonly kind: 'kept'; readonly number: number; readonly failure?: string }
  /** Finish what there is within that time, and end. */
  | { readonly kind: 'close'; readonly withinMs: number };

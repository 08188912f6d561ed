import type { RecordingArchived, UploadFailure } from '../../core/archive-events.js';
import type { BucketState } from './attempts.js';
import type { UploadSettings } from './options.js';

/** How far uploads are, as the archive's thread tells it. */
export interface UploadReport {
  readonly state: BucketState;
  /** Recordings that are finished and not yet in the bucket. */
  readonly waiting: number;
  /** When the one that has waited longest ended, milliseconds since 1970; undefined when none is being uploaded. */
  readonly oldestMs: number | undefined;
  /** Recordings that the bucket has, every byte of them. */
  readonly archived: number;
  /** Bytes that were sent. */
  readonly bytes: number;
  /** Recordings that were deleted from the disk after that. */
  readonly deleted: number;
  /** Recordings that cannot be uploaded because of their files. */
  readonly unfit: number;
  /** Attempts that failed. */
  readonly failures: Readonly<Partial<Record<UploadFailure, number>>>;
}

export const NO_UPLOADS: UploadReport = {
  state: { isFailing: false, message: '' },
  ...{ waiting: 0, oldestMs: undefined, archived: 0, bytes: 0, deleted: 0, unfit: 0, failures: {} },
};

/** What wants finished recordings uploaded, as the archive sees it. */
export interface ArchiveUploads {
  readonly settings: UploadSettings;
  /** Called whenever something has changed. */
  report(report: UploadReport): void;
  archived(recording: RecordingArchived): void;
}

/** A file of a recording in a bucket. */
export interface ArchivedFile {
  readonly name: string;
  readonly bytes: number;
  /** Of its content, in hex. */
  readonly sha256: string;
}

/** `recordingArchived`: a bucket has a recording, every byte of it. */
export interface RecordingArchived {
  readonly interactionId: string;
  /** Its folder within the output directory. */
  readonly folder: string;
  readonly bucket: string;
  /** What the names of its objects begin with: `2026-11-29/none/6f1c…` for `2026-11-29/none/6f1c…/audio.wav`. */
  readonly name: string;
  readonly files: readonly ArchivedFile[];
  /** It was deleted from the disk. */
  readonly isDeleted: boolean;
}

/**
 * Why uploads fail. `unavailable`: no connection, no answer in time, or an error of the server · `throttled`: it wants
 * fewer requests · `corrupted`: what arrived is not what was sent · `credentials`: there are none, or the server does not
 * know them · `accessDenied`: they may not do this · `noSuchBucket` · `wrongRegion`: the bucket is in another region, or
 * behind another endpoint · `clock`: it differs too much from the server's · `refused`: the server cannot do what was
 * asked, such as object lock in a bucket without it.
 *
 * The first three pass by themselves; for the others somebody has to change something.
 */
export type UploadFailure =
  | 'unavailable'
  | 'throttled'
  | 'corrupted'
  | 'credentials'
  | 'accessDenied'
  | 'noSuchBucket'
  | 'wrongRegion'
  | 'clock'
  | 'refused';

/** `archiveState`: a bucket begins to fail, fails for another reason, or works again. */
export interface ArchiveState {
  readonly isFailing: boolean;
  readonly reason?: UploadFailure;
  /** A sentence on that; empty while it works. */
  readonly message: string;
  /** Recordings that are not in the bucket yet. */
  readonly waiting: number;
}

import { byName, counter, type Family, gauge, type Values } from '../family.js';

/** What is done with finished recordings; see ArchiveStats. */
interface FinishedCounts {
  readonly digests: number;
  readonly digestedBytes: number;
  readonly missing: number;
  readonly refused: number;
  readonly failedAttempts: number;
  readonly retentionDeleted: number;
  readonly retentionFailed: number;
  readonly threadRestarts: number;
}

/** What s3Archive() counts; see S3ArchiveStats. */
interface ArchiveCounts {
  readonly waiting: number;
  readonly oldestSeconds: number;
  readonly archived: number;
  readonly archivedBytes: number;
  readonly deletedLocally: number;
  readonly unfit: number;
  readonly uploadFailures: Readonly<Record<string, number>>;
}

export function isArchive(stats: object): stats is ArchiveCounts {
  return 'archivedBytes' in stats && 'uploadFailures' in stats;
}

/** The uploads of s3Archive(), by the service's name. */
export function archiveFamilies(services: readonly (readonly [service: string, stats: ArchiveCounts])[]): Family[] {
  const each = (value: (stats: ArchiveCounts) => number): Values =>
    services.map(([service, stats]) => [{ service }, value(stats)] as const);
  const failures = services.flatMap(([service, { uploadFailures }]) =>
    byName('reason', uploadFailures).map(([labels, count]) => [{ service, ...labels }, count] as const),
  );
  return [
    gauge(
      'archive_waiting',
      'Finished recordings that are not in the bucket yet.',
      each(({ waiting }) => waiting),
    ),
    gauge(
      'archive_oldest_seconds',
      'Time since the end of the recording that has waited longest for its upload.',
      each(({ oldestSeconds }) => oldestSeconds),
    ),
    counter(
      'archive_recordings',
      'Recordings that the bucket has, every byte of them.',
      each(({ archived }) => archived),
    ),
    counter(
      'archive_bytes',
      'Bytes that were uploaded.',
      each(({ archivedBytes }) => archivedBytes),
    ),
    counter(
      'archive_deleted',
      'Recordings that were deleted from the disk after their upload.',
      each(({ deletedLocally }) => deletedLocally),
    ),
    counter(
      'archive_unfit',
      'Recordings that cannot be uploaded because of their files.',
      each(({ unfit }) => unfit),
    ),
    counter('archive_upload_failures', 'Attempts to upload that failed, by reason; they are made again.', failures),
  ];
}

/** Digests and retention. Without an archive they are 0, so that an alert has something to look at. */
export function finishedFamilies(counts: FinishedCounts | undefined): Family[] {
  return [
    counter('recording_digests', 'Finished recordings whose digest is in the audit.', counts?.digests ?? 0),
    counter('recording_digest_bytes', 'Bytes of the files of those recordings.', counts?.digestedBytes ?? 0),
    counter('recordings_missing', 'Finished recordings that were removed before their digest.', counts?.missing ?? 0),
    counter('recording_links_refused', 'Symbolic links in place of a finished recording.', counts?.refused ?? 0),
    counter(
      'archive_attempts_failed',
      'Attempts of a digest or an upload that failed; they are made again.',
      counts?.failedAttempts ?? 0,
    ),
    counter(
      'retention_deleted',
      'Recordings that were deleted at the end of their time.',
      counts?.retentionDeleted ?? 0,
    ),
    counter(
      'retention_failed',
      'Recordings that are due and could not be deleted, and runs that could delete nothing.',
      counts?.retentionFailed ?? 0,
    ),
    counter('archive_thread_restarts', 'Restarts of the archive’s thread.', counts?.threadRestarts ?? 0),
  ];
}

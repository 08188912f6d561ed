import { byName, counter, type Family, gauge, type Values } from '../family.js';

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

import { parseOptions } from '../config/options.js';
import type { ArchiveState, RecordingArchived, UploadFailure } from '../core/archive-events.js';
import { type Clock, systemClock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import type { HealthCheck } from '../core/health.js';
import type { Logger } from '../core/logger.js';
import { httpAgent } from '../core/network/http-agent.js';
import type { BucketState } from './upload/attempts.js';
import { type S3ArchiveOptions, s3ArchiveOptionsSchema, uploadSettings } from './upload/options.js';
import { type ArchiveUploads, NO_UPLOADS, type UploadReport } from './upload/upload-report.js';

/** The SDK behind it; an optional dependency. */
const SDK = '@aws-sdk/client-s3';
const MS_PER_SECOND = 1_000;

/** What s3Archive() has counted. */
export interface S3ArchiveStats {
  /** Recordings that are finished and not in the bucket yet. */
  readonly waiting: number;
  /** Seconds since the end of the recording that has waited longest; 0 when none waits. */
  readonly oldestSeconds: number;
  readonly archived: number;
  /** Bytes that were sent; what the bucket had already is not sent again. */
  readonly archivedBytes: number;
  /** Recordings that were deleted from the disk after that. */
  readonly deletedLocally: number;
  /** Recordings that cannot be uploaded because of their files; they stay on the disk. */
  readonly unfit: number;
  /** Attempts that failed, by reason; they are made again. */
  readonly uploadFailures: Readonly<Partial<Record<UploadFailure, number>>>;
}

/** What s3Archive() uses of the node that it is a service of. */
export interface ArchiveNode {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: {
    emit(name: 'archiveState', state: ArchiveState): unknown;
    emit(name: 'recordingArchived', recording: RecordingArchived): unknown;
  };
}

/** Uploads finished recordings to a bucket. Made by s3Archive(). */
export class S3Archive {
  readonly name = 'archive';
  /** What the thread of the archive does for it. */
  readonly uploads: ArchiveUploads;
  #context: ArchiveNode | undefined;
  #report: UploadReport = NO_UPLOADS;
  #state: BucketState = NO_UPLOADS.state;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: S3ArchiveOptions) {
    const settings = uploadSettings(parseOptions('s3Archive()', s3ArchiveOptionsSchema, options));
    const { endpoint = 'https://s3.amazonaws.com', caFile } = settings.bucket;
    // A CA file or a proxy that is none is found here, and not in the thread.
    httpAgent(endpoint, { maxSockets: 1, caFile }).destroy();
    this.uploads = {
      settings,
      report: (report) => this.#take(report),
      archived: (recording) => this.#context?.node.emit('recordingArchived', recording),
    };
  }

  /** @throws TrunklineError CONFIG_INVALID when the SDK, an optional dependency, is not installed. */
  start(context: ArchiveNode): void {
    this.#context = context;
    try {
      import.meta.resolve(SDK);
    } catch {
      throw new TrunklineError('CONFIG_INVALID', `The archive needs the AWS SDK: npm install ${SDK}`);
    }
  }

  close(): void {
    this.#context = undefined;
  }

  stats(): S3ArchiveStats {
    const { waiting, archived, bytes, deleted, unfit, failures } = this.#report;
    return {
      waiting,
      oldestSeconds: this.#oldestSeconds(),
      archived,
      archivedBytes: bytes,
      deletedLocally: deleted,
      unfit,
      uploadFailures: failures,
    };
  }

  refusals(): Readonly<Record<string, number>> {
    return { unfit: this.#report.unfit };
  }

  /** `degraded` at the most: what is not in the bucket is on the disk. */
  health(): readonly HealthCheck[] {
    const { state, waiting } = this.#report;
    if (!state.isFailing) return [{ name: 'archive', status: 'ok', affects: 'ready' }];
    const reason = `Recordings are not uploaded, ${waiting} wait on the disk: ${state.message}.`;
    return [{ name: 'archive', status: 'degraded', affects: 'ready', reason }];
  }

  #oldestSeconds(): number {
    const { oldestMs } = this.#report;
    const nowMs = (this.#context?.clock ?? systemClock).wallMs();
    return oldestMs === undefined ? 0 : Math.max(0, (nowMs - oldestMs) / MS_PER_SECOND);
  }

  #take(report: UploadReport): void {
    this.#report = report;
    const { state, waiting } = report;
    if (state.isFailing === this.#state.isFailing && state.reason === this.#state.reason) return;
    this.#state = state;
    const { isFailing, reason, message } = state;
    this.#context?.node.emit('archiveState', {
      isFailing,
      message,
      waiting,
      ...(reason === undefined ? {} : { reason }),
    });
    if (isFailing) {
      this.#context?.logger.warn({ reason, waiting }, `recordings are not uploaded, they wait on the disk: ${message}`);
    } else this.#context?.logger.info({ waiting }, 'recordings are uploaded again');
  }
}

/**
 * Uploads each finished recording to S3-compatible storage, in the thread of the archive: verified by the store's
 * checksum, again and again until it is there. Credentials are found where the AWS SDK looks for them: environment,
 * profiles, roles.
 *
 * @example
 * const node = await createNode({
 *   sources,
 *   sinks: [recorder({ directory: 'capture' }), audit({ directory: 'capture' })],
 *   services: [s3Archive({ address: 's3://recordings/site-1', deleteLocal: true })],
 * });
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function s3Archive(options: S3ArchiveOptions): S3Archive {
  return new S3Archive(options);
}

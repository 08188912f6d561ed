import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordingArchived, UploadFailure } from '../../core/archive-events.js';
import { systemClock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { isInside } from '../../core/files/inside.js';
import { folderKeyOf } from '../../evidence/recording-entry.js';
import { parseManifest } from '../../sinks/recorder/files/manifest.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';
import type { ArchiveContext, ArchiveJob, FinishedRecording } from '../jobs.js';
import { contentOf } from '../recording-digest.js';
import { heldBy, readHolds } from '../retention/legal-holds.js';
import { Attempts } from './attempts.js';
import { S3Bucket } from './bucket.js';
import { BucketError } from './failures.js';
import type { UploadSettings } from './options.js';
import { Pace } from './pace.js';
import { type ArchivedRecording, RecordingUnfit, uploadRecording } from './upload-recording.js';
import type { UploadReport } from './upload-report.js';

/** A recording whose format has changed goes on at once, in the same folder; it is complete when it has not after this. */
const FORMAT_CHANGE_MS = 5_000;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;

export interface UploadJobDependencies {
  readonly context: ArchiveContext;
  readonly archived: (recording: RecordingArchived) => void;
  readonly changed: () => void;
}

/** Uploads finished recordings to a bucket, as often as it takes. */
export class UploadJob implements ArchiveJob {
  readonly name = 'upload';
  readonly finishesAtClose = true;
  readonly parallel: number;
  readonly #settings: UploadSettings;
  readonly #dependencies: UploadJobDependencies;
  readonly #attempts: Attempts;
  readonly #failures: Partial<Record<UploadFailure, number>>;
  readonly #counts: { archived: number; bytes: number; deleted: number; unfit: number };
  /** Ends of the recordings that are under way, by folder. */
  readonly #endsMs = new Map<string, number>();
  #bucket: Promise<S3Bucket> | undefined;

  /** @param earlier What a thread before this one has counted. */
  constructor(settings: UploadSettings, earlier: UploadReport, dependencies: UploadJobDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    const { archived, bytes, deleted, unfit, failures } = earlier;
    this.#counts = { archived, bytes, deleted, unfit };
    this.#failures = { ...failures };
    this.parallel = settings.parallel;
    const { leastRetryMs, mostRetryMs, permanentRetryMs } = settings;
    this.#attempts = new Attempts({
      clock: systemClock,
      ...{ leastPauseMs: leastRetryMs, mostPauseMs: mostRetryMs, permanentPauseMs: permanentRetryMs },
      onChange: dependencies.changed,
    });
    // Requests that are under way have no other end.
    dependencies.context.stopped.addEventListener('abort', () => void this.close(), { once: true });
  }

  /** All but how many wait, which the queue knows. */
  report(): Omit<UploadReport, 'waiting'> {
    const oldestMs = this.#endsMs.size === 0 ? undefined : Math.min(...this.#endsMs.values());
    return { ...this.#counts, failures: { ...this.#failures }, state: this.#attempts.state, oldestMs };
  }

  async run({ folder, path }: FinishedRecording): Promise<void> {
    if (!this.#isOurs(folder)) return this.#refuse(folder, path);
    const manifest = await finishedManifest(path, this.#dependencies.context.stopped);
    if (manifest === undefined) return;
    this.#endsMs.set(folder, manifest.endedMs);
    try {
      const archived = await this.#upload(folder, path);
      if (archived !== undefined) await this.#finish(folder, path, archived, manifest.bytes);
    } finally {
      this.#endsMs.delete(folder);
    }
  }

  /** Of a link, the bucket would get what somebody has linked there. */
  #isOurs(folder: string): boolean {
    return isInside(this.#dependencies.context.directory, folder);
  }

  /** Nothing is said of a folder that was removed. */
  async #refuse(folder: string, path: string): Promise<void> {
    if ((await contentOf(path)) === undefined) return;
    await this.#unfit(folder, path, linkInPlace());
  }

  async close(): Promise<void> {
    const bucket = await this.#bucket?.catch(() => undefined);
    bucket?.close();
  }

  /** Tries until the bucket has it; undefined when its files are at fault. */
  async #upload(folder: string, path: string): Promise<ArchivedRecording | undefined> {
    const { context } = this.#dependencies;
    const { template, bucket: bucketSettings } = this.#settings;
    for (;;) {
      try {
        return await this.#attempts.run(
          async () => {
            const content = await contentOf(path);
            if (content === undefined || content.isUnfinished) return undefined;
            // Hours may lie between two attempts.
            if (!this.#isOurs(folder)) throw linkInPlace();
            const { prefix, partBytes } = bucketSettings;
            const recording = { folder, path, files: content.files };
            return await uploadRecording(await this.#open(), recording, { prefix, template, partBytes });
          },
          (thrown) => (thrown instanceof BucketError ? thrown : undefined),
          context.closing,
        );
      } catch (thrown) {
        if (context.stopped.aborted) throw context.stopped.reason;
        if (thrown === context.closing.reason) throw thrown;
        if (thrown instanceof RecordingUnfit) return await this.#unfit(folder, path, thrown);
        if (!(thrown instanceof BucketError)) throw thrown;
        this.#failures[thrown.reason] = (this.#failures[thrown.reason] ?? 0) + 1;
      }
    }
  }

  /** Told once and left where it is: trying again does not help. */
  async #unfit(folder: string, path: string, thrown: RecordingUnfit): Promise<undefined> {
    // Somebody has removed it meanwhile.
    if ((await contentOf(path)) === undefined) return undefined;
    this.#counts.unfit++;
    const { context } = this.#dependencies;
    const message = `The recording ${folder} cannot be uploaded and stays on the disk: ${messageOf(thrown)}.`;
    context.fault(message);
    await context.audit('recording_not_archived', { detail: message });
    return undefined;
  }

  async #finish(folder: string, path: string, archived: ArchivedRecording, manifest: Buffer): Promise<void> {
    const { context } = this.#dependencies;
    const { interactionId, name, files, uploadedBytes } = archived;
    const folderKey = folderKeyOf(manifest);
    await context.audit('recording_archived', { recording: { folder, folderKey, files } }, interactionId);
    this.#counts.archived++;
    this.#counts.bytes += uploadedBytes;
    const { deleteLocal, bucket } = this.#settings;
    const isDeleted = deleteLocal && (await this.#delete(folder, path, interactionId, folderKey));
    this.#dependencies.archived({ interactionId, folder, bucket: bucket.bucket, name, files, isDeleted });
  }

  /** Deletes it from the disk; false when something speaks against it. */
  async #delete(folder: string, path: string, interactionId: string, folderKey: string): Promise<boolean> {
    const { context } = this.#dependencies;
    const { directory } = context;
    const content = await contentOf(path);
    if (content === undefined || content.isUnfinished) return false;
    if (content.others.length > 0) {
      context.fault(`The recording ${folder} stays on the disk: there are other files in its folder.`);
      return false;
    }
    const manifest = parseManifest(await readFile(join(path, MANIFEST_FILE), { encoding: 'utf8', flag: READ }));
    if (heldBy(readHolds(directory).holds, { ...manifest, interactionId }) !== undefined) return false;
    await context.delete({ folder, folderKey, interactionId, reason: 'uploaded' });
    this.#counts.deleted++;
    return true;
  }

  #open(): Promise<S3Bucket> {
    const { bucket, maxMegabits } = this.#settings;
    this.#bucket ??= S3Bucket.open(bucket, systemClock, new Pace(maxMegabits, systemClock));
    return this.#bucket;
  }
}

function linkInPlace(): RecordingUnfit {
  return new RecordingUnfit('a symbolic link stands in its place');
}

/** The manifest of a recording that is there and complete. */
async function finishedManifest(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly endedMs: number } | undefined> {
  for (let isAgain = false; ; isAgain = true) {
    const content = await contentOf(path);
    if (content === undefined || content.isUnfinished) return undefined;
    const bytes = await readFile(join(path, MANIFEST_FILE), { flag: READ }).catch(() => Buffer.alloc(0));
    const manifest = parseManifest(bytes.toString('utf8'));
    if (manifest?.endReason !== 'formatChanged' || isAgain) {
      const endedMs = Date.parse(manifest?.endedAt ?? '');
      return { bytes, endedMs: Number.isNaN(endedMs) ? systemClock.wallMs() : endedMs };
    }
    await sleep(FORMAT_CHANGE_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}

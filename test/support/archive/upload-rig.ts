import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { S3Bucket } from '../../../src/archive/upload/bucket.js';
import { Pace } from '../../../src/archive/upload/pace.js';
import type { BucketSettings } from '../../../src/archive/upload/settings.js';
import type { UploadOptions } from '../../../src/archive/upload/upload-recording.js';
import { systemClock } from '../../../src/core/clock.js';
import { type WrittenRecording, writeRecording } from '../recordings.js';
import { CREDENTIALS, REGION, type S3Server } from './s3-server.js';

/** The smallest part that S3 takes. */
export const PART_BYTES = 5 << 20;
export const TEMPLATE = '{date}/{queue}/{interactionId}';

/** A folder of recordings, and buckets on a server. */
export class UploadRig implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'trunkline-archive-'));
  readonly options: UploadOptions = { prefix: '', template: TEMPLATE, partBytes: PART_BYTES };
  readonly #server: S3Server;
  readonly #buckets: S3Bucket[] = [];

  constructor(server: S3Server) {
    this.#server = server;
    Object.assign(process.env, CREDENTIALS);
  }

  /** A bucket through `endpoint`, which may be a proxy. */
  async bucket(changes: Partial<BucketSettings> = {}, maxMegabits = 0): Promise<S3Bucket> {
    const { bucket, endpoint } = this.#server;
    const settings = { bucket, endpoint, region: REGION, pathStyle: true, prefix: '', partBytes: PART_BYTES };
    const rest = { lockDays: 0, legalHold: false, timeoutMs: 30_000 };
    const opened = await S3Bucket.open(
      { ...settings, ...rest, ...changes },
      systemClock,
      new Pace(maxMegabits, systemClock),
    );
    this.#buckets.push(opened);
    return opened;
  }

  /** Writes a recording and returns what is uploaded of it. */
  record(folder: string, options: WrittenRecording & { readonly extra?: Readonly<Record<string, Buffer>> } = {}) {
    writeRecording(this.directory, folder, options);
    const path = join(this.directory, folder);
    for (const [name, bytes] of Object.entries(options.extra ?? {})) writeFileSync(join(path, name), bytes);
    return { folder, path, files: readdirSync(path) };
  }

  [Symbol.dispose](): void {
    for (const bucket of this.#buckets) bucket.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

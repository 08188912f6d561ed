import { createHash, randomUUID } from 'node:crypto';
import { systemClock } from '../../core/clock.js';
import { S3Bucket } from './bucket.js';
import { BucketError } from './failures.js';
import type { UploadSettings } from './options.js';
import { Pace } from './pace.js';

/** What a bucket does, found out with an object that is removed again. */
export interface BucketProbe {
  /** The store keeps SHA-256 checksums: what is uploaded is verified without reading it back. */
  readonly hasChecksums: boolean;
  /** False when the object could not be removed, as with object lock; it is named `key`. */
  readonly isRemoved: boolean;
  readonly key: string;
  /** Uploads in parts that were begun below the prefix and neither completed nor aborted: they take space. */
  readonly leftovers: readonly { readonly key: string; readonly startedMs: number }[];
}

/**
 * Writes an object, asks for its checksum, and removes it. Without object lock and legal hold, which would keep it.
 * @throws BucketError; TrunklineError CONFIG_INVALID when the SDK is not installed.
 */
export async function probeBucket({ bucket: settings }: UploadSettings): Promise<BucketProbe> {
  const { lockMode: _, ...unlocked } = settings;
  const bucket = await S3Bucket.open({ ...unlocked, legalHold: false }, systemClock, new Pace(0, systemClock));
  try {
    const content = Buffer.from('written by trunkline doctor\n');
    const sha256 = createHash('sha256').update(content).digest();
    const key = `${settings.prefix}trunkline-doctor-${randomUUID()}.txt`;
    await bucket.put(key, content, sha256, { contentType: 'text/plain', metadata: {} }, true);
    const stored = await bucket.head(key);
    if (stored?.bytes !== content.length) throw new BucketError('corrupted', 'HeadObject: the object is not there');
    const isRemoved = await bucket.remove(key).then(
      () => true,
      () => false,
    );
    const leftovers = await bucket.begun(settings.prefix);
    return { hasChecksums: stored.checksum === sha256.toString('base64'), isRemoved, key, leftovers };
  } finally {
    bucket.close();
  }
}

import { s3Archive } from '../../archive/s3-archive.js';
import { probeBucket } from '../../archive/upload/probe-bucket.js';
import type { Config } from '../../config/schema.js';
import { systemClock } from '../../core/clock.js';
import { archiveOptions } from '../archive-options.js';
import { type Finding, failure, ok, warn } from './finding.js';

/** An upload that a node has under way is not left over. */
const LEFT_OVER_MS = 86_400_000;
const NAMED = 3;

/** The bucket of the archive: an object is written, verified and deleted. */
export async function checkArchive(config: Config): Promise<Finding[]> {
  const name = 'archive';
  try {
    const options = archiveOptions(config);
    if (options === undefined) return [];
    const { hasChecksums, isRemoved, key, leftovers } = await probeBucket(s3Archive(options).uploads.settings);
    const findings = [
      ok(name, `${options.address}: an object was written${isRemoved ? ', verified and deleted' : ''}`),
    ];
    if (!hasChecksums) {
      const fix = 'It works, and costs the traffic twice. A newer server keeps checksums.';
      findings.push(warn(name, 'The store keeps no SHA-256: what is uploaded is read back to verify it.', fix));
    }
    if (!isRemoved)
      findings.push(warn(name, `The object ${key} could not be deleted.`, 'Delete it, or leave it there.'));
    const old = leftovers.filter(({ startedMs }) => systemClock.wallMs() - startedMs > LEFT_OVER_MS);
    if (old.length > 0) {
      const some = old.slice(0, NAMED).map((one) => one.key);
      const fix = 'Give the bucket a lifecycle rule that aborts incomplete uploads after some days.';
      findings.push(warn(name, `${old.length} uploads were never completed: ${some.join(', ')}`, fix));
    }
    return findings;
  } catch (error) {
    return [failure(name, error, 'Correct what the message names. Until then recordings wait on the disk.')];
  }
}

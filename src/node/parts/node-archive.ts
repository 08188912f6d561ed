import { Archive } from '../../archive/archive.js';
import { TrunklineError } from '../../core/errors.js';
import type { Sink, SinkAgent } from '../../sinks/sink.js';
import type { Service } from '../service.js';

/**
 * What happens to finished recordings: the audit gets their digests, where there is one, old ones are deleted, and a
 * service such as s3Archive() has them uploaded.
 * @throws TrunklineError CONFIG_INVALID when there is nothing to upload.
 */
export function archiveOf(
  recorder: SinkAgent | undefined,
  sinks: readonly Sink[],
  services: readonly Service[],
  report: (error: unknown) => void,
): Archive | undefined {
  const audit = sinks.find(({ auditKeeper }) => auditKeeper !== undefined)?.auditKeeper;
  const uploads = services.find((service) => service.uploads !== undefined)?.uploads;
  if (uploads !== undefined && recorder === undefined) {
    throw new TrunklineError('CONFIG_INVALID', 's3Archive() uploads recordings: the node needs a recorder() as well.');
  }
  const isNeeded = audit !== undefined || uploads !== undefined || recorder?.retention !== undefined;
  if (recorder === undefined || !isNeeded) return undefined;
  return new Archive({ place: recorder.archive(), audit, uploads, report });
}

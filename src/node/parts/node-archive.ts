import { Archive } from '../../archive/archive.js';
import type { Sink, SinkAgent } from '../../sinks/sink.js';

/** What happens to finished recordings: the audit gets their digests, where there is one, and old ones are deleted. */
export function archiveOf(
  recorder: SinkAgent | undefined,
  sinks: readonly Sink[],
  report: (error: unknown) => void,
): Archive | undefined {
  const audit = sinks.find(({ auditKeeper }) => auditKeeper !== undefined)?.auditKeeper;
  if (recorder === undefined || (audit === undefined && recorder.retention === undefined)) return undefined;
  return new Archive({ place: recorder.archive(), audit, report });
}

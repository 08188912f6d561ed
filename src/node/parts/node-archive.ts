import { Archive } from '../../archive/archive.js';
import type { Sink, SinkAgent } from '../../sinks/sink.js';

/** What happens to finished recordings: where there are recordings and an audit, the audit gets their digests. */
export function archiveOf(
  recorder: SinkAgent | undefined,
  sinks: readonly Sink[],
  report: (error: unknown) => void,
): Archive | undefined {
  const audit = sinks.find(({ auditKeeper }) => auditKeeper !== undefined)?.auditKeeper;
  if (recorder === undefined || audit === undefined) return undefined;
  return new Archive({ place: recorder.archive(), audit, report });
}

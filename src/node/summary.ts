import type { NodeStats } from './node-stats.js';
import type { Refusals } from './watch/refusals.js';

/** What a node has done; the last line that `--json` prints. */
export interface NodeSummary {
  readonly streams: number;
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  readonly packetsLost: number;
  readonly packetsLate: number;
  /** Late ones that were handed on to the recordings after all. */
  readonly packetsRepaired: number;
  readonly packetsDuplicate: number;
  readonly packetsForeign: number;
  readonly packetsReordered: number;
  /** Dropped by the node itself because a ring or the arena was full. */
  readonly packetsDropped: number;
  /** Concealed frames included. */
  readonly framesDecoded: number;
  readonly framesSilent: number;
  readonly decodeErrors: number;
  /** From arrival to delivery, the playout delay included. */
  readonly latencyMicros: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  /** Recordings of which a part could not be written; their session.json says so. Counted at their end. */
  readonly recordingsIncomplete: number;
  /** Entries of the audit that could not be written; all of them are known once the node has closed. */
  readonly auditEntriesLost: number;
  /** What was refused or dropped, by `part.reason` such as `genesys.malformed`; only what occurred. */
  readonly refused: Refusals;
  readonly backend: 'js' | 'native';
  readonly out: string;
}

/** The summary of what a node has counted; `out` is the folder of its files. */
export function summaryOf(stats: NodeStats, out: string): NodeSummary {
  const { counts, framesSilent, streamsOpened, deliveredMicros, engine, sinks, backend } = stats;
  const { p50, p99, p999, max } = deliveredMicros;
  return {
    streams: streamsOpened,
    packetsReceived: counts.packetsReceived,
    bytesReceived: counts.bytesReceived,
    packetsLost: counts.packetsLost,
    packetsLate: counts.packetsLate,
    packetsRepaired: counts.packetsRepaired,
    packetsDuplicate: counts.packetsDuplicate,
    packetsForeign: counts.packetsForeign,
    packetsReordered: counts.packetsReordered,
    packetsDropped: counts.packetsDropped,
    framesDecoded: engine.framesDecoded,
    framesSilent,
    decodeErrors: engine.decodeErrors,
    latencyMicros: { p50, p99, p999, max },
    recordingsIncomplete: sinks['recorder']?.['recordingsIncomplete'] ?? 0,
    auditEntriesLost: sinks['audit']?.dropped ?? 0,
    refused: stats.refused,
    backend,
    out,
  };
}

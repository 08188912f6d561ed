import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TrunklineError } from '../core/errors.js';
import { US_PER_SECOND } from '../core/units.js';
import type { JitterSettings } from './capture.js';
import { type Played, play } from './jitter.js';
import type { Trace } from './trace.js';

/** What a jitter buffer makes of a trace, as `trunkline eval jitter` prints it. */
export interface JitterReport {
  /** In the trace, copies included. */
  readonly packets: number;
  /** Without copies. */
  readonly received: number;
  /** Numbers that never arrived. */
  readonly lost: number;
  /** Of the packets in the trace: those whose place on the live line had been given up when they arrived. */
  readonly latePercent: number;
  /** From the timestamp to the release, over the path of the fastest packet. */
  readonly meanDelayMillis: number;
  readonly p95DelayMillis: number;
  /** Made up on the live line in place of packets that had not arrived. */
  readonly concealedMillis: number;
  /** Packets that are in the recording, each once. */
  readonly recordedUniquePackets: number;
  /** Of those, the ones that the live line did without. */
  readonly repaired: number;
  readonly reordered: number;
  readonly duplicates: number;
  /** From arrival to release, mean: what the buffer itself adds. */
  readonly addedDelayMillis: number;
}

/**
 * Plays a trace and records it in a temporary folder, which is removed again.
 * @param fromSeconds delays of packets that arrive earlier are left out of means and percentiles; counts are of all.
 * @throws TrunklineError CONFIG_INVALID when no packet arrives as late as that.
 */
export async function evaluateJitter(trace: Trace, settings: JitterSettings, fromSeconds = 0): Promise<JitterReport> {
  const lastUs = trace.packets.at(-1)?.arrivalUs ?? 0;
  if (fromSeconds * US_PER_SECOND > lastUs) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The last packet of the trace arrives after ${lastUs / US_PER_SECOND} s, so there are no delays from ${fromSeconds} s on.`,
    );
  }
  const directory = await mkdtemp(join(tmpdir(), 'trunkline-eval-'));
  try {
    return reportOf(trace, await play(trace, settings, { fromSeconds, directory }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function reportOf({ packets }: Trace, { counts, delays, added, concealedMillis, recorded }: Played): JitterReport {
  return {
    packets: packets.length,
    received: counts.packetsReceived,
    lost: counts.packetsLost,
    latePercent: rounded((100 * counts.packetsLate) / packets.length, 3),
    meanDelayMillis: rounded(mean(delays)),
    p95DelayMillis: rounded(percentile(delays, 0.95)),
    concealedMillis: rounded(concealedMillis),
    recordedUniquePackets: (recorded?.inTime ?? 0) + (recorded?.repaired ?? 0),
    repaired: recorded?.repaired ?? 0,
    reordered: counts.packetsReordered,
    duplicates: counts.packetsDuplicate,
    addedDelayMillis: rounded(mean(added)),
  };
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The least value that at least this share of the values does not exceed. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

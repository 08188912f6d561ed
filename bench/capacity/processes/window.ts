import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS } from '../../../src/core/units.js';
import { DRAIN_US, TAIL_US, type Timetable } from '../load/plan.js';
import type { Subject } from '../roles.js';
import type { Losses, SubjectReport } from './messages.js';
import { countSocketReads } from './socket-reads.js';
import { UsageMeter } from './usage.js';

/** Garbage is collected this long before the window begins. */
const SETTLE_US = 1_500_000;

/** Losses are looked at this long before the window begins. */
const LOOK_US = 500_000;

/** Waits through one run and measures over its steady window. */
export async function measureWindow(
  { fromUs, toUs }: Timetable,
  subject: Subject,
  idleRss: number,
): Promise<Pick<SubjectReport, 'usage' | 'packetsWhileMeasured' | 'packetsInAll' | 'socketReads' | 'losses'>> {
  const meter = new UsageMeter(idleRss);
  const socketReads = countSocketReads();
  await until(fromUs - SETTLE_US);
  meter.settle();
  // What went wrong while the load came up is not the window's. To look at every stream takes its time as well.
  await until(fromUs - LOOK_US);
  const lossesBefore = subject.losses();
  await until(fromUs);
  meter.begin();
  const before = subject.packets();
  const readsBefore = socketReads?.() ?? 0;
  await until(toUs);
  meter.end();
  const packetsWhileMeasured = subject.packets() - before;
  const readsWhileMeasured = socketReads === undefined ? undefined : socketReads() - readsBefore;
  await until(toUs + TAIL_US + DRAIN_US);
  return {
    usage: meter.finish(),
    packetsWhileMeasured,
    packetsInAll: Math.round(subject.packets()),
    ...(readsWhileMeasured !== undefined && { socketReads: readsWhileMeasured }),
    losses: lossesSince(lossesBefore, subject.losses()),
  };
}

function lossesSince(before: Losses, now: Losses): Losses {
  const grown = Object.entries(now.counters).map(([name, n]) => [name, n - (before.counters[name] ?? 0)] as const);
  return {
    known: now.known - before.known,
    counters: Object.fromEntries(grown.filter(([, count]) => count > 0)),
  };
}

function until(us: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, us - systemClock.nowUs()) / US_PER_MS));
}

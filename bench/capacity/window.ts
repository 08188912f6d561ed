import { systemClock } from '../../src/core/clock.js';
import { US_PER_MS } from '../../src/core/units.js';
import { type Load, TAIL_TICKS, TICK_US, type Timetable, windowUs } from './plan.js';
import { type Usage, UsageMeter } from './usage.js';

/** Garbage is collected this long before the window begins. */
const SETTLE_US = 500_000;
/** What is still under way when the load ends has this long to come through: the widest hold, and a stall. */
const DRAIN_US = 1_000_000;

/** Waits through one run and measures over its steady window. `packets` and what `losses` gives only grow. */
export async function measureWindow(
  load: Load,
  timetable: Timetable,
  packets: () => number,
  losses: () => Readonly<Record<string, number>> = () => ({}),
): Promise<{
  readonly usage: Usage;
  readonly packetsWhileMeasured: number;
  readonly losses: Readonly<Record<string, number>>;
}> {
  const { fromUs, toUs } = windowUs(load, timetable);
  const meter = new UsageMeter();
  await until(fromUs - SETTLE_US);
  meter.settle();
  await until(fromUs);
  // What went wrong while the load came up is not the window's.
  const lossesBefore = losses();
  meter.begin();
  const before = packets();
  await until(toUs);
  meter.end();
  const packetsWhileMeasured = packets() - before;
  await until(toUs + TAIL_TICKS * TICK_US + DRAIN_US);
  const grown = Object.entries(losses()).map(([name, count]) => [name, count - (lossesBefore[name] ?? 0)] as const);
  return {
    usage: meter.finish(),
    packetsWhileMeasured,
    losses: Object.fromEntries(grown.filter(([, count]) => count > 0)),
  };
}

function until(us: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, us - systemClock.nowUs()) / US_PER_MS));
}

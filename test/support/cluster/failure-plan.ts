import { below } from '../random.js';
import type { SimulatedCluster } from './simulated-cluster.js';

const SECOND = 1_000_000;

export interface FailurePlan {
  readonly nodes: number;
  readonly calls: number;
  readonly seconds: number;
  /** Failures a minute, of all kinds together. */
  readonly failuresAMinute: number;
  /** What may happen; default everything. */
  readonly kinds?: readonly FailureKind[];
  /** Between two failures, in seconds; default 0. */
  readonly apart?: number;
}

export const FAILURES = ['kill', 'cut', 'isolate', 'stall', 'away', 'drain', 'join', 'moreCalls'] as const;
export type FailureKind = (typeof FAILURES)[number];

export interface PlanReport {
  readonly failures: Record<FailureKind, number>;
  /** Calls on nodes that were killed, drained or cut off for so long that they lost their lease: those that had to move. */
  readonly necessaryMoves: number;
}

/** Starts the nodes and calls, and lets failures of all kinds happen in virtual time; afterwards everything is healed. */
export async function runPlan(cluster: SimulatedCluster, plan: FailurePlan): Promise<PlanReport> {
  const { random, time } = cluster;
  const { nodes, calls, seconds, failuresAMinute, kinds = FAILURES, apart = 0 } = plan;
  const failures = Object.fromEntries(FAILURES.map((kind) => [kind, 0])) as Record<FailureKind, number>;
  const capacity = Math.ceil((calls / nodes) * 3);
  let names = 0;
  const add = () => cluster.add(`node${names++}`, capacity);
  for (let n = 0; n < nodes; n++) add();
  await time.runFor(2 * SECOND);
  let lastCall = 0;
  for (; lastCall < calls; lastCall++) cluster.startCall(`call-${lastCall}`);
  await time.runFor(3 * SECOND);
  let necessaryMoves = 0;
  let lastSecond = Number.NEGATIVE_INFINITY;
  for (let second = 0; second < seconds; second++) {
    await time.runFor(SECOND);
    if (random() >= failuresAMinute / 60 || second < lastSecond + apart) continue;
    lastSecond = second;
    const kind = kinds[below(random, kinds.length)] ?? 'kill';
    const alive = cluster.live();
    const node = alive[below(random, alive.length)];
    if (node === undefined) break;
    failures[kind]++;
    const forUs = (1 + random() * 12) * SECOND;
    switch (kind) {
      case 'kill':
        if (alive.length < nodes / 2) break;
        necessaryMoves += node.member.claims.size;
        node.kill();
        time.after(forUs, () => add());
        break;
      case 'cut':
      case 'isolate':
        node.cut(kind === 'isolate');
        time.after(forUs, () => node.heal());
        break;
      case 'stall':
        node.stall(forUs);
        break;
      case 'away':
        cluster.setAway(true);
        time.after(forUs, () => cluster.setAway(false));
        break;
      case 'drain':
        necessaryMoves += node.member.claims.size;
        node.member.membership.setDraining(true);
        time.after(forUs, () => {
          if (!node.isDead) node.member.membership.setDraining(false);
        });
        break;
      case 'join':
        if (alive.length < nodes * 1.5) add();
        break;
      case 'moreCalls':
        for (let n = 0; n < calls / 20; n++) {
          cluster.endCall(`call-${below(random, lastCall)}`);
          cluster.startCall(`call-${lastCall++}`);
        }
    }
  }
  cluster.setAway(false);
  await time.runFor(40 * SECOND);
  return { failures, necessaryMoves };
}

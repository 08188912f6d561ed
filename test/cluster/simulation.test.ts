import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { type FailurePlan, runPlan } from '../support/cluster/failure-plan.js';
import { SimulatedCluster, type SimulatedNode } from '../support/cluster/simulated-cluster.js';
import { mulberry32 } from '../support/random.js';

/** `full`: 200 nodes and 100,000 calls. */
const isFull = process.env['TRUNKLINE_CLUSTER'] === 'full';
const FIRST_SEED = Number(process.env['TRUNKLINE_CLUSTER_SEED'] ?? 1);
const SEEDS = Number(process.env['TRUNKLINE_CLUSTER_SEEDS'] ?? 3);
const SECOND = 1_000_000;

async function clusterOf(nodes: number, calls: number, seed = 1): Promise<SimulatedCluster> {
  const cluster = new SimulatedCluster(mulberry32(seed));
  for (let n = 0; n < nodes; n++) cluster.add(`node${n}`);
  await cluster.time.runFor(2 * SECOND);
  for (let n = 0; n < calls; n++) cluster.startCall(`call-${n}`);
  await cluster.time.runFor(2 * SECOND);
  return cluster;
}

function movesOf(cluster: SimulatedCluster): number {
  return cluster.nodes.reduce((sum, { member }) => sum + member.counters.moved, 0);
}

function ownedBy(node: SimulatedNode): number {
  return [...node.member.claims.owned()].length;
}

describe('a cluster in virtual time', () => {
  test('places each call once, evenly, within half a second', async () => {
    const cluster = await clusterOf(5, 500);
    expect(cluster.unowned()).toEqual([]);
    expect(Math.max(...cluster.unownedUs)).toBeLessThan(0.5 * SECOND);
    const shares = cluster.nodes.map(ownedBy);
    expect(shares.reduce((sum, one) => sum + one)).toBe(500);
    // Loads within a hundredth of a capacity of 1,000 count as equal.
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(12);
    expect(cluster.violations).toEqual([]);
  });

  test('gives the calls of a node that is killed another owner within five seconds, and moves no others', async () => {
    const cluster = await clusterOf(5, 300);
    const lead = cluster.leader;
    const other = cluster.nodes.find((node) => node !== lead);
    if (lead === undefined || other === undefined) throw new Error('there is no leader');
    for (const node of [other, lead]) {
      const orphans = ownedBy(node);
      const before = movesOf(cluster);
      node.kill();
      await cluster.time.runFor(8 * SECOND);
      expect(cluster.unowned()).toEqual([]);
      expect(movesOf(cluster) - before).toBe(orphans);
    }
    expect(Math.max(...cluster.unownedUs)).toBeLessThan(5 * SECOND);
    expect(cluster.violations).toEqual([]);
  });

  test('moves nothing when a node joins, and evens out when it is told to', async () => {
    const cluster = await clusterOf(3, 300);
    const joined = cluster.add('late');
    await cluster.time.runFor(5 * SECOND);
    expect([movesOf(cluster), ownedBy(joined)]).toEqual([0, 0]);
    cluster.leader?.member.planner?.rebalance();
    await cluster.time.runFor(5 * SECOND);
    // 75 each is even; a node that is a twentieth of its capacity above the mean stays as it is.
    expect(ownedBy(joined)).toBe(0);
    const crowded = new SimulatedCluster(mulberry32(3));
    for (let n = 0; n < 3; n++) crowded.add(`node${n}`, 200);
    await crowded.time.runFor(2 * SECOND);
    for (let n = 0; n < 300; n++) crowded.startCall(`call-${n}`);
    await crowded.time.runFor(2 * SECOND);
    const fourth = crowded.add('late', 200);
    await crowded.time.runFor(2 * SECOND);
    crowded.leader?.member.planner?.rebalance();
    await crowded.time.runFor(5 * SECOND);
    expect(ownedBy(fourth)).toBeGreaterThan(60);
    expect(movesOf(crowded)).toBe(ownedBy(fourth));
    expect(crowded.unowned()).toEqual([]);
    expect(crowded.violations).toEqual([]);
  });

  test('drains a node: its calls have media at the next one before it stops', async () => {
    const cluster = await clusterOf(3, 90);
    const before = cluster.unownedUs.length;
    const node = cluster.nodes[1];
    const moving = node === undefined ? 0 : ownedBy(node);
    node?.member.membership.setDraining(true);
    await cluster.time.runFor(6 * SECOND);
    expect(node?.member.claims.size).toBe(0);
    expect(moving).toBeGreaterThan(20);
    const gaps = cluster.unownedUs.slice(before);
    expect(gaps).toHaveLength(moving);
    // Between the release of a claim and the next one: four ways to the broker of 1 to 5 ms.
    expect(Math.max(...gaps)).toBeLessThan(30_000);
    expect(cluster.violations).toEqual([]);
  });

  test('keeps every call while the broker is away for all, takes none, and goes on afterwards', async () => {
    const cluster = await clusterOf(4, 100);
    // It knows how long it has been there for.
    await cluster.time.runFor(15 * SECOND);
    const { begins } = cluster;
    cluster.setAway(true);
    await cluster.time.runFor(120 * SECOND);
    expect(cluster.unowned()).toEqual([]);
    expect(cluster.live().every(({ member, nowUs }) => member.membership.unrenewedUs(nowUs) > 100 * SECOND)).toBe(true);
    cluster.startCall('later');
    await cluster.time.runFor(5 * SECOND);
    expect(cluster.unowned().map(({ id }) => id)).toEqual(['later']);
    cluster.setAway(false);
    await cluster.time.runFor(10 * SECOND);
    expect(cluster.unowned()).toEqual([]);
    expect(cluster.begins).toBe(begins + 1);
    expect(movesOf(cluster)).toBe(0);
    expect(cluster.violations).toEqual([]);
  });

  test('takes the calls of a node that neither the broker nor a peer can reach, after it has stopped by itself', async () => {
    const cluster = await clusterOf(4, 100);
    await cluster.time.runFor(15 * SECOND);
    const node = cluster.nodes[2];
    const owned = node === undefined ? 0 : ownedBy(node);
    node?.cut(true);
    await cluster.time.runFor(8 * SECOND);
    expect(owned).toBeGreaterThan(15);
    expect(cluster.unowned()).toEqual([]);
    expect(movesOf(cluster)).toBe(owned);
    expect(node?.canWrite).toBe(false);
    node?.heal();
    await cluster.time.runFor(5 * SECOND);
    // As another instance, which owns nothing yet.
    expect(node?.member.membership.instance).toBe('node2-2');
    expect(cluster.violations).toEqual([]);
  });

  test('lets a node that only the broker cannot reach keep its calls', async () => {
    const cluster = await clusterOf(4, 100);
    await cluster.time.runFor(15 * SECOND);
    cluster.nodes[2]?.cut(false);
    await cluster.time.runFor(30 * SECOND);
    expect([cluster.unowned(), movesOf(cluster)]).toEqual([[], 0]);
    cluster.nodes[2]?.heal();
    await cluster.time.runFor(5 * SECOND);
    expect([cluster.unowned(), movesOf(cluster), cluster.violations]).toEqual([[], 0, []]);
  });

  test('a process that was stopped for ten seconds writes nothing when it goes on', async () => {
    const cluster = await clusterOf(3, 60);
    cluster.nodes[0]?.stall(10 * SECOND);
    cluster.nodes[0]?.cut(true);
    await cluster.time.runFor(20 * SECOND);
    expect([cluster.unowned(), cluster.violations]).toEqual([[], []]);
  });
});

const plan: FailurePlan = isFull
  ? { nodes: 200, calls: 100_000, seconds: 120, failuresAMinute: 30 }
  : { nodes: 7, calls: 120, seconds: 90, failuresAMinute: 20 };

test.each(Array.from({ length: SEEDS }, (_, n) => FIRST_SEED + n))(
  'at most one writer a call at every moment, whatever fails, and an owner for each in the end (seed %i)',
  async (seed) => {
    const cluster = new SimulatedCluster(mulberry32(seed));
    const { failures } = await runPlan(cluster, plan);
    expect(cluster.violations).toEqual([]);
    expect(cluster.unowned().map(({ id }) => id)).toEqual([]);
    if (isFull) console.info(seed, failures, figures(cluster, plan));
  },
  600_000,
);

test('kills alone: every call has another owner within five seconds, and moves only if it must', async () => {
  const cluster = new SimulatedCluster(mulberry32(FIRST_SEED));
  // When the leader dies as well meanwhile, it takes twice as long.
  const { failures, necessaryMoves } = await runPlan(cluster, { ...plan, kinds: ['kill'], apart: 6 });
  expect(failures.kill).toBeGreaterThan(3);
  expect(Math.max(...cluster.unownedUs)).toBeLessThan(5 * SECOND);
  expect(movesOf(cluster)).toBeLessThanOrEqual(1.2 * necessaryMoves);
  expect(cluster.violations).toEqual([]);
  if (isFull) console.info(failures, figures(cluster, plan), movesOf(cluster), necessaryMoves);
}, 600_000);

function figures(cluster: SimulatedCluster, { seconds }: FailurePlan): object {
  const waits = cluster.unownedUs.toSorted((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor((waits.length - 1) * share)] ?? 0) / SECOND;
  const { requests, deliveries } = cluster.store;
  return {
    ...{ withoutOwnerP99: at(0.99), withoutOwnerMax: at(1), moved: movesOf(cluster) },
    ...{ requestsASecond: Math.round(requests / seconds), deliveriesASecond: Math.round(deliveries / seconds) },
  };
}

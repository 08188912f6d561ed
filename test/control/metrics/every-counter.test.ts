import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { s3Archive } from '../../../src/archive/s3-archive.js';
import { control } from '../../../src/control/control.js';
import { Monotonic } from '../../../src/control/metrics/family.js';
import { statsFamilies } from '../../../src/control/metrics/node-metrics.js';
import { createNode } from '../../../src/node/create-node.js';
import type { NodeStats } from '../../../src/node/node-stats.js';
import { nodeParts } from '../../../src/node/parts/node-parts.js';
import { audit } from '../../../src/sinks/audit/audit-sink.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { audioHook } from '../../../src/sources/audiohook/audiohook.js';
import { type GenesysStatus, genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { webhooks } from '../../../src/webhooks/webhooks.js';
import { KEYS } from '../../support/audiohook/node-rig.js';
import { SECRET } from '../../support/webhooks/receiver.js';

/** What has no metric of its own, and why. */
const WITHOUT: readonly RegExp[] = [
  // Rates and percentiles: Prometheus works them out of counters and buckets.
  /^throughput\./,
  /^(?:processed|delivered)Micros\.(?:p50|p99|p999|max|mean)$/,
  // Edges of buckets, which never change.
  /\.openedSeconds\.bounds\./,
  // Of single connections and channels: there may be hundreds. Their sums have metrics.
  /^sources\.genesys\.connections\.\d+\.(?:connection|interactions)$/,
  /^sources\.genesys\.discovery\.channels\.\d+\./,
];

type Tree = { [key: string]: unknown };

function leavesOf(tree: object, path: readonly string[] = []): (readonly string[])[] {
  return Object.entries(tree).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value === 'number') return [[...path, key]];
    return typeof value === 'object' && value !== null ? leavesOf(value, [...path, key]) : [];
  });
}

function set(tree: object, path: readonly string[], value: number): void {
  const parent = path.slice(0, -1).reduce((at: Tree, key) => at[key] as Tree, tree as Tree);
  parent[path.at(-1) ?? ''] = value;
}

/** A node with every part that counts. */
async function nodeOfAllParts(): Promise<{ stats: NodeStats; render: (stats: NodeStats) => string }> {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-counters-'));
  const node = await createNode({
    start: false,
    engine: { shards: 1, maxStreams: 4 },
    sources: [genesysSubscription({ clientId: 'a', clientSecret: 'b' }), audioHook({ port: 0, keys: KEYS })],
    sinks: [recorder({ directory }), audit({ directory }), { name: 'own', stats: () => ({ dropped: 0, kept: 0 }) }],
    services: [
      control(),
      webhooks({ url: 'http://127.0.0.1:9/', secret: SECRET, directory }),
      s3Archive({ address: 's3://bucket' }),
      { name: 'own-service', start: () => {}, close: () => {}, stats: () => ({ deep: { count: 0 } }) },
    ],
  });
  onTestFinished(async () => {
    await node.close();
    rmSync(directory, { recursive: true });
  });
  const stats = structuredClone(node.stats());
  const genesys = stats.sources['genesys'] as GenesysStatus & {
    -readonly [K in keyof GenesysStatus]: GenesysStatus[K];
  };
  const one = { connection: 0, state: 'open', interactions: 0, streams: 0, attempts: 0, lastError: '' } as const;
  const channel = { state: 'open', topics: 0, ageMs: 0, attempts: 0, lastError: '' } as const;
  Object.assign(genesys, { connections: [one], tokenAgeMs: 0, discovery: { calls: 0, channels: [channel] } });
  const hook = stats.sources['audiohook'] as { counters: { rejected: object; continuationsRefused: object } };
  Object.assign(hook.counters.rejected, { path: 0 });
  Object.assign(hook.counters.continuationsRefused, { key: 0 });
  Object.assign(stats.refused, { 'packets.custom': 0, 'own.dropped': 0, 'engine.poisoned': 0 });
  Object.assign(stats.sinks['recorder'] ?? {}, { freeBytes: 0, diskBytes: 0 });
  Object.assign((stats.services['archive'] as { uploadFailures: object }).uploadFailures, { unavailable: 0 });
  Object.assign((stats.services['control'] as { refused: object }).refused, { tokenUnknown: 0 });
  // Read once: the age of a heartbeat changes by itself.
  const state = nodeParts(node).engine.state();
  return {
    stats,
    render: (current) => JSON.stringify(statsFamilies(current, { state: () => state }, new Monotonic())),
  };
}

it('every number of a node’s stats() is in a metric: a counter without one fails here', async () => {
  const { stats, render } = await nodeOfAllParts();
  const leaves = leavesOf(stats).filter((path) => !WITHOUT.some((pattern) => pattern.test(path.join('.'))));
  // Falling, so that no difference of two of them is negative.
  for (const [n, path] of leaves.entries()) set(stats, path, 1e9 - n * 1_000);
  set(stats, ['drops'], 1e12);
  const before = render(stats);
  expect(render(stats)).toBe(before);
  const without: string[] = [];
  for (const [n, path] of leaves.entries()) {
    const value = path.join('.') === 'drops' ? 1e12 : 1e9 - n * 1_000;
    set(stats, path, value + 7);
    if (render(stats) === before) without.push(path.join('.'));
    set(stats, path, value);
  }
  expect(without).toEqual([]);
  expect(leaves.length).toBeGreaterThan(150);
});

it('every exception is needed', async () => {
  const { stats } = await nodeOfAllParts();
  const paths = leavesOf(stats).map((path) => path.join('.'));
  expect(WITHOUT.filter((pattern) => !paths.some((path) => pattern.test(path)))).toEqual([]);
});

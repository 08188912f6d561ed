import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { z } from 'zod';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const PATIENCE_MS = 120_000;

const percentiles = z.object({ p50: z.number(), p99: z.number(), p999: z.number(), max: z.number() });
const compared = z.object({
  bareWs: z.number().nullable(),
  tutorial: z.number().nullable(),
  plain: z.number().nullable(),
});
const calls = z.object({
  openRate: z.number(),
  openedMicros: percentiles,
  pingMicros: percentiles,
  pings: z.number(),
  errors: z.record(z.string(), z.number()),
});

/** What others may rely on in the last line of `--json`. */
const report = z.object({
  machine: z.object({ cpu: z.string(), cores: z.number() }),
  version: z.string().regex(/^\d+\.\d+\.\d+/),
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}(-dirty)?$/)
    .nullable(),
  date: z.iso.datetime(),
  arguments: z.array(z.string()),
  measurement: z.boolean(),
  node: z.string().startsWith('v'),
  backend: z.enum(['js', 'native']),
  settings: z.record(z.string(), z.unknown()),
  runs: z.array(
    z.object({
      streams: z.number(),
      codec: z.string(),
      packetsSent: z.number(),
      packetsDelivered: z.number(),
      dropped: z.number(),
      cpuMicrosPerPacket: z.number().positive(),
      coresUsed: z.number().positive(),
      baseline: compared,
      ratio: compared,
      latencyMicros: percentiles,
      calls: calls.nullable(),
      eventLoopDelayMillis: percentiles.omit({ p999: true }),
      medians: z.object({
        node: z.object({ kernelMicrosPerPacket: z.number(), packetsPerRead: z.number().nullable() }),
      }),
      perRound: z.object({ node: z.array(z.object({ valid: z.boolean(), cpuMicrosPerPacket: z.number() })) }),
      rssBytes: z.object({ before: z.number().positive(), after: z.number().positive() }),
      heapGrowthBytes: z.number(),
      valid: z.boolean(),
    }),
  ),
});

/** What speedscope reads of a profile of V8. */
const profile = z.object({
  nodes: z.array(z.object({ id: z.number(), callFrame: z.object({ functionName: z.string(), url: z.string() }) })),
  startTime: z.number(),
  endTime: z.number(),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

async function smokeRun(...args: string[]): Promise<z.infer<typeof report>> {
  const command = [MAIN, 'bench', 'capacity', '--smoke', '--json', ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command);
  return report.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) as string));
}

it.concurrent('measures AudioHook over real sockets, every frame of every call', { timeout: PATIENCE_MS }, async () => {
  const { runs } = await smokeRun('--source', 'audiohook', '--streams', '20', '--frame-ms', '20', '--record');
  expect(runs).toHaveLength(1);
  // 20 ms frames of twenty calls in a second; both channels must come through for one to count.
  expect(runs[0]).toMatchObject({ streams: 20, packetsSent: 1000, packetsDelivered: 1000, dropped: 0 });
  expect(runs[0]?.baseline).toEqual({ bareWs: expect.any(Number), tutorial: null, plain: expect.any(Number) });
  expect(runs[0]?.calls?.errors).toEqual({});
  expect(runs[0]?.calls?.pings).toBeGreaterThan(0);
});

it.concurrent('measures the subscription alone when no baseline is wanted', { timeout: PATIENCE_MS }, async () => {
  const { runs, ...run } = await smokeRun('--sweep', '4,8', '--baselines', 'none');
  const args = ['bench', 'capacity', '--smoke', '--json', '--sweep', '4,8', '--baselines', 'none'];
  expect(run.settings).toMatchObject({ source: 'subscription', writes: 'connection', seconds: 1 });
  expect(runs.map(({ perRound }) => perRound.node.length)).toEqual([1, 1]);
  expect(run).toMatchObject({ arguments: args, measurement: false });
  expect(runs.map(({ packetsDelivered }) => packetsDelivered)).toEqual([200, 400]);
  expect(runs[1]).toMatchObject({ baseline: { bareWs: null, tutorial: null, plain: null }, calls: null });
});

it.concurrent('delivers every packet that is a write by itself', { timeout: PATIENCE_MS }, async () => {
  const { runs } = await smokeRun('--streams', '60', '--writes', 'packet', '--baselines', 'none');
  expect(runs[0]).toMatchObject({ packetsSent: 3000, packetsDelivered: 3000, dropped: 0 });
  expect(runs[0]?.medians.node.packetsPerRead).toBeGreaterThanOrEqual(1);
});

it.concurrent('writes profiles of main thread and workers', { timeout: PATIENCE_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-profile-'));
  await smokeRun('--streams', '4', '--baselines', 'none', '--profile', folder);
  const files = readdirSync(folder).sort();
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const profiles = files
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => profile.parse(JSON.parse(read(name))));
  // One of the main thread, and one of each worker.
  expect(profiles.length).toBeGreaterThanOrEqual(2);
  expect(profiles.filter(({ samples, timeDeltas }) => samples.length !== timeDeltas.length)).toEqual([]);
  const native = files.filter((name) => name.endsWith('.perf.txt'));
  // Where the system lets perf sample: a header for each sample, its frames below it, an empty line.
  for (const text of native.map(read))
    if (text !== '') expect(text).toMatch(/^\S.* \d+ +[\d.]+: .*\n(\t +[\da-f]+ .+\n)+\n/m);
  expect(files).toHaveLength(profiles.length + native.length);
  rmSync(folder, { recursive: true });
});

it.concurrent('refuses what a source cannot do', { timeout: PATIENCE_MS }, async () => {
  await expect(smokeRun('--source', 'audiohook', '--codec', 'opus')).rejects.toMatchObject({ code: 2 });
  await expect(smokeRun('--frame-ms', '200')).rejects.toMatchObject({ code: 2 });
  await expect(smokeRun('--encrypt')).rejects.toMatchObject({ code: 2 });
});

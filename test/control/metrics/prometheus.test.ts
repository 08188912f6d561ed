import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { control } from '../../../src/control/control.js';
import { createNode } from '../../../src/node/create-node.js';
import { startSimulator } from '../../../src/simulator/genesys/simulator.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { ROOT } from '../../support/source-tree.js';

const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;

/** The files that `trunkline deploy prometheus` prints, for a node at `target`, and faster. */
function configure(folder: string, target: string): string {
  const read = (name: string): string => readFileSync(join(ROOT, 'src/deploy/prometheus', name), 'utf8');
  writeFileSync(join(folder, 'rules.yml'), read('rules.yml').replaceAll(/^( +for:) .+$/gm, '$1 1s'));
  const config = join(folder, 'prometheus.yml');
  const faster = read('prometheus.yml').replaceAll('15s', '1s').replace('127.0.0.1:9464', target);
  writeFileSync(config, faster);
  return config;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Ends with the test; the files of Prometheus go with its folder. */
async function startPrometheus(target: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-prometheus-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const flags = [`--config.file=${configure(folder, target)}`, `--web.listen-address=${listen}`];
  const child: ChildProcess = spawn('prometheus', [...flags, `--storage.tsdb.path=${join(folder, 'data')}`], {
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  return `http://${listen}`;
}

/** The data that the API of Prometheus answers; undefined as long as it does not. */
async function ask<Data>(prometheus: string, path: string): Promise<Data | undefined> {
  try {
    const response = await fetch(`${prometheus}/api/v1/${path}`);
    return response.ok ? ((await response.json()) as { data: Data }).data : undefined;
  } catch {
    return undefined;
  }
}

async function value(prometheus: string, expr: string): Promise<number> {
  type Answer = { result: { value: [number, string] }[] };
  const data = await ask<Answer>(prometheus, `query?query=${encodeURIComponent(expr)}`);
  return Number(data?.result[0]?.value[1] ?? Number.NaN);
}

async function firing(prometheus: string): Promise<string[]> {
  type Alerts = { alerts: { state: string; labels: { alertname: string } }[] };
  const data = await ask<Alerts>(prometheus, 'alerts');
  return (data?.alerts ?? []).flatMap(({ state, labels }) => (state === 'firing' ? [labels.alertname] : []));
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Waited 30 s in vain for: ${what}`);
}

test.skipIf(!hasPrometheus)(
  'a real Prometheus scrapes a node and loads its rules, and an alert fires when the simulator kills a connection',
  { timeout: 120_000 },
  async () => {
    const simulator = await startSimulator({ interactions: 8 });
    onTestFinished(() => simulator.close());
    const directory = mkdtempSync(join(tmpdir(), 'trunkline-scraped-'));
    const operations = control({ port: 0 });
    const { apiUrl, mediaUrl } = simulator;
    const node = await createNode({
      sources: [
        genesysSubscription({
          ...{ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl, leastConnections: 2 },
          interactions: simulator.interactionIds,
        }),
      ],
      sinks: [recorder({ directory })],
      services: [operations],
      engine: { shards: 1 },
    });
    onTestFinished(async () => {
      await node.close();
      rmSync(directory, { recursive: true });
    });
    const prometheus = await startPrometheus(new URL(operations.url).host);

    await eventually('the first scrapes', async () => (await value(prometheus, 'count_over_time(up[1m])')) >= 3);
    expect(await value(prometheus, 'up{job="trunkline"}')).toBe(1);
    await eventually('the streams', async () => (await value(prometheus, 'sum(trunkline_streams)')) === 8);
    await eventually('packets', async () => {
      return (await value(prometheus, 'rate(trunkline_packets_total{result="received"}[10s])')) > 0;
    });
    expect(await value(prometheus, 'sum(trunkline_genesys_connections{state="open"})')).toBe(2);
    expect(await value(prometheus, 'trunkline_genesys_sign_ins_total{result="succeeded"}')).toBe(1);
    expect(await value(prometheus, 'trunkline_genesys_sign_ins_total{result="failed"}')).toBe(0);
    expect(await value(prometheus, 'trunkline_genesys_rest_requests_total')).toBeGreaterThan(1);
    expect(await value(prometheus, 'trunkline_genesys_rest_budget_limit_requests')).toBe(50);
    expect(await value(prometheus, 'trunkline_disk_free_bytes')).toBeGreaterThan(0);
    expect(await value(prometheus, 'max(trunkline_health_status)')).toBe(0);
    expect(await firing(prometheus)).not.toContain('TrunklineConnectionLost');

    simulator.fault({ fault: 'cut' });
    await eventually('the alert', async () => (await firing(prometheus)).includes('TrunklineConnectionLost'));
    // It has reconnected by itself: that one fires, and nothing worse.
    await eventually(
      'the reconnect',
      async () => (await value(prometheus, 'sum(trunkline_genesys_reconnects_total)')) === 1,
    );
    expect(await value(prometheus, 'trunkline_genesys_disconnects_total{reason="abnormal"}')).toBe(1);
    expect(await firing(prometheus)).not.toContain('TrunklineDown');
  },
);

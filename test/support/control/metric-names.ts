import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { control } from '../../../src/control/control.js';
import { createNode } from '../../../src/node/create-node.js';
import { audit } from '../../../src/sinks/audit/audit-sink.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';

/** Names of all metrics of a node. Each is there from the start, whatever sources the node has. */
export async function metricNames(): Promise<Set<string>> {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-names-'));
  const operations = control({ port: 0 });
  const node = await createNode({
    engine: { shards: 1, maxStreams: 4 },
    sinks: [recorder({ directory }), audit({ directory })],
    services: [operations],
  });
  try {
    const text = await (await fetch(`${operations.url}/metrics`)).text();
    return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? ''));
  } finally {
    await node.close();
    rmSync(directory, { recursive: true });
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Control, control } from '../../../src/control/control.js';
import type { ControlOptions } from '../../../src/control/options.js';
import { systemClock } from '../../../src/core/clock.js';
import type { AuditEntry } from '../../../src/core/events.js';
import type { AudioNode } from '../../../src/node/audio-node.js';
import { createNode } from '../../../src/node/create-node.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { RunningCalls } from './running-calls.js';

export interface ConsoleNode {
  readonly node: AudioNode;
  readonly control: Control;
  readonly calls: RunningCalls;
  readonly audited: readonly AuditEntry[];
  /** The page's address. */
  readonly url: string;
  /** Where the recordings are. */
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * A node with calls of the test, a recorder if it is wanted, and a control server on a free port, or on that of
 * `options`.
 */
export async function startConsoleNode(options: ControlOptions = {}, records = true): Promise<ConsoleNode> {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-console-'));
  const calls = new RunningCalls();
  const audited: AuditEntry[] = [];
  const service = control({ port: 0, recordings: folder, ...options });
  const node = await createNode({
    clock: systemClock,
    engine: { shards: 1, native: 'off' },
    sources: [calls],
    sinks: [...(records ? [recorder({ directory: folder })] : []), { auditEntry: (entry) => audited.push(entry) }],
    services: [service],
  });
  return {
    ...{ node, control: service, calls, audited, folder, url: `${service.url}/` },
    close: async () => {
      await node.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

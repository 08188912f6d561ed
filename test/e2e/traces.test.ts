import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CaptureNode } from '../../src/node/capture-node.js';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { readTrace, TRACES, type TracePacket, titleOf } from '../support/traces.js';
import { TurnClock } from '../support/turn-clock.js';

/** The long ones are for CI. */
const LONGEST_SECONDS = process.env['TRUNKLINE_E2E'] === 'full' ? Infinity : 10;
/** How many times faster than real time. */
const SPEED = 4;
const FILES = TRACES.filter(({ seconds }) => seconds <= LONGEST_SECONDS);

/** What a trace implies, counted in the plainest way: numbers unwrapped to the nearest, then a set of them. */
function implied(packets: readonly TracePacket[]) {
  const seen = new Set<number>();
  let highest = Number.NEGATIVE_INFINITY;
  let first = Number.POSITIVE_INFINITY;
  let reordered = 0;
  let duplicate = 0;
  let bytes = 0;
  for (const { seq, payload } of packets) {
    const near = Number.isFinite(highest) ? highest : seq;
    const unwrapped = near + ((((seq - near) % 65536) + 65536 + 32768) % 65536) - 32768;
    if (seen.has(unwrapped)) {
      duplicate++;
      continue;
    }
    seen.add(unwrapped);
    bytes += Buffer.from(payload, 'base64').length;
    if (unwrapped < highest) reordered++;
    highest = Math.max(highest, unwrapped);
    first = Math.min(first, unwrapped);
  }
  return {
    packetsReceived: seen.size,
    bytesReceived: bytes,
    packetsLost: highest - first + 1 - seen.size,
    packetsDuplicate: duplicate,
    packetsReordered: reordered,
  };
}

describe.concurrent('a trace replayed through the socket', () => {
  for (const file of FILES) {
    it.skipIf(!file.present)(
      `gives the counts that ${titleOf(file)} implies`,
      async () => {
        const { packets } = readTrace(file);
        const out = mkdtempSync(join(tmpdir(), 'trunkline-trace-'));
        const clock = new TurnClock(SPEED);
        const simulator = await startSimulator({ trace: file.path, interactions: 2 }, clock);
        const settings = {
          record: true,
          apiUrl: simulator.apiUrl,
          mediaUrl: simulator.mediaUrl,
          clientId: 'test',
          clientSecret: 'test',
          interactions: [...simulator.interactionIds],
          out,
          maxStreams: 16,
        };
        const node = new CaptureNode(settings, clock);
        try {
          await node.start();
          await node.untilIdle();
          await node.stop();
          for (const id of simulator.interactionIds) {
            const session = manifestSchema.parse(JSON.parse(readFileSync(join(out, id, 'session.json'), 'utf8')));
            expect(session, file.name).toMatchObject({ ...implied(packets), decodeErrors: 0 });
          }
        } finally {
          await node.stop();
          await simulator.close();
          clock.stop();
          rmSync(out, { recursive: true, force: true });
        }
      },
      150_000,
    );
  }
});

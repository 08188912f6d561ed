import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { zeroCounts } from '../../src/core/counts.js';
import type { Logger } from '../../src/core/logger.js';
import { logNode } from '../../src/node/node-log.js';
import type { NodeEvents } from '../../src/sinks/events/event-sink.js';

it('says at the end of a call how many packets of a second numbering it had, if any', () => {
  const lines: unknown[] = [];
  const ignore = (): void => {};
  const log = { info: (fields: unknown) => lines.push(fields), debug: ignore, error: ignore, warn: ignore };
  const node = new EventEmitter<NodeEvents>();
  logNode(node, log as unknown as Logger);
  for (const packetsForeign of [0, 250]) {
    node.emit(
      'streamEnded',
      {
        stream: 0,
        interactionId: `call-${packetsForeign}`,
        codec: 'pcmu',
        clockRate: 8000,
        sampleRate: 8000,
        channels: 1,
        startedAtMs: 0,
      },
      { ...zeroCounts(), packetsForeign, endReason: 'ended', endedAtMs: 1 },
    );
  }
  const counts = { packetsReceived: 0, packetsLost: 0, packetsLate: 0, packetsDropped: 0 };
  expect(lines).toEqual([
    { interactionId: 'call-0', endReason: 'ended', ...counts },
    { interactionId: 'call-250', endReason: 'ended', ...counts, packetsForeign: 250 },
  ]);
});

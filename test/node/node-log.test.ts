import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { zeroCounts } from '../../src/core/counts.js';
import type { Logger } from '../../src/core/logger.js';
import { logNode } from '../../src/node/node-log.js';
import type { NodeEvents } from '../../src/sinks/events/event-sink.js';

it('warns of a call that had packets of a second numbering, and only of such a call', () => {
  const warnings: unknown[] = [];
  const ignore = (): void => {};
  const log = { info: ignore, debug: ignore, error: ignore, warn: (fields: unknown) => warnings.push(fields) };
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
  expect(warnings).toEqual([{ interactionId: 'call-250', packetsForeign: 250 }]);
});

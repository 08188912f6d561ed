import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ManualClock } from '../../src/core/clock.js';
import type { StreamSummary } from '../../src/core/events.js';
import { createEngine } from '../../src/engine/audio-engine.js';

it('decodes every packet of an hour in virtual time when the event loop turns now and then', async () => {
  const clock = new ManualClock();
  const engine = await createEngine({ shards: 1, clock });
  let frames = 0;
  let summary: StreamSummary | undefined;
  engine.on('frame', () => frames++);
  engine.on('ended', (_info, counts) => {
    summary = counts;
  });
  const call = engine.open('call-1', { codec: 'pcmu' });
  const payload = new Uint8Array(160);
  for (let n = 0; n < 180_000; n++) {
    call.push({ sequenceNumber: n, timestamp: n * 160, payload });
    clock.advanceUs(20_000);
    if (n % 500 === 0) await setImmediate();
  }
  await engine.close();
  expect(frames).toBe(180_000);
  expect(summary).toMatchObject({ packetsReceived: 180_000, packetsDropped: 0, packetsLost: 0 });
});

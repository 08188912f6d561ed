import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StreamSummary } from '../../src/core/events.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { FakePlatform } from '../support/genesys/fake-platform.js';
import { mulberry32 } from '../support/random.js';

const PACKETS = 60;

let platform: FakePlatform;
let node: CaptureNode;
let summaries: StreamSummary[];

beforeEach(async () => {
  platform = await FakePlatform.start();
  const { apiUrl, mediaUrl } = platform;
  node = new CaptureNode({
    apiUrl,
    mediaUrl,
    clientId: 'id',
    clientSecret: 'secret',
    interactions: ['a'],
    maxStreams: 16,
  });
  summaries = [];
  node.on('streamEnded', (_, summary) => summaries.push(summary));
  await node.start();
  await expect.poll(() => platform.received.length).toBe(1);
});

afterEach(async () => {
  await node.stop();
  await platform.stop();
});

test.each([
  ['sequence numbers of 16 bits', 2 ** 16, false],
  ['sequence numbers of 32 bits', 2 ** 32, false],
  ['sequence numbers beyond 32 bits', 2 ** 52, false],
  ['sequence numbers and timestamps', 2 ** 32, true],
])('random %s are not counted as loss', async (_, range, isTimeRandom) => {
  const random = mulberry32(7);
  for (let k = 0; k < PACKETS; k++) {
    const sequenceNumber = Math.floor(random() * range);
    const timestamp = isTimeRandom ? Math.floor(random() * 2 ** 32) : 160 * k;
    const payload = Buffer.alloc(160, 0x20).toString('base64');
    platform.sockets[0]?.send(
      JSON.stringify({ interactionId: 'a', sequenceNumber, timestamp, codec: 'pcmu', payload }),
    );
    await delay(20);
  }
  await node.stop();
  const [summary] = summaries;
  expect(summary?.packetsLost).toBeLessThan(PACKETS);
  const { packetsReceived = 0, packetsDuplicate = 0, packetsForeign = 0 } = summary ?? {};
  expect(packetsReceived + packetsDuplicate + packetsForeign).toBe(PACKETS);
});

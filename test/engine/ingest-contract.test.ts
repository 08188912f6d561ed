import { afterEach, expect } from 'vitest';
import { Engine } from '../../src/engine/engine.js';
import type { OrderedStreamIngest } from '../../src/engine/input/ingest.js';
import { RecordingIngest } from '../support/audiohook/recording-ingest.js';
import {
  type DeliveredPacket,
  describeIngest,
  describeOrderedIngest,
  type IngestUnderTest,
} from '../support/engine/ingest-contract.js';
import { FakeIngest } from '../support/genesys/fake-ingest.js';

let engine: Engine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function engineUnderTest(): Promise<IngestUnderTest<OrderedStreamIngest>> {
  const made = new Engine({ shards: 1, maxStreams: 8, playoutDelayMs: 0, maxPlayoutDelayMs: 0, native: 'off' });
  engine = made;
  const packets: DeliveredPacket[] = [];
  const ends: string[] = [];
  made.addSink({
    frame: ({ info, channel, sequenceNumber }) =>
      packets.push({ id: info.interactionId, channel, sequence: sequenceNumber }),
    streamEnded: ({ interactionId }, { endReason }) => ends.push(`${interactionId} ${endReason}`),
  });
  await made.start();
  return {
    ingest: made,
    delivered: async (count) => {
      await expect.poll(() => packets.length).toBeGreaterThanOrEqual(count);
      return packets;
    },
    ended: async (count) => {
      await expect.poll(() => ends.length).toBeGreaterThanOrEqual(count);
      return ends;
    },
  };
}

async function fakeUnderTest(): Promise<IngestUnderTest> {
  const ingest = new FakeIngest(1 << 18);
  return {
    ingest,
    delivered: async () =>
      ingest.packets.map(({ stream, channel, sequence }) => ({ id: ingest.idOf(stream), channel, sequence })),
    ended: async () => ingest.ended.map(({ id, reason }) => `${id} ${reason}`),
  };
}

async function recordingUnderTest(): Promise<IngestUnderTest<OrderedStreamIngest>> {
  const ingest = new RecordingIngest();
  return {
    ingest,
    delivered: async () =>
      ingest.streams.flatMap(({ interactionId, nextSequence }) =>
        nextSequence.flatMap((next, channel) =>
          Array.from({ length: next }, (_, sequence) => ({ id: interactionId, channel, sequence })),
        ),
      ),
    ended: async () => ingest.streams.map(({ interactionId, endReason }) => `${interactionId} ${endReason}`),
  };
}

describeIngest('the engine', engineUnderTest);
describeIngest('FakeIngest', fakeUnderTest);
describeOrderedIngest('the engine', engineUnderTest);
describeOrderedIngest('RecordingIngest', recordingUnderTest);

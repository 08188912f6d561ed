import { afterEach, describe, expect, it } from 'vitest';
import type { StreamSummary } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { RingCapacity } from '../../src/engine/input/ring-capacity.js';
import { RING } from '../../src/ring/layout.js';
import { RingLink } from '../../src/ring/link.js';
import { RingConsumer } from '../../src/ring/ring.js';
import { addPacket } from '../support/engine/packets.js';

const CAPACITY = 4096;
const RECORD_BYTES = 256;

function ring() {
  const place = { memory: new SharedArrayBuffer(RING.DATA + CAPACITY), offset: 0, capacity: CAPACITY };
  return { link: new RingLink(place), consumer: new RingConsumer(place) };
}

function commit({ ring }: RingLink, bytes: number): void {
  for (let n = 0; n < bytes / RECORD_BYTES; n++) {
    ring.tryClaim(RECORD_BYTES);
    ring.commit(RECORD_BYTES);
  }
}

/** Leaves no more than the margin free. */
function fill(link: RingLink): void {
  commit(link, CAPACITY - RECORD_BYTES);
  link.ring.publish();
}

describe('RingCapacity', () => {
  it('releases what fits into the fullest ring', () => {
    const [busy, idle] = [ring(), ring()];
    const capacity = new RingCapacity([busy.link, idle.link]);
    expect(capacity.isLeft, 'before the first measurement').toBe(false);
    capacity.measure(0);
    commit(busy.link, CAPACITY / 2);
    commit(idle.link, CAPACITY / 2);
    expect(capacity.isLeft).toBe(true);
    commit(busy.link, CAPACITY / 2 - RECORD_BYTES);
    expect(capacity.isLeft).toBe(false);
    busy.link.ring.publish();
    capacity.measure(1);
    expect(capacity.isLeft).toBe(false);
    busy.consumer.peek();
    busy.consumer.release();
    capacity.measure(2);
    expect(capacity.isLeft).toBe(true);
  });

  it('does not let a blocked shard delay the others for more than a quarter of a second', () => {
    const [stuck, sound] = [ring(), ring()];
    const capacity = new RingCapacity([stuck.link, sound.link]);
    fill(stuck.link);
    const left = [0, 250_000, 250_001].map((us) => {
      capacity.measure(1_000_000 + us);
      return capacity.isLeft;
    });
    expect(left).toEqual([false, false, true]);
    stuck.consumer.peek();
    stuck.consumer.release();
    capacity.measure(2_000_000);
    fill(stuck.link);
    capacity.measure(2_000_001);
    expect(capacity.isLeft, 'the limit starts again').toBe(false);
  });

  it('lets everything wait when there is only one shard', () => {
    const { link } = ring();
    const capacity = new RingCapacity([link]);
    fill(link);
    for (const us of [0, 10_000_000]) {
      capacity.measure(us);
      expect(capacity.isLeft).toBe(false);
    }
  });
});

describe('Engine', () => {
  let engine: Engine | undefined;
  afterEach(() => engine?.close());

  it('keeps a burst that does not fit into its rings until it does', async () => {
    const packets = 1_000;
    engine = new Engine({ shards: 1, maxStreams: 64, playoutDelayMs: 0, inputRingBytes: 1 << 14 });
    const stream = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    const sequences: number[] = [];
    let summary: StreamSummary | undefined;
    engine.addSink({
      frame: ({ sequenceNumber, concealed }) => sequences.push(concealed ? -1 : sequenceNumber),
      streamEnded: (_info, ended) => {
        summary = ended;
      },
    });
    for (let n = 0; n < packets; n++) {
      addPacket(engine.batch, { stream, sequence: n, timestamp: n * 160, payload: new Uint8Array(160).fill(0xff) });
    }
    engine.submit();
    // Its timer goes by several times before there is anybody to make capacity.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await engine.start();
    await expect.poll(() => sequences.length, { timeout: 10_000 }).toBe(packets);
    engine.endStream(stream, 'ended');
    await expect.poll(() => summary).toMatchObject({ packetsReceived: packets, packetsLost: 0, packetsDropped: 0 });
    expect(sequences).toEqual(Array.from({ length: packets }, (_, n) => n));
  });
});

import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import type { StreamFormat } from '../../src/core/codec.js';
import type { StreamInfo } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { addPacket } from '../support/engine/packets.js';

const PCMU: StreamFormat = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 };
const L16: StreamFormat = { codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 2 };

function feed(engine: Engine, stream: number, count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    // 20 ms apart, the last one just now.
    const arrivalUs = systemClock.nowUs() - (count - 1 - i) * 20_000;
    const payload = new Uint8Array(bytes);
    addPacket(engine.batch, { stream, sequence: i, timestamp: i * 160, arrivalUs, payload });
  }
  engine.submit();
}

it('a stream that continues another ends that one first, and says where on its time line it begins', async () => {
  const engine = new Engine({ shards: 2, maxStreams: 8, playoutDelayMs: 0, maxPlayoutDelayMs: 0 });
  const log: string[] = [];
  const opened: StreamInfo[] = [];
  engine.addSink({
    streamOpened: (info) => {
      opened.push(info);
      log.push(`opened ${info.codec}`);
    },
    streamEnded: (info, { endReason }) => log.push(`ended ${info.codec} ${endReason}`),
  });
  await engine.start();
  const first = engine.openStream('call', PCMU);
  feed(engine, first, 50, 160);
  const second = engine.openStream('call', L16, { continues: first });
  const third = engine.openStream('call', PCMU, { continues: second });
  expect(() => engine.openStream('call', PCMU)).toThrow(/is open/);
  engine.endStream(third, 'ended');
  await engine.close();
  expect(log).toEqual([
    'opened pcmu',
    'ended pcmu formatChanged',
    'opened l16',
    'ended l16 formatChanged',
    'opened pcmu',
    'ended pcmu ended',
  ]);
  const [one, two, three] = opened;
  expect(one?.segment).toBeUndefined();
  expect(two?.segment).toMatchObject({ number: 2, firstStartedAtMs: one?.startedAtMs });
  // 49 packets of 20 ms lie between the arrivals of the first and the last, and the change came a moment after it.
  expect(two?.segment?.startMs).toBeGreaterThanOrEqual(980);
  expect(two?.segment?.startMs).toBeLessThan(1500);
  // No packet of the second stream has come, so that the third begins where the second would have.
  expect(three?.segment).toEqual({ ...two?.segment, number: 3 });
});

it('a stream that claims to continue another interaction begins by itself', async () => {
  const engine = new Engine({ shards: 1, maxStreams: 4 });
  const opened: StreamInfo[] = [];
  engine.addSink({ streamOpened: (info) => opened.push(info) });
  await engine.start();
  const first = engine.openStream('first', PCMU);
  engine.openStream('second', PCMU, { continues: first });
  engine.openStream('third', PCMU, { continues: 99 });
  expect(engine.streams().map(({ interactionId }) => interactionId)).toEqual(['first', 'second', 'third']);
  await engine.close();
  expect(opened.map(({ segment }) => segment)).toEqual([undefined, undefined, undefined]);
});

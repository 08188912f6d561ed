import { afterEach, describe, expect, it } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import type { FrameSink, StreamSummary } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { addPacket } from '../support/engine/packets.js';

const RATE = 8000;
const SAMPLES = 160;
const LOUD = encodePcmu(new Int16Array(SAMPLES).fill(30_000));

let engine: Engine;

afterEach(() => engine.close());

/** What comes of packets that bear their own arrival: where each frame begins, where the last one ends, and the counts. */
async function capture(packets: { sequence: number; timestamp: number; arrivalUs: number }[]) {
  engine = new Engine({ shards: 1, maxStreams: 8, native: 'off', playoutDelayMs: 2_000, maxPlayoutDelayMs: 2_000 });
  const positions: number[] = [];
  let end = 0;
  let summary: StreamSummary | undefined;
  const sink: FrameSink = {
    pcmSelection: () => 'all',
    frame: ({ positionSamples, sampleCount }) => {
      positions.push(positionSamples);
      end = positionSamples + sampleCount;
    },
    streamEnded: (_info, ended) => {
      summary = ended;
    },
  };
  engine.addSink(sink);
  void engine.start();
  const stream = engine.openStream('call', { codec: 'pcmu', clockRate: RATE, sampleRate: RATE, channels: 1 });
  for (const { sequence, timestamp, arrivalUs } of packets) {
    addPacket(engine.batch, { stream, sequence, timestamp, arrivalUs, payload: LOUD });
  }
  engine.submit();
  engine.endStream(stream, 'ended');
  await expect.poll(() => summary).toBeDefined();
  return { positions, end, summary: summary as StreamSummary | undefined };
}

describe('good sequence numbers with bad timestamps', () => {
  for (const step of [0, -160, 1]) {
    it(`deliver all audio when timestamps step by ${step}`, async () => {
      const { positions } = await capture(
        Array.from({ length: 100 }, (_, n) => ({
          sequence: n,
          timestamp: 100_000 + n * step,
          arrivalUs: n * 20_000,
        })),
      );
      expect(positions).toEqual(Array.from({ length: 100 }, (_, n) => n * SAMPLES));
    });
  }
});

describe('timestamps that run ahead of the arrival', () => {
  for (const [what, numbers, ticks] of [
    ['9.9 s for one lost packet', 2, 79_200],
    ['990 lost packets in 9.9 s', 991, 79_280],
    ['4.9 s and nothing lost', 1, 39_200],
  ] as const) {
    it(`make a recording no longer than the call and its audio: ${what}`, async () => {
      const count = 200;
      const { end, summary } = await capture(
        Array.from({ length: count }, (_, n) => ({
          sequence: n * numbers,
          timestamp: n * ticks,
          arrivalUs: n * 5_000,
        })),
      );
      const seconds = count * 0.005;
      expect(end).toBeLessThanOrEqual(count * SAMPLES + RATE * (seconds + 1));
      expect(summary).toMatchObject({ packetsReceived: count, packetsLost: (count - 1) * (numbers - 1) });
    });
  }
});

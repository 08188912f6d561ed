import { afterEach, describe, expect, it } from 'vitest';
import type { FrameSink, StreamSummary } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { encodePcmu } from '../../src/media/g711.js';

const SAMPLES = 160;
const LOUD = encodePcmu(new Int16Array(SAMPLES).fill(30_000));

let engine: Engine;

afterEach(() => engine.close());

describe('good sequence numbers with bad timestamps', () => {
  for (const step of [0, -160, 1]) {
    it(`deliver all audio when timestamps step by ${step}`, async () => {
      engine = new Engine({ shards: 1, maxStreams: 8, native: 'off', holdMs: 2_000, holdWideMs: 2_000 });
      const positions: number[] = [];
      let summary: StreamSummary | undefined;
      const sink: FrameSink = {
        wantsPcm: () => 'all',
        frame: ({ positionSamples }) => positions.push(positionSamples),
        streamEnded: (_info, ended) => {
          summary = ended;
        },
      };
      engine.addSink(sink);
      void engine.start();
      const stream = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
      for (let n = 0; n < 100; n++) {
        const at = engine.batch.claim(LOUD.length);
        engine.batch.bytes.set(LOUD, at);
        engine.batch.push(stream, 0, n, 100_000 + n * step, n * 20_000, 0, at, LOUD.length);
      }
      engine.submit();
      engine.endStream(stream, 'ended');
      await expect.poll(() => summary).toBeDefined();
      expect(positions).toEqual(Array.from({ length: 100 }, (_, n) => n * SAMPLES));
    });
  }
});

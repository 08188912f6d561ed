import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { systemClock } from '../../../src/core/clock.js';
import type { StreamSummary } from '../../../src/core/events.js';
import { Engine } from '../../../src/engine/engine.js';
import { fileAccess } from '../../../src/sinks/recorder/files/folder.js';
import { manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { RecorderThread } from '../../../src/sinks/recorder/recorder-thread.js';
import { addPacket } from '../../support/engine/packets.js';
import { until } from '../../support/until.js';

const PAYLOAD = encodePcmu(Int16Array.from({ length: 160 }, (_, i) => (i % 20 < 10 ? 12_000 : -12_000)));
const PACKET_US = 20_000;

it('session.json and the summary say how each channel sounded', async () => {
  const out = mkdtempSync(join(tmpdir(), 'trunkline-quality-'));
  const recorder = new RecorderThread({ directory: out, access: fileAccess(0o600), bufferBytes: 4 << 20 });
  const engine = new Engine({ shards: 1, maxStreams: 8, native: 'off', recorder });
  try {
    let summary: StreamSummary | undefined;
    engine.addSink({
      streamEnded: (_info, ended) => {
        summary = ended;
      },
    });
    await engine.start();
    const stream = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 });
    const startUs = systemClock.nowUs() - 1000 * PACKET_US;
    for (let n = 0; n < 1000; n++) {
      for (const channel of [0, 1]) {
        // Channel 1 loses a burst of three in its first ten seconds, and one more.
        if (channel === 1 && [200, 201, 204, 900].includes(n)) continue;
        const arrivalUs = startUs + n * PACKET_US;
        addPacket(engine.batch, { stream, channel, sequence: n, timestamp: n * 160, arrivalUs, payload: PAYLOAD });
      }
      if (n % 50 === 49) engine.submit();
    }
    expect(engine.reception(stream)).toMatchObject([{ packetsLost: 0 }, { packetsLost: 4 }]);
    engine.endStream(stream, 'ended');
    await until(() => summary !== undefined, 'the end of the stream');
    await engine.close();
    const text = readFileSync(join(out, 'call', 'session.json'), 'utf8');
    const { quality } = manifestSchema.parse(JSON.parse(text));
    expect(quality).toEqual(summary?.quality);
    const [good, bad] = quality ?? [];
    expect(good).toMatchObject({
      channel: 0,
      bursts: 0,
      gapDensity: 0,
      concealedMs: 0,
      mosLqMin: 4.41,
      mosLqMean: 4.41,
    });
    expect(bad).toMatchObject({ channel: 1, bursts: 1, burstDensity: 0.6, burstDurationMs: 100, concealedMs: 80 });
    expect(bad?.mosLqMin).toBeLessThan(4.4);
    expect(bad?.mosLqMean).toBeGreaterThan(bad?.mosLqMin ?? 5);
  } finally {
    await engine.close();
    rmSync(out, { recursive: true, force: true });
  }
});

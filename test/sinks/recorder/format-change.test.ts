import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { silentLogger } from '../../../src/core/logger.js';
import { Engine } from '../../../src/engine/engine.js';
import type { RecorderAgent } from '../../../src/engine/options.js';
import { manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import type { SinkAgent } from '../../../src/sinks/sink.js';
import { addPacket } from '../../support/engine/packets.js';
import { readWav } from '../../support/recorder/recorder-rig.js';

it('a call that goes from G.711 to stereo L16 is recorded as a whole, through the real engine and its threads', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-format-'));
  const sink = recorder({ directory });
  const engine = new Engine({
    shards: 2,
    maxStreams: 8,
    playoutDelayMs: 0,
    maxPlayoutDelayMs: 0,
    recorder: sink.agent as SinkAgent & RecorderAgent,
  });
  await sink.start({ clock: systemClock, logger: silentLogger, emit: () => {}, report: () => {}, audit: () => {} });
  await engine.start();
  const feed = (stream: number, channel: number, bytes: number, ticks: number): void => {
    for (let n = 0; n < 50; n++) {
      const arrivalUs = systemClock.nowUs() - (49 - n) * 20_000;
      addPacket(engine.batch, {
        ...{ stream, channel, sequence: n, timestamp: n * ticks, arrivalUs, flags: 0 },
        payload: new Uint8Array(bytes).fill(0x55),
      });
    }
    engine.submit();
  };
  const first = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
  feed(first, 0, 160, 160);
  const format = { codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 2 } as const;
  const second = engine.openStream('call', format, { continues: first });
  for (const channel of [0, 1]) feed(second, channel, 640, 320);
  engine.endStream(second, 'ended');
  await engine.close();
  await sink.close();
  expect(readdirSync(join(directory, 'call')).sort()).toEqual(['audio-2.wav', 'audio.wav', 'session.json']);
  const wav = (file: string) => readWav(readFileSync(join(directory, 'call', file)));
  expect(wav('audio.wav')).toMatchObject({ sampleRate: 8000, channels: 1 });
  expect(wav('audio.wav').samples).toHaveLength(8000);
  expect(wav('audio-2.wav')).toMatchObject({ sampleRate: 16_000, channels: 2 });
  expect(wav('audio-2.wav').samples).toHaveLength(2 * 16_000);
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(directory, 'call', 'session.json'), 'utf8')));
  expect(manifest).toMatchObject({ endReason: 'ended', packetsReceived: 150, packetsLost: 0 });
  expect(manifest.segments?.map(({ file }) => file)).toEqual(['audio.wav', 'audio-2.wav']);
  // The change came a moment after the last packet of the first format.
  expect(manifest.segments?.[1]?.startMs).toBeGreaterThanOrEqual(1000);
  expect(manifest.segments?.[1]?.startMs).toBeLessThan(1500);
  rmSync(directory, { recursive: true });
});

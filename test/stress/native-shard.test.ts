import { afterEach, describe, expect, it } from 'vitest';
import { OpusEncoder } from '../../src/audio/codecs/opus.js';
import { systemClock } from '../../src/core/clock.js';
import { type AudioEngine, createEngine } from '../../src/engine/audio-engine.js';
import { nativeMissing } from '../support/engine/shard-rig.js';
import { stretches } from '../support/speech.js';
import { until } from '../support/until.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const NATIVE = { native: 'require', playoutDelayMs: 0, maxPlayoutDelayMs: 0 } as const;

let engine: AudioEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

function opusPackets(): Uint8Array[] {
  const encoder = new OpusEncoder({ sampleRate: 16_000, bitrate: 24_000 });
  const pcm = stretches(16_000, [0.2, 1000]);
  const packets = Array.from({ length: 50 }, (_, k) => encoder.encode(pcm.subarray(k * 320, (k + 1) * 320)));
  encoder.free();
  return packets;
}

describe.skipIf(missing !== undefined)('native shards in threads', () => {
  it('lose nothing when one is ended from outside in the middle of its streams, time and again', async () => {
    const native = await createEngine({ ...NATIVE, shards: 2 });
    engine = native;
    expect(native.backend).toBe('native');
    const received = new Map<string, { frames: number; end: number }>();
    let ended = 0;
    native.on('frame', (frame) => {
      const one = received.get(frame.info.interactionId) ?? { frames: 0, end: 0 };
      expect(frame.positionSamples).toBe(one.end);
      one.frames++;
      one.end += frame.sampleCount;
      received.set(frame.info.interactionId, one);
    });
    native.on('ended', () => ended++);
    const packets = opusPackets();
    const streams = Array.from({ length: 100 }, (_, i) =>
      i % 2 === 0
        ? native.open(`call-${i}`, { codec: 'opus', sampleRate: 16_000 })
        : native.open(`call-${i}`, { codec: 'pcmu' }),
    );
    for (let k = 0; k < 90; k++) {
      for (const [i, stream] of streams.entries()) {
        const payload = i % 2 === 0 ? (packets[k % packets.length] as Uint8Array) : new Uint8Array(160).fill(k);
        stream.push({ sequenceNumber: k, timestamp: k * (i % 2 === 0 ? 960 : 160), payload });
      }
      if (k % 30 === 15) native.killShard(k % 2);
      await new Promise((resolve) => setTimeout(resolve, 10));
      // A shard that is being replaced may take longer than its ring lasts, on a busy machine.
      const due = k - 30;
      const frames = (): number[] => streams.map((_, i) => received.get(`call-${i}`)?.frames ?? 0);
      if (due > 0) await until(() => Math.min(...frames()) >= due, 'the frames so far');
    }
    for (const stream of streams) stream.end();
    await until(() => ended === 100, 'all streams to end');
    expect([...received.values()].map(({ frames }) => frames)).toEqual(new Array(100).fill(90));
    expect(native.counters()).toMatchObject({ shardRestarts: 3, decodersRebuilt: 150, decodeErrors: 0, poisoned: 0 });
    expect(native.backend).toBe('native');
  });

  it('stamp frames with the time of the engine', async () => {
    const native = await createEngine({ ...NATIVE, shards: 1 });
    engine = native;
    const lags: number[] = [];
    native.on('frame', ({ arrivalUs, processedUs }) => lags.push(processedUs - arrivalUs));
    const stream = native.open('call', { codec: 'pcma' });
    for (let k = 0; k < 20; k++) {
      stream.push({ sequenceNumber: k, timestamp: k * 160, payload: new Uint8Array(160) });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await until(() => lags.length === 20, 'the frames');
    for (const lagUs of lags) {
      expect(lagUs).toBeGreaterThan(0);
      expect(lagUs).toBeLessThan(15_000_000);
    }
  });

  it('begin and end again and again in one process', async () => {
    for (let k = 0; k < 20; k++) {
      const native = await createEngine({ ...NATIVE, shards: 1, maxStreams: 16 });
      native.open('call', { codec: 'opus' });
      expect(native.backend).toBe('native');
      await native.close();
    }
  }, 60_000);
});

describe('an engine that requires what it cannot have', () => {
  it('says so at once, with a code', async () => {
    const shardEntry = new URL('../support/engine/shard-without-native.mjs', import.meta.url).href;
    const beganUs = systemClock.nowUs();
    await expect(createEngine({ native: 'require', shards: 2, ...{ shardEntry } })).rejects.toMatchObject({
      name: 'TrunklineError',
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringContaining('there is none for this machine'),
    });
    // Far below the 20 s after which a start is given up.
    expect(systemClock.nowUs() - beganUs).toBeLessThan(10_000_000);
  });

  it('runs on the other path when it merely would like to', async () => {
    const shardEntry = new URL('../support/engine/shard-without-native.mjs', import.meta.url).href;
    engine = await createEngine({ native: 'auto', shards: 1, ...{ shardEntry } });
    expect(engine.backend).toBe('js');
  });
});

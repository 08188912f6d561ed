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
    const received = new Map<string, { frames: number; gaps: number; end: number }>();
    let ended = 0;
    native.on('frame', (frame) => {
      const one = received.get(frame.info.interactionId) ?? { frames: 0, gaps: 0, end: 0 };
      if (frame.positionSamples !== one.end) one.gaps++;
      one.frames++;
      one.end = frame.positionSamples + frame.sampleCount;
      received.set(frame.info.interactionId, one);
    });
    let missing = 0;
    native.on('ended', (_, { packetsDropped, packetsLost }) => {
      missing += packetsDropped + packetsLost;
      ended++;
    });
    const packets = opusPackets();
    const streams = Array.from({ length: 100 }, (_, i) =>
      i % 2 === 0
        ? native.open(`call-${i}`, { codec: 'opus', sampleRate: 16_000 })
        : native.open(`call-${i}`, { codec: 'pcmu' }),
    );
    const packetUs = 20_000;
    const beganUs = systemClock.nowUs() - 90 * packetUs;
    let kills = 0;
    for (let k = 0; k < 90; k++) {
      // In step with the timestamps: a sender that a busy machine delays has stood still, and its time line shows that.
      const arrivalUs = beganUs + k * packetUs;
      for (const [i, stream] of streams.entries()) {
        const payload = i % 2 === 0 ? (packets[k % packets.length] as Uint8Array) : new Uint8Array(160).fill(k);
        const timestamp = k * (i % 2 === 0 ? 960 : 160);
        expect(stream.push({ sequenceNumber: k, timestamp, payload, arrivalUs })).toBe(true);
      }
      if (k % 30 === 15) {
        await until(() => {
          if (native.counters().shardRestarts > kills) return true;
          // Does nothing while the shard is not running, as one that is being replaced on a busy machine.
          native.killShard(kills % 2);
          return false;
        }, 'the shard to die');
        kills++;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const stream of streams) stream.end();
    await until(() => ended === 100, 'all streams to end');
    expect(missing).toBe(0);
    expect(received.size).toBe(100);
    for (const one of received.values()) expect(one).toMatchObject({ frames: 90, gaps: 0 });
    expect(native.counters()).toMatchObject({
      arenaFull: 0,
      shardRestarts: 3,
      decodersRebuilt: 150,
      decodeErrors: 0,
      poisoned: 0,
    });
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

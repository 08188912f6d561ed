import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import type { StreamSummary } from '../../src/core/events.js';
import { AudioEngine, type AudioEngineOptions, type PushStream } from '../../src/engine/audio-engine.js';
import { until } from '../support/until.js';

const FRAGILE = new URL('../support/engine/fragile-shard.mjs', import.meta.url).href;
const POISON = { throws: 0, exits: 1, hangs: 2 } as const;

let engine: AudioEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

interface ReceivedStream {
  frames: number;
  errors: number;
  samples: number;
  lastEnd: number;
  contiguous: boolean;
}

/** An engine that notes, by interaction, what came out of it. */
async function listeningEngine(options: AudioEngineOptions): Promise<{
  engine: AudioEngine;
  received: Map<string, ReceivedStream>;
  ended: Map<string, StreamSummary>;
}> {
  const received = new Map<string, ReceivedStream>();
  const ended = new Map<string, StreamSummary>();
  engine = new AudioEngine({ playoutDelayMs: 0, maxPlayoutDelayMs: 0, ...options });
  engine.on('frame', (frame) => {
    const one = received.get(frame.info.interactionId) ?? {
      frames: 0,
      errors: 0,
      samples: 0,
      lastEnd: 0,
      contiguous: true,
    };
    one.frames++;
    if (frame.decodeError) one.errors++;
    one.samples += frame.sampleCount;
    if (frame.positionSamples !== one.lastEnd) one.contiguous = false;
    one.lastEnd = frame.positionSamples + frame.sampleCount;
    received.set(frame.info.interactionId, one);
  });
  engine.on('ended', (info, summary) => ended.set(info.interactionId, summary));
  await engine.start();
  return { engine, received, ended };
}

const PACKET_US = 20_000;
/** When packet 0 arrived; long enough ago that no packet arrives in the future, which would count as now. */
const BEGAN_US = systemClock.nowUs() - 10_000_000;

/** In step with the timestamps: a sender that a busy machine delays has stood still, and its time line shows that. */
function pushPackets(stream: PushStream, from: number, count: number): void {
  for (let k = from; k < from + count; k++) pushPacket(stream, k, new Uint8Array(160).fill(k & 0x7f));
}

function pushPacket(stream: PushStream, k: number, payload: Uint8Array): void {
  const packet = { sequenceNumber: k, timestamp: k * 160, payload, arrivalUs: BEGAN_US + k * PACKET_US };
  expect(stream.push(packet)).toBe(true);
}

describe('a shard that dies', () => {
  it.each(Object.entries(POISON))('is replaced when a record %s, and the record is skipped', async (_, poison) => {
    const { engine, received } = await listeningEngine({ shards: 1, ...{ shardEntry: FRAGILE } });
    const streams = Array.from({ length: 20 }, (_, i) => engine.open(`call-${i}`, { codec: 'pcmu' }));
    for (const stream of streams) pushPackets(stream, 0, 10);
    await until(() => received.size === 20 && [...received.values()].every((h) => h.frames === 10), 'the first frames');
    const poisoned = new Uint8Array(160);
    poisoned.set([0xde, 0xad, poison]);
    pushPacket(streams[0] as PushStream, 10, poisoned);
    for (const stream of streams.slice(1)) pushPackets(stream, 10, 1);
    for (const stream of streams) pushPackets(stream, 11, 10);
    await until(() => [...received.values()].every((h) => h.frames === 21), 'frames after the restart');
    for (const one of received.values()) expect(one).toMatchObject({ frames: 21, samples: 21 * 160, contiguous: true });
    expect(received.get('call-0')?.errors).toBe(1);
    expect(received.get('call-1')?.errors).toBe(0);
    expect(engine.counters()).toMatchObject({ poisoned: 1, shardRestarts: 2, decodersRebuilt: 40 });
  });

  it('loses nothing when its thread is ended from outside in the middle of 200 streams, and leaves others alone', async () => {
    const { engine, received, ended } = await listeningEngine({ shards: 2 });
    const streams = Array.from({ length: 200 }, (_, i) => engine.open(`call-${i}`, { codec: 'pcmu' }));
    for (let round = 0; round < 50; round++) {
      for (const stream of streams) pushPackets(stream, round * 2, 2);
      if (round === 20) engine.killShard(0);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const stream of streams) stream.end();
    await until(() => ended.size === 200, 'all streams to end');
    for (const [id, one] of received) expect({ id, ...one }).toMatchObject({ frames: 100, contiguous: true });
    expect(received.size).toBe(200);
    expect(engine.counters()).toMatchObject({ shardRestarts: 1, decodersRebuilt: 100, decodeErrors: 0 });
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/core/clock.js';
import { zeroCounts } from '../../src/core/counts.js';
import { Engine } from '../../src/engine/engine.js';
import type { StreamSample } from '../../src/engine/engine-state.js';
import { CLAIM } from '../../src/engine/input/ingest.js';
import { until } from '../support/until.js';

const MONO = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const PAYLOAD = 160;

let engine: Engine | undefined;
afterEach(() => engine?.close());

function push({ batch }: Engine, stream: number, sequence: number, arrivalUs: number): void {
  const offset = batch.claim(PAYLOAD);
  if (offset < 0) return;
  const { columns, row } = batch;
  columns.channel[row] = stream * 2;
  columns.wireSequence[row] = sequence;
  columns.wireTimestamp[row] = sequence * PAYLOAD;
  columns.arrivalUs[row] = arrivalUs;
  columns.flags[row] = 0;
  columns.payloadOffset[row] = offset;
  columns.payloadLength[row] = PAYLOAD;
  batch.add(1);
}

describe('the state of an engine', () => {
  it('has the streams of each shard, and what lies in its rings', () => {
    engine = new Engine({ shards: 2, maxStreams: 8, inputRingBytes: 1 << 14 });
    const streams = ['a', 'b', 'c'].map((id) => engine?.openStream(id, MONO, { ordered: true }) ?? -1);
    const ringOf = (shard: number, name: string) =>
      engine?.state().shards[shard]?.rings.find((ring) => ring.name === name);
    expect(engine.state().shards.map((shard) => [shard.name, shard.streams])).toEqual([
      ['shard 0', 2],
      ['shard 1', 1],
    ]);
    expect(engine.state().recorder).toBeUndefined();
    const before = ringOf(0, 'input')?.usedBytes ?? 0;
    // No shard runs yet, so what is committed stays where it is.
    expect(engine.ordered.claim(streams[0] ?? -1, PAYLOAD)).toBe(CLAIM.GIVEN);
    engine.ordered.commit(0, 0, 0);
    engine.ordered.publish();
    expect(ringOf(0, 'input')).toMatchObject({ capacityBytes: 1 << 14, refused: 0 });
    expect((ringOf(0, 'input')?.usedBytes ?? 0) - before).toBeGreaterThanOrEqual(PAYLOAD);
    expect(ringOf(0, 'recorder')).toBeUndefined();
  });

  it('counts what an input ring refuses, for its shard alone', () => {
    const clock = new ManualClock(1_000_000);
    engine = new Engine({
      ...{ shards: 2, maxStreams: 4, inputRingBytes: 1 << 12, clock },
      // Nothing is released before the stream ends.
      ...{ playoutDelay: 'fixed', playoutDelayMs: 2_000 },
    });
    const [first = -1] = ['a', 'b'].map((id) => engine?.openStream(id, MONO));
    for (let n = 0; n < 40; n++) push(engine, first, n, clock.nowUs());
    engine.submit();
    expect(engine.state().arena.usedBytes).toBeGreaterThan(0);
    // Its end releases everything at once, and no shard takes anything.
    engine.endStream(first, 'ended');
    const refused = engine.state().shards.map(({ rings }) => rings.find(({ name }) => name === 'input')?.refused);
    expect(refused[0]).toBeGreaterThan(0);
    expect(refused[1]).toBe(0);
    const counts = zeroCounts();
    engine.addOpenCounts(counts);
    expect(refused[0]).toBe(counts.packetsDropped);
  });

  it('has a heartbeat, work and restarts of each thread', async () => {
    engine = new Engine({ shards: 1, maxStreams: 4 });
    await engine.start();
    const [before] = engine.state().shards;
    await until(() => (engine?.state().shards[0]?.heartbeats ?? 0) > (before?.heartbeats ?? 0) + 2, 'heartbeats');
    const [running] = engine.state().shards;
    expect(running?.busySeconds).toBeGreaterThan(0);
    expect(running?.heartbeatAgeMs).toBeLessThan(700);
    expect(running?.restarts).toBe(0);
    engine.killShard(0);
    await until(() => engine?.state().shards[0]?.restarts === 1, 'the restart');
    // The work of the first life is not forgotten.
    expect(engine.state().shards[0]?.busySeconds).toBeGreaterThanOrEqual(running?.busySeconds ?? 0);
  });

  it('samples a stream without an object of its own', () => {
    const clock = new ManualClock(1_000_000);
    engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 40, clock });
    const stream = engine.openStream('a', MONO);
    const ordered = engine.openStream('b', MONO, { ordered: true });
    for (const n of [0, 1, 3]) push(engine, stream, n, clock.nowUs());
    engine.submit();
    const sample: StreamSample = { counts: zeroCounts(), playoutDelayUs: -1, mosLq: 0, driftPpm: 0, isOrdered: true };
    expect(engine.sample(stream, sample)).toBe(true);
    expect(sample).toMatchObject({ counts: { packetsReceived: 3, packetsLost: 1 }, playoutDelayUs: 40_000 });
    expect(sample.isOrdered).toBe(false);
    // Not known yet.
    expect([sample.mosLq, sample.driftPpm]).toEqual([Number.NaN, Number.NaN]);
    expect(engine.sample(ordered, sample)).toBe(true);
    expect(sample).toMatchObject({ counts: zeroCounts(), playoutDelayUs: 0, isOrdered: true });
    expect(engine.sample(3, sample)).toBe(false);
  });
});

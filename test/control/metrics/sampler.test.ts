import { describe, expect, it } from 'vitest';
import { HISTORY_COLUMNS, HistoryRing, type HistorySample } from '../../../src/control/metrics/history.js';
import { NodeSampler } from '../../../src/control/metrics/sampler.js';
import { ManualClock } from '../../../src/core/clock.js';
import { zeroCounts } from '../../../src/core/counts.js';
import type { ReceptionCounts } from '../../../src/core/events.js';
import type { EngineState, StreamSample } from '../../../src/engine/engine-state.js';
import { streamInfo } from '../../support/frames.js';

const MAX_STREAMS = 25;

/** An engine whose streams are what a test writes down. */
class Streams {
  readonly maxStreams = MAX_STREAMS;
  readonly counts = new Map<number, ReceptionCounts>();
  readonly looks: number[] = [];
  busySeconds = 0;

  sample(stream: number, sample: StreamSample): boolean {
    this.looks.push(stream);
    const counts = this.counts.get(stream);
    if (counts === undefined) return false;
    Object.assign(sample.counts, counts);
    sample.playoutDelayUs = 50_000;
    sample.isOrdered = false;
    return true;
  }

  state(): EngineState {
    const thread = {
      name: 'shard 0',
      busySeconds: this.busySeconds,
      heartbeats: 1,
      heartbeatAgeMs: 3,
      restarts: 2,
      phase: 'running',
      restartedMsAgo: undefined,
    } as const;
    const ring = { name: 'input', capacityBytes: 100, usedBytes: 25, refused: 4 } as const;
    return {
      shards: [{ ...thread, streams: 1, records: 7, rings: [ring] }],
      recorder: undefined,
      arena: { capacityBytes: 1, usedBytes: 0 },
    };
  }
}

function rig() {
  const clock = new ManualClock(1_000_000);
  const engine = new Streams();
  const sampler = new NodeSampler({ engine, metrics: { recentDeliveredP99: () => 52_000 }, clock });
  const second = (): void => {
    for (let tick = 0; tick < 10; tick++) {
      clock.advanceUs(100_000);
      sampler.tick();
    }
  };
  const set = (stream: number, counts: Partial<ReceptionCounts>): void => {
    engine.counts.set(stream, { ...zeroCounts(), ...counts });
  };
  return { clock, engine, sampler, second, set };
}

describe('the sampler', () => {
  it('walks the table in parts, each stream once a second', () => {
    const { clock, engine, sampler } = rig();
    const parts = Array.from({ length: 10 }, () => {
      engine.looks.length = 0;
      clock.advanceUs(100_000);
      sampler.tick();
      return [...engine.looks];
    });
    expect(parts.flat()).toEqual(Array.from({ length: MAX_STREAMS }, (_, n) => n));
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(Math.ceil(MAX_STREAMS / 10));
    sampler.tick();
    expect(engine.looks.at(-1)).toBeLessThan(3);
  });

  it('gives rates of each second, to which streams that end in between add all that they had', () => {
    const { engine, sampler, second, set } = rig();
    set(3, { packetsReceived: 100, packetsLost: 2 });
    set(20, { packetsReceived: 50, packetsDropped: 5 });
    second();
    set(3, { packetsReceived: 150, packetsLost: 1 });
    second();
    // One stream ends with more than was seen of it, and another takes over its index.
    sampler.streamEnded(streamInfo({ stream: 3 }), { ...zeroCounts(), packetsReceived: 160, packetsLost: 1 });
    set(3, { packetsReceived: 7 });
    engine.counts.delete(20);
    second();
    const history = sampler.history();
    expect(history.packetsPerSecond).toEqual([150, 50, 17]);
    // What was lost and then came is not lost less than never.
    expect(history.lostPerSecond).toEqual([2, 0, 0]);
    expect(history.droppedPerSecond).toEqual([5, 0, 0]);
    expect(history.latencyP99Ms).toEqual([52, 52, 52]);
    expect(history.streams).toEqual([2, 2, 1]);
    expect(history.rssBytes.every((bytes) => bytes > 1e6)).toBe(true);
  });

  it('takes jitter and playout delay of each stream into the distributions every ten seconds', () => {
    const { sampler, second, set } = rig();
    set(1, { packetsReceived: 1, jitterUs: 700 });
    set(2, { packetsReceived: 1, jitterUs: 40_000 });
    set(4, { packetsReceived: 0, jitterUs: 0 });
    for (let n = 0; n < 11; n++) second();
    const { jitterUs, playoutDelayUs } = sampler.distributions;
    expect(jitterUs).toMatchObject({ count: 4, sum: 2 * 40_700 });
    expect(jitterUs.counts[jitterUs.bounds.indexOf(1_000)]).toBe(2);
    expect(jitterUs.counts[jitterUs.bounds.indexOf(500)]).toBe(0);
    expect(playoutDelayUs.counts[playoutDelayUs.bounds.indexOf(50_000)]).toBe(4);
  });

  it('shows shards and rings as shares', () => {
    const { engine, sampler, second } = rig();
    second();
    engine.busySeconds = 0.25;
    second();
    expect(sampler.shards()).toEqual([
      {
        ...{ name: 'shard 0', utilisation: 0.25, heartbeatAgeMs: 3, restarts: 2, streams: 1 },
        rings: [{ name: 'input', fill: 0.25, refused: 4 }],
      },
    ]);
  });

  it('waits for a clock that stands still', () => {
    const { sampler } = rig();
    for (let tick = 0; tick < 30; tick++) sampler.tick();
    expect(sampler.history().at).toEqual([]);
  });
});

describe('the history', () => {
  it('keeps a quarter of an hour, the oldest first', () => {
    const ring = new HistoryRing();
    const sample = (value: number) =>
      Object.fromEntries(HISTORY_COLUMNS.map((name) => [name, value])) as unknown as HistorySample;
    for (let n = 0; n < 1_000; n++) ring.add(n * 1_000, sample(n));
    const { at, packetsPerSecond } = ring.read();
    expect([at.length, at[0], at.at(-1)]).toEqual([900, '1970-01-01T00:01:40.000Z', '1970-01-01T00:16:39.000Z']);
    expect([packetsPerSecond[0], packetsPerSecond.at(-1)]).toEqual([100, 999]);
  });
});

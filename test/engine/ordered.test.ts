import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { Engine } from '../../src/engine/engine.js';
import { CLAIM } from '../../src/engine/input/ingest.js';

const STEREO = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 } as const;
const SAMPLES = 200;

let engine: Engine | undefined;
afterEach(() => engine?.close());

function commit({ ordered }: Engine, sequence: number): void {
  for (const channel of [0, 1]) {
    const at = ordered.at[channel] as number;
    ordered.bytes.fill(sequence + channel, at, at + SAMPLES);
  }
  // Now: a stream whose last packet came long ago has its shard told that its packets have stopped.
  ordered.commit(sequence, sequence * SAMPLES, systemClock.nowUs());
}

it('claims of an ordered stream are refused while its shard does not run, and everything that was claimed comes through', async () => {
  engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0, inputRingBytes: 1 << 14 });
  const { ordered } = engine;
  const index = engine.openStream('call', STEREO, { ordered: true });
  const ends: string[] = [];
  const frames: string[] = [];
  engine.addSink({
    pcmSelection: () => 'all',
    frame: (frame) =>
      frames.push(`${frame.channel} ${frame.sequenceNumber} ${frame.positionSamples} ${frame.sampleCount}`),
    streamEnded: (_, { packetsReceived, packetsDropped, bytesReceived, packetsLost }) =>
      ends.push(`${packetsReceived} ${packetsDropped} ${bytesReceived} ${packetsLost}`),
  });
  let sequence = 0;
  for (; ordered.claim(index, SAMPLES) === CLAIM.GIVEN; sequence++) commit(engine, sequence);
  ordered.publish();
  // Two records of 256 bytes at a time, and the stream's OPEN before them.
  expect(sequence).toBeGreaterThan(25);
  expect(sequence).toBeLessThan(32);
  expect(ordered.claim(index, SAMPLES)).toBe(CLAIM.FULL);

  await engine.start();
  for (const total = 4 * sequence; sequence < total; ) {
    if (ordered.claim(index, SAMPLES) === CLAIM.GIVEN) commit(engine, sequence++);
    else {
      ordered.publish();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  engine.endStream(index, 'ended');
  await engine.close();
  const due = Array.from({ length: sequence }, (_, n) =>
    [0, 1].map((side) => `${side} ${n} ${n * SAMPLES} ${SAMPLES}`),
  );
  expect(frames).toEqual(due.flat());
  expect(ends).toEqual([`${2 * sequence} 0 ${2 * sequence * SAMPLES} 0`]);
});

it('only publish() shows the packets of an ordered stream to its shard, so that a source can wake it once for many streams', async () => {
  engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0 });
  const { ordered } = engine;
  const index = engine.openStream('call', STEREO, { ordered: true });
  const sequences: number[] = [];
  let delivered: (() => void) | undefined;
  engine.addSink({
    frame: ({ sequenceNumber, channel }) => {
      sequences.push(sequenceNumber);
      if (channel === 1) delivered?.();
    },
  });
  await engine.start();
  const push = (sequence: number): void => {
    expect(ordered.claim(index, SAMPLES)).toBe(CLAIM.GIVEN);
    if (engine !== undefined) commit(engine, sequence);
  };
  const nextFrames = (): Promise<void> =>
    new Promise((resolve) => {
      delivered = resolve;
    });
  push(0);
  const first = nextFrames();
  ordered.publish();
  push(1);
  await first;
  // Output has arrived while a packet was not published; with that the engine schedules its next look.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(sequences).toEqual([0, 0]);
  const second = nextFrames();
  ordered.publish();
  await second;
  expect(sequences).toEqual([0, 0, 1, 1]);
});

it('a sink that takes the frames of some streams gets those, and no others, from the next look at its choice on', async () => {
  engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0 });
  const { ordered } = engine;
  const streams = ['first', 'second'].map((id) => engine?.openStream(id, STEREO, { ordered: true }) ?? -1);
  const chosen = new Set(['first']);
  const taken: string[] = [];
  const all: string[] = [];
  const nameOf = (id: string, sequence: number): string => `${id} ${sequence}`;
  engine.addSink({
    takesFramesOf: ({ interactionId }) => chosen.has(interactionId),
    frame: ({ info, sequenceNumber }) => taken.push(nameOf(info.interactionId, sequenceNumber)),
  });
  let delivered: (() => void) | undefined;
  engine.addSink({
    frame: ({ info, sequenceNumber }) => {
      all.push(nameOf(info.interactionId, sequenceNumber));
      if (all.length % 4 === 0) delivered?.();
    },
  });
  await engine.start();
  for (const sequence of [0, 1]) {
    const done = new Promise<void>((resolve) => {
      delivered = resolve;
    });
    for (const stream of streams) {
      expect(ordered.claim(stream, SAMPLES)).toBe(CLAIM.GIVEN);
      commit(engine, sequence);
    }
    ordered.publish();
    await done;
    chosen.clear();
    chosen.add('second');
    engine.refreshWants();
  }
  await engine.close();
  expect(all).toHaveLength(8);
  expect(taken).toEqual(['first 0', 'first 0', 'second 1', 'second 1']);
});

it('claims are refused for a stream that is not ordered, not open, or has ended', () => {
  engine = new Engine({ shards: 1, maxStreams: 4 });
  const { ordered } = engine;
  const [ended, plain] = [engine.openStream('ended', STEREO, { ordered: true }), engine.openStream('plain', STEREO)];
  engine.endStream(ended, 'ended');
  for (const stream of [ended, plain, 3, 4, -1]) expect(ordered.claim(stream, SAMPLES)).toBe(CLAIM.GONE);
  expect(engine.counters()).toMatchObject({ unknownStream: 5, arenaFull: 0 });
});

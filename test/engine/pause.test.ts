import { afterEach, expect, test } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import { ManualClock } from '../../src/core/clock.js';
import type { FrameSink, MarkedSpan, StreamSummary } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { addPacket } from '../support/engine/packets.js';

const RATE = 8000;
const SAMPLES = 160;
const LOUD = encodePcmu(new Int16Array(SAMPLES).fill(30_000));
const QUIET = encodePcmu(new Int16Array(SAMPLES).fill(1_000));

let engine: Engine;

afterEach(() => engine.close());

interface Delivered {
  readonly frames: { readonly channel: number; readonly position: number; readonly peak: number }[];
  readonly marks: MarkedSpan[];
  summary: StreamSummary | undefined;
}

/** An engine without real time in it: packets bear their own arrival, and the stream's end lets everything go. */
function start(channels: 1 | 2): {
  stream: number;
  delivered: Delivered;
  push: (from: number, to: number, loud: boolean) => void;
  clock: ManualClock;
} {
  const clock = new ManualClock();
  engine = new Engine({
    shards: 1,
    maxStreams: 8,
    native: 'off',
    playoutDelayMs: 2_000,
    maxPlayoutDelayMs: 2_000,
    clock,
  });
  const delivered: Delivered = { frames: [], marks: [], summary: undefined };
  const sink: FrameSink = {
    pcmSelection: () => 'all',
    frame: ({ channel, positionSamples, peak }) => delivered.frames.push({ channel, position: positionSamples, peak }),
    markedSpan: (span) => delivered.marks.push({ ...span }),
    streamEnded: (_info, summary) => {
      delivered.summary = summary;
    },
  };
  engine.addSink(sink);
  void engine.start();
  const stream = engine.openStream('call', { codec: 'pcmu', clockRate: RATE, sampleRate: RATE, channels });
  const push = (from: number, to: number, loud: boolean): void => {
    const payload = loud ? LOUD : QUIET;
    for (let n = from; n < to; n++) {
      for (let channel = 0; channel < channels; channel++) {
        // One every 20 ms, from zero: what is pushed later arrives later.
        const arrivalUs = n * 20_000;
        addPacket(engine.batch, { stream, channel, sequence: n, timestamp: n * SAMPLES, arrivalUs, payload });
      }
    }
    engine.submit();
  };
  return { stream, delivered, push, clock };
}

async function ended(delivered: Delivered, stream: number): Promise<StreamSummary> {
  engine.endStream(stream, 'ended');
  await expect.poll(() => delivered.summary).toBeDefined();
  return delivered.summary as StreamSummary;
}

test('nothing that arrived in a pause comes out, and its time is marked', async () => {
  const { stream, delivered, push } = start(2);
  push(0, 10, false);
  engine.pauseStream(stream);
  push(10, 30, true);
  engine.resumeStream(stream, 580_000);
  push(30, 40, false);
  const { packetsReceived, packetsLost, packetsPaused } = await ended(delivered, stream);
  // The pause began before the first ten had left the jitter buffer: they are withheld with the rest.
  expect({ packetsReceived, packetsLost, packetsPaused }).toEqual({
    packetsReceived: 80,
    packetsLost: 0,
    packetsPaused: 60,
  });
  expect(delivered.frames.map(({ position }) => position).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 10 }, (_, i) => [(30 + i) * SAMPLES, (30 + i) * SAMPLES]).flat(),
  );
  expect(delivered.frames.every(({ peak }) => peak < 2_000)).toBe(true);
  expect(
    delivered.marks
      .map(({ channel, state, startSamples, lengthSamples }) => [channel, state, startSamples, lengthSamples])
      .toSorted(),
  ).toEqual([
    [0, 'paused', 0, 30 * SAMPLES],
    [1, 'paused', 0, 30 * SAMPLES],
  ]);
});

test('a pause that lasts to the end of the stream is marked to its last packet, lost ones included', async () => {
  const { stream, delivered, push } = start(1);
  engine.pauseStream(stream);
  push(0, 5, true);
  push(8, 10, true);
  const { packetsReceived, packetsLost, packetsPaused } = await ended(delivered, stream);
  expect({ packetsReceived, packetsLost, packetsPaused }).toEqual({
    packetsReceived: 7,
    packetsLost: 3,
    packetsPaused: 7,
  });
  expect(delivered.frames).toEqual([]);
  expect(delivered.marks).toMatchObject([{ startSamples: 0, lengthSamples: 10 * SAMPLES }]);
});

test('a pause in which nothing arrives is marked to the end of the stream, or to its own end', async () => {
  for (const [resumedAtUs, end] of [
    [undefined, 3 * RATE],
    [2_000_000, 2 * RATE],
  ] as const) {
    const { stream, delivered, push, clock } = start(1);
    push(0, 5, false);
    clock.advanceUs(2_200_000);
    await expect.poll(() => delivered.frames.length).toBe(5);
    engine.pauseStream(stream);
    if (resumedAtUs !== undefined) engine.resumeStream(stream, resumedAtUs);
    clock.advanceUs(800_000);
    await ended(delivered, stream);
    expect(delivered.marks).toMatchObject([{ startSamples: 5 * SAMPLES, lengthSamples: end - 5 * SAMPLES }]);
    await engine.close();
  }
});

test('a second pause within the grace of the first goes on with it', async () => {
  const { stream, delivered, push } = start(1);
  engine.pauseStream(stream);
  push(0, 5, true);
  engine.resumeStream(stream, 150_000);
  push(5, 7, true);
  engine.pauseStream(stream);
  push(7, 12, true);
  engine.resumeStream(stream, 230_000);
  push(12, 15, false);
  await ended(delivered, stream);
  expect(delivered.frames.map(({ position }) => position)).toEqual([12, 13, 14].map((n) => n * SAMPLES));
  expect(delivered.marks).toMatchObject([{ startSamples: 0, lengthSamples: 12 * SAMPLES }]);
});

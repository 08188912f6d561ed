import { describe, expect, it } from 'vitest';
import { NEURAL_STATE } from '../../../src/audio/neural/fusion.js';
import { PACKED } from '../../../src/audio/neural/silero-weights.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { ManualClock } from '../../../src/core/clock.js';
import { CODEC_ID } from '../../../src/core/codec.js';
import { DETECTOR_ID } from '../../../src/core/events.js';
import { StreamTable } from '../../../src/ring/stream-table.js';
import { SpeechJudge } from '../../../src/shard/neural/speech-judge.js';
import { randomWeights } from '../../support/speech-weights.js';

const STREAMS = 300;
const FRAME = 160;

/** A judge of many streams, and a frame of each at a time. */
function manyStreams(detector: number = DETECTOR_ID.neural) {
  const clock = new ManualClock();
  const memory = new SharedArrayBuffer(StreamTable.bytes(STREAMS) + PACKED.length * 4);
  new Float32Array(memory, StreamTable.bytes(STREAMS), PACKED.length).set(randomWeights(3));
  const table = new StreamTable(memory, 0, STREAMS);
  const judge = new SpeechJudge(memory, table, { weights: StreamTable.bytes(STREAMS), busyUs: 20_000 }, clock);
  for (let stream = 0; stream < STREAMS; stream++) {
    const [codec, clockRate, sampleRate] = [CODEC_ID.PCMU, 8000, 8000];
    table.assign(stream, { shard: 0, codec, clockRate, sampleRate, channels: 1, wants: 0, detector });
    judge.open(stream);
  }
  const pcm = new SampleMemory(new SharedArrayBuffer(FRAME * 2));
  for (let i = 0; i < FRAME; i++) pcm.samples[i] = 3000 * Math.sin(i / 3);
  let position = 0;
  return {
    judge,
    hasVerdict: (stream: number) => table.doubles[table.silenceBase(stream, 0) + NEURAL_STATE.HAS_VERDICT] === 1,
    /** Frames of all streams, with doubt in each, that the shard has taken `us` for. Returns how many were passed over. */
    frames(us: number): number {
      let passed = 0;
      for (let stream = 0; stream < STREAMS; stream++) {
        if (judge.settle(stream, 0, position)) passed++;
        table.doubles[table.silenceBase(stream, 0) + NEURAL_STATE.IN_DOUBT] = 2;
        judge.add(stream, 0, position, pcm, 0, FRAME);
      }
      position += FRAME;
      clock.advanceUs(us);
      return passed;
    },
  };
}

describe('the judge of a shard', () => {
  it('judges windows while the ring is empty, and the verdict counts from the next frame on', () => {
    const { judge, frames, hasVerdict } = manyStreams();
    expect([frames(1000), frames(1000)]).toEqual([0, 0]);
    let judged = 0;
    while (judge.work()) judged++;
    expect(judged).toBe(STREAMS);
    expect(hasVerdict(7)).toBe(false);
    frames(1000);
    expect(hasVerdict(7)).toBe(true);
  });

  it('judges a window that is still waiting when the next frame comes, as long as audio is faster than real time', () => {
    const { frames, hasVerdict } = manyStreams();
    // The ring is never empty, but 20 ms of audio take 5.
    const passed = Array.from({ length: 12 }, () => frames(5_000));
    expect(passed.every((count) => count === 0)).toBe(true);
    expect(hasVerdict(299)).toBe(true);
  });

  it('passes windows over when the shard is overloaded, and goes on judging when it has caught up', () => {
    const { judge, frames, hasVerdict } = manyStreams();
    const passed = Array.from({ length: 8 }, () => frames(25_000)).reduce((sum, count) => sum + count, 0);
    expect(passed).toBeGreaterThan(STREAMS);
    expect(hasVerdict(299)).toBe(false);
    while (judge.work());
    expect(Array.from({ length: 4 }, () => frames(1_000)).every((count) => count === 0)).toBe(true);
    expect(hasVerdict(299)).toBe(true);
  });

  it('frees what a stream has that was closed, and takes no notice of other detectors', () => {
    const { judge, frames } = manyStreams();
    frames(0);
    frames(0);
    for (let stream = 0; stream < STREAMS; stream++) judge.close(stream);
    expect(judge.work()).toBe(false);
    const others = manyStreams(DETECTOR_ID.adaptive);
    others.frames(0);
    others.frames(0);
    expect(others.judge.work()).toBe(false);
  });
});

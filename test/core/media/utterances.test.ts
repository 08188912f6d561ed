import { describe, expect, it } from 'vitest';
import type { Utterance, UtteranceAudioOptions } from '../../../src/core/media/utterance.js';
import { Utterances } from '../../../src/core/media/utterances.js';
import { frameView, streamInfo } from '../../support/frames.js';

const info = streamInfo({ channels: 2 });
const MS = 8;

function rig(options: UtteranceAudioOptions = {}, withAudio = true) {
  const given: Utterance[] = [];
  const utterances = new Utterances(options, withAudio, (utterance) => given.push(utterance));
  let position = 0;
  /** Frames of 20 ms whose samples all have one value, and whose level is that value. */
  const frames = (ms: number, value: number, over: { channel?: 0 | 1; lost?: boolean } = {}) => {
    for (let at = 0; at < ms; at += 20, position += 160) {
      const pcm = new Int16Array(160).fill(value);
      const meanSquare = (value / 32_768) ** 2;
      utterances.frame(frameView({ info, positionSamples: position, pcm, meanSquare, peak: value, ...over }));
    }
  };
  const edge = (silent: boolean, ms: number, channel: 0 | 1 = 0) =>
    utterances.silenceEdge({ info, channel, silent, positionSamples: ms * MS });
  const skip = (ms: number) => {
    position += ms * MS;
  };
  return { utterances, given, frames, edge, skip };
}

const samplesOf = ({ audio }: Utterance) => new Int16Array(audio.buffer, audio.byteOffset, audio.length / 2);

describe('Utterances', () => {
  it('gives start, end, levels and audio with pre-roll and post-roll, once the post-roll is there', () => {
    const { given, frames, edge } = rig();
    frames(1000, 10);
    frames(400, 8192);
    // The edge follows the frames that showed it.
    edge(false, 980);
    frames(500, 20);
    edge(true, 1400);
    expect(given).toHaveLength(1);
    const [utterance] = given as [Utterance];
    expect(utterance).toMatchObject({
      ...{ interactionId: info.interactionId, channel: 0, startMs: 980, endMs: 1400, durationMs: 420 },
      ...{ end: 'silence', part: 1, sampleRate: 8000, audioStartMs: 780, info },
    });
    expect(utterance.rmsDbfs).toBeCloseTo(10 * Math.log10((400 * 0.0625 + 20 * (10 / 32_768) ** 2) / 420), 6);
    expect(utterance.peakDbfs).toBeCloseTo(20 * Math.log10(0.25), 6);
    const expected = [...Array(220 * MS).fill(10), ...Array(400 * MS).fill(8192), ...Array(200 * MS).fill(20)];
    expect([...samplesOf(utterance)]).toEqual(expected);
  });

  it('waits for the post-roll, but not beyond the next start, whose pre-roll does not repeat it', () => {
    const { given, frames, edge } = rig({ postRollMs: 400 });
    frames(1000, 5000);
    edge(false, 0);
    frames(300, 1);
    edge(true, 1000);
    expect(given).toHaveLength(0);
    frames(200, 5000);
    edge(false, 1300);
    expect(given).toHaveLength(1);
    // Its post-roll was complete before the edge of the next start, which is back-dated, came.
    expect(given[0]?.audio).toHaveLength(2 * 1400 * MS);
    frames(1000, 1);
    edge(true, 1500);
    expect(given[1]).toMatchObject({ startMs: 1300, endMs: 1500, audioStartMs: 1300 });
    frames(500, 1);
    edge(false, 2700);
    frames(500, 1);
    edge(true, 2900);
    expect(given[2]?.audioStartMs).toBe(2500);
  });

  it('does not report what is shorter than the minimum', () => {
    const { given, frames, edge } = rig({ minMs: 100 });
    frames(80, 5000);
    edge(false, 0);
    frames(1000, 1);
    edge(true, 80);
    frames(500, 1);
    expect(given).toEqual([]);
  });

  it('splits what is too long behind its quietest frame in the last third, without losing or repeating a sample', () => {
    const { given, frames, edge } = rig({ maxMs: 3000, preRollMs: 0, postRollMs: 0 });
    frames(20, 5000);
    edge(false, 0);
    for (const [ms, value] of [
      [1000, 100],
      [1500, 5000],
      [20, 900],
      [2480, 6000],
      [40, 700],
      [1000, 5000],
    ] as const) {
      frames(ms, value);
    }
    frames(600, 1);
    edge(true, 6060);
    expect(given.map(({ startMs, endMs, part, end }) => [startMs, endMs, part, end])).toEqual([
      [0, 2540, 1, 'maxLength'],
      [2540, 5040, 2, 'maxLength'],
      [5040, 6060, 3, 'silence'],
    ]);
    const all = given.flatMap((utterance) => [...samplesOf(utterance)]);
    expect(all).toHaveLength(6060 * MS);
    expect(all.slice(-1000 * MS).every((sample) => sample === 5000)).toBe(true);
    expect(given[0]?.peakDbfs).toBeCloseTo(20 * Math.log10(5000 / 32_768), 6);
  });

  it('ends at a pause and at the end of the stream, and keeps channels apart', () => {
    const { utterances, given, frames, edge, skip } = rig();
    frames(500, 5000);
    edge(false, 0);
    utterances.markedSpan({ info, channel: 0, state: 'paused', startSamples: 500 * MS, lengthSamples: 5000 * MS });
    expect(given).toMatchObject([{ startMs: 0, endMs: 500, end: 'noAudio' }]);
    skip(5000);
    // The edge of the gap comes with the first frame behind it: that utterance has ended already.
    frames(40, 5000);
    edge(true, 500);
    edge(false, 5500);
    frames(400, 5000, { channel: 1 });
    edge(false, 5540, 1);
    utterances.streamEnded(info);
    expect(given.slice(1)).toMatchObject([{ channel: 1, startMs: 5540, endMs: 5940, end: 'streamEnded' }]);
    expect(given[1]?.audio).toHaveLength(2 * 400 * MS);
  });

  it('takes edges that come twice once, and leaves lost frames out of the level', () => {
    const { given, frames, edge } = rig();
    frames(200, 5000);
    edge(false, 0);
    edge(false, 100);
    frames(200, 30_000, { lost: true });
    frames(600, 1);
    edge(true, 400);
    edge(true, 400);
    expect(given).toHaveLength(1);
    expect(given[0]?.startMs).toBe(0);
    expect(given[0]?.rmsDbfs).toBeCloseTo(20 * Math.log10(5000 / 32_768), 6);
  });

  it('ends an utterance when memory is used up, and goes on with the next one', () => {
    const { given, frames, edge } = rig({ maxBufferedMegabytes: 1, maxMs: 600_000, preRollMs: 0 });
    frames(20, 5000);
    edge(false, 0);
    frames(60_000, 5000);
    frames(600, 1);
    edge(true, 60_020);
    expect(given.map(({ end }) => end)).toEqual(['noMemory']);
    const { audio, durationMs } = given[0] as Utterance;
    expect(audio).toHaveLength(durationMs * MS * 2);
    expect(durationMs).toBeGreaterThan(30_000);
    frames(1000, 5000);
    edge(false, 60_620);
    frames(600, 1);
    edge(true, 61_620);
    expect(given[1]).toMatchObject({ startMs: 60_620, durationMs: 1000, end: 'silence' });
  });

  it('needs no samples for events, and gives memory back in silence', () => {
    const without = rig({}, false);
    without.frames(200, 5000);
    without.edge(false, 0);
    without.frames(500, 1);
    without.edge(true, 200);
    expect(without.given).toMatchObject([{ startMs: 0, endMs: 200 }]);
    expect(without.given[0]?.audio).toHaveLength(0);
    const { given, frames, edge } = rig({ maxBufferedMegabytes: 1 });
    for (let round = 0, at = 0; round < 20; round++, at += 12_000) {
      frames(10_000, 5000);
      edge(false, at);
      frames(2000, 1);
      edge(true, at + 10_000);
    }
    expect(given.map(({ end, durationMs }) => [end, durationMs])).toEqual(Array(20).fill(['silence', 10_000]));
  });

  it('refuses options out of range', () => {
    expect(() => rig({ maxMs: 10 })).toThrow('maxMs is a number from 1000 to 600000; it is 10.');
    expect(() => rig({ minMs: Number.NaN })).toThrow(RangeError);
  });
});

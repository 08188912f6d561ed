import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ImpairmentPlan, type NetworkImpairments } from '../../../src/simulator/network/impairments.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';
import { drawSequence, drawTimestamp, findLoopStart, SpeechTrack } from '../../../src/simulator/sound/track.js';

const LOOP = { payloads: ['AAAA', 'BBBB', 'CCCC'] };
const IMPAIRMENTS: NetworkImpairments = {
  loss: 0.1,
  burst: 2,
  reorder: 0.2,
  duplicate: 0.1,
  jitterMs: 30,
  maxDelayMs: 45,
};
const SECONDS = 2;
const PACKETS = SECONDS * 50;

function impairedTrack(seed: number): SpeechTrack {
  const numbering = { firstSequence: 65_530, firstTimestamp: 2 ** 32 - 1000 };
  return new SpeechTrack(LOOP, 1, numbering, 8000, SECONDS, new ImpairmentPlan(IMPAIRMENTS, new SeededRandom(seed)));
}

/** Runs a track to its end, looking at it at the given moments only; returns the indices in the order of sending. */
function play(track: SpeechTrack, moments: readonly number[]): { index: number; atUs: number }[] {
  const sent: { index: number; atUs: number }[] = [];
  for (const atUs of [...moments, 1e9]) track.run(atUs, (index) => sent.push({ index, atUs }));
  return sent;
}

test('numbers wrap at 16 and 32 bits while the payloads go round', () => {
  const track = new SpeechTrack(LOOP, 2, { firstSequence: 65_534, firstTimestamp: 2 ** 32 - 200 }, 8000, 0.1);
  const packets: unknown[] = [];
  track.run(1e6, (...packet) => packets.push(packet));
  expect(packets).toEqual([
    [0, 65_534, 2 ** 32 - 200, 'CCCC'],
    [1, 65_535, 2 ** 32 - 40, 'AAAA'],
    [2, 0, 120, 'BBBB'],
    [3, 1, 280, 'CCCC'],
    [4, 2, 440, 'AAAA'],
  ]);
  expect(track.due).toBe(5);
  expect(track.nextUs).toBe(Infinity);
});

test('a pause of discontinuous transmission takes time but no numbers, and a call begins and ends with a packet', () => {
  const loop = { payloads: ['AAAA', '', '', 'BBBB', 'CCCC', ''] };
  expect(findLoopStart(loop, 0, 2)).toBe(3);
  expect(findLoopStart(loop, 1, 4)).toBe(3);
  expect(findLoopStart(loop, 1, Infinity)).toBe(3);
  const track = new SpeechTrack(loop, 4, { firstSequence: 10, firstTimestamp: 1000 }, 48_000, 0.12);
  const packets: unknown[] = [];
  track.run(40_000, (...packet) => packets.push(packet));
  expect(packets).toHaveLength(2);
  track.run(1e6, (...packet) => packets.push(packet));
  expect(packets).toEqual([
    [0, 10, 1000, 'CCCC'],
    [1, 11, 1000 + 2 * 960, 'AAAA'],
    [2, 12, 1000 + 5 * 960, 'BBBB'],
  ]);
  expect(track.due).toBe(3);
});

test('without impairments each packet goes when it is due, not before', () => {
  const track = new SpeechTrack(LOOP, 0, { firstSequence: 0, firstTimestamp: 0 }, 8000, 1);
  const sent: number[] = [];
  const at = (us: number) => track.run(us, (index) => sent.push(index));
  at(0);
  expect([sent.length, track.nextUs]).toEqual([1, 20_000]);
  at(19_999);
  expect(sent).toHaveLength(1);
  at(20_000);
  expect([sent.length, track.nextUs]).toEqual([2, 40_000]);
  at(500_000);
  expect(sent).toHaveLength(26);
});

test('what happens to the packets depends on the seed only, however late the sender looks', () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.integer({ min: 0, max: 2_100_000 }), { maxLength: 300 }), (seed, moments) => {
      moments.sort((a, b) => a - b);
      const eager = play(
        impairedTrack(seed),
        Array.from({ length: 2100 }, (_, ms) => ms * 1000),
      );
      const lazy = play(impairedTrack(seed), moments);
      // The same packets and copies in the same order.
      expect(lazy.map(({ index }) => index)).toEqual(eager.map(({ index }) => index));
    }),
    { numRuns: 50 },
  );
});

test('first and last are sent once and in place, and nothing is more than 45 ms late', () => {
  for (let seed = 0; seed < 50; seed++) {
    const track = impairedTrack(seed);
    const sent = play(
      track,
      Array.from({ length: 2100 }, (_, ms) => ms * 1000),
    );
    const indices = sent.map(({ index }) => index);
    expect(indices[0], `seed ${seed}`).toBe(0);
    expect(indices.at(-1), `seed ${seed}`).toBe(PACKETS - 1);
    expect(indices.filter((index) => index === 0 || index === PACKETS - 1)).toHaveLength(2);
    expect(track.due).toBe(PACKETS);
    for (const { index, atUs } of sent) {
      expect(atUs - index * 20_000).toBeGreaterThanOrEqual(0);
      expect(atUs - index * 20_000).toBeLessThanOrEqual(46_000);
    }
  }
});

test('a flush hands over what is due and delayed, and nothing that is not due', () => {
  for (let seed = 0; seed < 20; seed++) {
    const whole = play(impairedTrack(seed), []).map(({ index }) => index);
    const track = impairedTrack(seed);
    const sent: number[] = [];
    track.run(1_000_000, (index) => sent.push(index));
    track.flush((index) => sent.push(index));
    expect(Math.max(...sent)).toBeLessThanOrEqual(50);
    expect([...new Set(sent)].sort((a, b) => a - b)).toEqual(
      [...new Set(whole.filter((i) => i <= 50))].sort((a, b) => a - b),
    );
  }
});

test('numbers that begin near the wrap reach it within a second', () => {
  for (let seed = 0; seed < 100; seed++) {
    const random = new SeededRandom(seed);
    expect(drawSequence(random, true)).toBeGreaterThan(65_535 - 50);
    expect(drawTimestamp(random, true, 8000)).toBeGreaterThanOrEqual(2 ** 32 - 8000);
    expect(drawTimestamp(random, true, 8000)).toBeLessThan(2 ** 32);
    expect(drawSequence(random, false)).toBeLessThan(65_536);
  }
});

import { describe, expect, test } from 'vitest';
import { PlayoutRing } from '../../../src/control/console/audio/playout-ring.js';

const RATE = 8_000;
const QUANTUM = 128;

/** Interleaved samples that count up on the left and down on the right. */
function stereo(from: number, count: number): Int16Array {
  return Int16Array.from({ length: count * 2 }, (_, at) => (at % 2 === 0 ? 1 : -1) * (from + (at >> 1)));
}

function pull(ring: PlayoutRing, channels = 2): Int16Array[] {
  const outputs = Array.from({ length: channels }, () => new Float32Array(QUANTUM).fill(9));
  ring.pull(outputs);
  return outputs.map((output) => Int16Array.from(output, (sample) => Math.round(sample * 32_768)));
}

describe('PlayoutRing', () => {
  test('plays every sample once and in order, each channel on its own output', () => {
    const ring = new PlayoutRing(2, RATE);
    for (let from = 0; from < 1_600; from += 160) ring.push(stereo(from, 160));
    const left: number[] = [];
    for (let n = 0; n < 12; n++) {
      const [external = [], internal = []] = pull(ring);
      left.push(...external);
      expect([...internal]).toEqual([...external].map((sample) => (sample === 0 ? 0 : -sample)));
    }
    expect(left).toEqual(Array.from({ length: 12 * QUANTUM }, (_, at) => at));
    expect(ring.figures).toMatchObject({ underruns: 0, skipped: 0, played: 12 * QUANTUM });
  });

  test('waits for 100 ms before it begins, and again after it has run dry', () => {
    const ring = new PlayoutRing(1, RATE);
    ring.push(new Int16Array(640).fill(5));
    expect([...(pull(ring, 1)[0] ?? [])]).toEqual(new Array(QUANTUM).fill(0));
    ring.push(new Int16Array(160).fill(5));
    for (let n = 0; n < 6; n++) expect(pull(ring, 1)[0]?.[0]).toBe(5);
    // 800 samples are six quanta and a quarter: the rest of the seventh is silence.
    expect([...(pull(ring, 1)[0] ?? [])]).toEqual([...new Array(32).fill(5), ...new Array(96).fill(0)]);
    expect(ring.figures.underruns).toBe(1);
    ring.push(new Int16Array(160).fill(7));
    expect(pull(ring, 1)[0]?.[0]).toBe(0);
  });

  test('leaves out the oldest when too much waits, so that the delay stays short', () => {
    const ring = new PlayoutRing(1, RATE);
    ring.push(Int16Array.from({ length: 8_000 }, (_, at) => at));
    expect(ring.figures).toMatchObject({ bufferedMs: 100, skipped: 7_200 });
    expect(pull(ring, 1)[0]?.[0]).toBe(7_200);
  });

  test('takes more than it can hold at once', () => {
    const ring = new PlayoutRing(1, RATE);
    ring.push(Int16Array.from({ length: 20_000 }, (_, at) => at));
    expect(pull(ring, 1)[0]?.[0]).toBe(20_000 - 800);
  });

  test('puts a single channel on every output', () => {
    const ring = new PlayoutRing(1, RATE);
    ring.push(new Int16Array(800).fill(3));
    expect(pull(ring, 2).map((output) => output[0])).toEqual([3, 3]);
  });
});

import { expect, test } from 'vitest';
import { evaluateJitter } from '../../src/evaluation/jitter-report.js';
import { readTrace } from '../../src/evaluation/trace.js';
import { delayed, TRACES, titleOf } from '../support/traces.js';

const FIXED = { playoutDelay: 'fixed', playoutDelayMs: 50, maxPlayoutDelayMs: 50 } as const;

for (const trace of TRACES) {
  test.skipIf(!trace.present)(`counts of ${titleOf(trace)} are those of the trace`, async () => {
    const report = await evaluateJitter(await readTrace(trace.path), FIXED);
    expect(report.packets).toBe(trace.packets);
    expect(report.received + report.duplicates).toBe(trace.packets);
    expect(report.lost).toBe(trace.lost);
    expect(report.recordedUniquePackets).toBe(report.received);
  });

  test.skipIf(!trace.present)(
    `${titleOf(trace)} is recorded whole, also when packets come up to 9 s later`,
    async () => {
      const { packets, ...rest } = await readTrace(trace.path);
      const report = await evaluateJitter({ ...rest, packets: delayed(packets, 1) }, { playoutDelay: 'adaptive' });
      expect(report.repaired).toBeGreaterThan(0);
      expect(report).toMatchObject({ lost: trace.lost, recordedUniquePackets: report.received });
      expect(report.received + report.duplicates).toBe(trace.packets);
    },
  );
}

/** Packets of 20 ms at 8 kHz, by number and arrival in milliseconds. */
function traceOf(...arrivals: readonly (readonly [sequence: number, atMs: number])[]) {
  const packets = arrivals.map(([sequence, atMs]) => ({
    ...{ sequence, timestamp: sequence * 160, arrivalUs: atMs * 1_000, payloadType: 0, marker: false },
    payload: new Uint8Array(160).fill(0xff),
  }));
  return { source: 'made up', clockRate: 8000, packets };
}

test('a fixed delay adds itself to every packet, and a late packet is lost to the live line', async () => {
  // The path of packet 1 is the fastest: 5 ms. Packet 2 comes 75 ms after 3, and is concealed until then.
  const trace = traceOf([0, 10], [1, 25], [3, 70], [4, 90], [2, 145], [5, 146], [5, 150]);
  expect(await evaluateJitter(trace, FIXED)).toMatchObject({
    ...{ packets: 7, received: 6, lost: 0, reordered: 1, duplicates: 1, latePercent: 14.286 },
    ...{ addedDelayMillis: 50, concealedMillis: 20, meanDelayMillis: 61.2, p95DelayMillis: 91 },
  });
});

test('delays of the beginning can be left out', async () => {
  const trace = traceOf([0, 100], [1, 101], [2, 102], [100, 2_000], [101, 2_020]);
  expect((await evaluateJitter(trace, FIXED, 1)).meanDelayMillis).toBe(50);
  expect((await evaluateJitter(trace, FIXED)).meanDelayMillis).toBeGreaterThan(60);
  // Not a mean of nothing, which would be 0.
  await expect(evaluateJitter(trace, FIXED, 3600)).rejects.toThrow('there are no delays from 3600 s on');
});

test('a packet that is too late for the live line is in the recording', async () => {
  const trace = traceOf(
    ...Array.from({ length: 100 }, (_, n) => [n, n === 50 ? 5_000 : 20 * n] as const).toSorted(byArrival),
  );
  const report = await evaluateJitter(trace, { playoutDelay: 'adaptive' });
  expect(report).toMatchObject({ received: 100, lost: 0, latePercent: 1, concealedMillis: 20 });
  expect(report).toMatchObject({ recordedUniquePackets: 100, repaired: 1 });
});

const byArrival = (a: readonly [number, number], b: readonly [number, number]) => a[1] - b[1];

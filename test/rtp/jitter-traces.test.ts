import { describe, expect, it } from 'vitest';
import { JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import { faultOfGaps, model, type SentArrival } from '../support/rtp/jitter-model.js';
import { Listener, replay } from '../support/rtp/replay.js';
import { readTrace, TRACES, type TraceFile, titleOf } from '../support/traces.js';

interface Trace {
  clockHz: number;
  arrivals: SentArrival[];
}

function arrivalsOf(file: TraceFile): Trace {
  const { clockHz, packets } = readTrace(file);
  const near = (value: number, reference: number, modulus: number): number =>
    value + Math.round((reference - value) / modulus) * modulus;
  let number: number | undefined;
  let time: number | undefined;
  const arrivals = packets.map((packet, payload) => {
    number = near(packet.seq, number ?? packet.seq, 2 ** 16);
    time = near(packet.ts, time ?? packet.ts, 2 ** 32);
    const bytes = Buffer.byteLength(packet.payload, 'base64');
    return { number, time, sequence: packet.seq, timestamp: packet.ts, arrivalUs: packet.arrivalUs, payload, bytes };
  });
  return { clockHz, arrivals };
}

/** RFC 3550 A.8 in its own units, over each number's first arrival. */
function interarrivalJitterUs({ arrivals, clockHz }: Trace): number {
  const seen = new Set<number>();
  let jitter = 0;
  let transit: number | undefined;
  for (const { number, time, arrivalUs } of arrivals) {
    if (seen.has(number)) continue;
    seen.add(number);
    const now = (arrivalUs / 1e6) * clockHz - time;
    if (transit !== undefined) jitter += (Math.abs(now - transit) - jitter) / 16;
    transit = now;
  }
  return (jitter / clockHz) * 1e6;
}

function play(trace: Trace, playoutDelayUs: number, maxPlayoutDelayUs: number) {
  const buffer = new JitterBuffer({
    playoutDelay: 'fixed',
    channels: 1,
    packets: 1024,
    playoutDelayUs,
    maxPlayoutDelayUs,
  });
  buffer.openChannel(0, trace.clockHz);
  const out = new Listener();
  let widest = 0;
  replay(buffer, trace.arrivals, out, () => {
    widest = Math.max(widest, buffer.playoutDelayUs(0));
  });
  return { out, counts: buffer.counts(0), widest };
}

describe.each(TRACES.map((file) => [titleOf(file), file] as const))('trace %s', (_, file) => {
  const { packets, lost, widens, present } = file;

  it.skipIf(!present)('gives the counts that the file implies', () => {
    const trace = arrivalsOf(file);
    const { out, counts, widest } = play(trace, 50_000, 100_000);
    const numbers = trace.arrivals.map((a) => a.number);
    const distinct = new Set(numbers);
    let highest = Number.NEGATIVE_INFINITY;
    const reordered = trace.arrivals.filter((a, i) => {
      const isNew = numbers.indexOf(a.number) === i;
      const isBehind = a.number < highest;
      highest = Math.max(highest, a.number);
      return isNew && isBehind;
    }).length;

    expect(trace.arrivals).toHaveLength(packets);
    expect(Math.max(...numbers) - Math.min(...numbers) + 1 - distinct.size).toBe(lost);
    expect(counts).toMatchObject({
      packetsReceived: distinct.size,
      packetsLost: lost,
      packetsDuplicate: packets - distinct.size,
      packetsReordered: reordered,
      packetsDropped: 0,
    });
    expect(counts.jitterUs).toBeCloseTo(interarrivalJitterUs(trace), 3);
    expect(counts.packetsLate + out.packets.length).toBe(distinct.size);
    expect(out.lostOnes.length).toBe(lost + counts.packetsLate);
    expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
    expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    expect(widest).toBe(widens ? 100_000 : 50_000);
  });

  it.skipIf(!present)('comes out as the plain model says', () => {
    const trace = arrivalsOf(file);
    for (const playoutDelayUs of [0, 50_000]) {
      const { out, counts } = play(trace, playoutDelayUs, playoutDelayUs);
      const expected = model(trace.arrivals, playoutDelayUs);
      const numberOf = new Map(trace.arrivals.map((a) => [a.payload, a.number]));
      expect(out.packets.map((p) => `${numberOf.get(p.payload)}:${p.payload}`)).toEqual(expected.released);
      expect(counts.packetsLate).toBe(expected.late);
    }
  });

  it.skipIf(!present)('survives being shaken', () => {
    // The same packets, with every ninth 70 ms later and every twentieth doubled 300 ms later.
    const trace = arrivalsOf(file);
    const shaken = trace.arrivals.flatMap((a, i) => [
      i % 9 === 4 ? { ...a, arrivalUs: a.arrivalUs + 70_000 } : a,
      ...(i % 20 === 7 ? [{ ...a, arrivalUs: a.arrivalUs + 300_000, payload: 100_000 + i }] : []),
    ]);
    shaken.sort((a, b) => a.arrivalUs - b.arrivalUs);
    const { out, counts } = play({ ...trace, arrivals: shaken }, 50_000, 50_000);
    const expected = model(shaken, 50_000);
    expect(counts).toMatchObject({
      packetsReceived: expected.received,
      packetsLost: lost,
      packetsDuplicate: expected.duplicate,
      packetsReordered: expected.reordered,
      packetsLate: expected.late,
    });
    expect(out.packets.length).toBe(expected.released.length);
    expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
  });
});

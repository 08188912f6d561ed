import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INSERTED, JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import { faultOfGaps, model, type SentArrival } from '../support/rtp/jitter-model.js';
import { advanceTo, insert, Listener, plain, replay } from '../support/rtp/replay.js';

const wrap = (value: number, modulus: number): number =>
  modulus === Number.POSITIVE_INFINITY ? value : value % modulus;

/** What a sender put on the wire and the network made of it, in the order of arrival. */
interface Schedule {
  arrivals: SentArrival[];
  playoutDelayUs: number;
}

// What happens to one packet. Delays stay below 100 packets, so that nothing looks like a restart.
const plan = fc.record({
  sent: fc.integer({ min: 0, max: 9 }).map((x) => x > 0),
  delayMs: fc.oneof({ weight: 4, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(400) }),
  copyAfterMs: fc.oneof({ weight: 5, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(500) }),
  ms: fc.constantFrom(20, 20, 20, 30, 40, 60),
});

const schedule: fc.Arbitrary<Schedule> = fc
  .record({
    plans: fc.array(plan, { minLength: 1, maxLength: 120, size: 'max' }),
    numbering: fc.constantFrom(
      { first: 0, modulus: 2 ** 16 },
      { first: 30_000, modulus: 2 ** 16 },
      { first: 65_500, modulus: 2 ** 16 },
      { first: 65_500, modulus: 2 ** 32 },
      { first: 2 ** 32 - 40, modulus: 2 ** 32 },
      { first: 2 ** 32 - 40, modulus: Number.POSITIVE_INFINITY },
    ),
    clock: fc.constantFrom(
      { first: 0, modulus: 2 ** 32 },
      { first: 2 ** 32 - 4000, modulus: 2 ** 32 },
      { first: 2 ** 32 - 4000, modulus: Number.POSITIVE_INFINITY },
    ),
    playoutDelayUs: fc.constantFrom(0, 20_000, 50_000, 100_000),
  })
  .map(({ plans, numbering, clock, playoutDelayUs }) => {
    const sent: Omit<SentArrival, 'payload'>[] = [];
    let ms = 0;
    plans.forEach((f, i) => {
      const number = numbering.first + i;
      const time = clock.first + ms * 8;
      const packet = { number, time, sequence: wrap(number, numbering.modulus), timestamp: wrap(time, clock.modulus) };
      if (f.sent) {
        sent.push({ ...packet, arrivalUs: (ms + f.delayMs) * 1000 });
        if (f.copyAfterMs >= 0) sent.push({ ...packet, arrivalUs: (ms + f.delayMs + f.copyAfterMs) * 1000 });
      }
      ms += f.ms;
    });
    sent.sort((a, b) => a.arrivalUs - b.arrivalUs);
    return { playoutDelayUs, arrivals: sent.map((a, payload) => ({ ...a, payload })) };
  });

function openBuffer(playoutDelayUs: number, packets = 512): JitterBuffer {
  const buffer = new JitterBuffer({
    playoutDelay: 'fixed',
    channels: 1,
    packets,
    playoutDelayUs,
    maxPlayoutDelayUs: playoutDelayUs,
  });
  buffer.openChannel(0, 8000);
  return buffer;
}

describe('any schedule of loss, delay, order and copies', () => {
  it('comes out as the plain model says, number by number, across every wrap', () => {
    fc.assert(
      fc.property(schedule, ({ arrivals, playoutDelayUs }) => {
        const buffer = openBuffer(playoutDelayUs);
        const out = new Listener();
        const outcomes = replay(buffer, arrivals, out);
        const expected = model(arrivals, playoutDelayUs);
        const payloadNumber = new Map(arrivals.map((a) => [a.payload, a]));

        expect(out.packets.map((p) => `${payloadNumber.get(p.payload)?.number}:${p.payload}`)).toEqual(
          expected.released,
        );
        // Unwrapped numbers and timestamps are the sender's, except for the cycle in which they begin.
        const shifts = out.packets.map((p) => p.sequence - (payloadNumber.get(p.payload)?.number as number));
        expect(new Set(shifts).size).toBeLessThanOrEqual(1);
        const clockShifts = out.packets.map((p) => p.timestamp - (payloadNumber.get(p.payload)?.time as number));
        expect(new Set(clockShifts).size).toBeLessThanOrEqual(1);
        expect(out.lostOnes.map((l) => l.sequence - (shifts[0] as number))).toEqual(expected.lost);
        expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
        expect(out.packets.every((p) => p.flags === 0)).toBe(true);

        const counts = buffer.counts(0);
        expect(counts).toMatchObject({
          packetsReceived: expected.received,
          bytesReceived: expected.received * 160,
          packetsLost: expected.due - expected.received,
          packetsLate: expected.late,
          packetsDuplicate: expected.duplicate,
          packetsReordered: expected.reordered,
          packetsDropped: 0,
        });
        expect(outcomes.filter((o) => o === INSERTED.LATE)).toHaveLength(expected.late);
        expect(outcomes.filter((o) => o === INSERTED.DUPLICATE)).toHaveLength(expected.duplicate);
        expect(out.packets.length + counts.packetsLate).toBe(counts.packetsReceived);
      }),
      { numRuns: 400 },
    );
  });

  it('always knows the oldest payload and the next due time', () => {
    fc.assert(
      fc.property(schedule, ({ arrivals, playoutDelayUs }) => {
        const buffer = openBuffer(playoutDelayUs);
        const held = new Map<number, number>();
        const out = new Listener();
        out.packet = (packets, row) => {
          held.delete(packets.payloadOffset[row] as number);
        };
        replay(buffer, arrivals, out, (a, outcome) => {
          if (outcome === INSERTED.ACCEPTED) held.set(a.payload, a.arrivalUs);
          expect(buffer.oldestPayloadOffset()).toBe(held.size === 0 ? -1 : Math.min(...held.keys()));
          expect(buffer.nextDueUs()).toBe(Math.min(...held.values()) + playoutDelayUs);
        });
        expect(held.size).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps received + lost = due and its order when descriptors run out', () => {
    fc.assert(
      fc.property(schedule, fc.constantFrom(2, 4, 8), ({ arrivals, playoutDelayUs }, packets) => {
        const buffer = openBuffer(playoutDelayUs, packets);
        const out = new Listener();
        const outcomes = replay(buffer, arrivals, out);
        const counts = buffer.counts(0);
        const numbers = new Set(arrivals.map((a) => a.number));
        const due = numbers.size === 0 ? 0 : Math.max(...numbers) - Math.min(...numbers) + 1;
        expect(counts.packetsReceived).toBe(numbers.size);
        expect(counts.packetsLost).toBe(due - numbers.size);
        expect(counts.packetsDropped).toBe(outcomes.filter((o) => o === INSERTED.FULL).length);
        expect(out.packets.length + counts.packetsLate + counts.packetsDropped).toBe(numbers.size);
        expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
      }),
      { numRuns: 200 },
    );
  });
});

describe('any two numberings, one after the other', () => {
  it('are counted each by itself and kept in order', () => {
    const restart = fc.oneof(fc.constant(0), fc.nat(65_535));
    const start = fc.integer({ min: 5000, max: 60_000 });
    fc.assert(
      fc.property(schedule, schedule, start, restart, fc.boolean(), (one, two, firstA, firstB, interrupts) => {
        const begin = 30_000;
        const shift = (b: Schedule, first: number, clock: number, afterUs: number, payload: number): SentArrival[] => {
          const base = Math.min(...b.arrivals.map((a) => a.number));
          const timeBase = Math.min(...b.arrivals.map((a) => a.time));
          return b.arrivals.map((a) => ({
            ...a,
            number: payload + a.number - base,
            sequence: (first + a.number - base) % 65_536,
            timestamp: (clock + a.time - timeBase) % 2 ** 32,
            arrivalUs: a.arrivalUs + afterUs,
            payload: payload + a.payload,
          }));
        };
        fc.pre(one.arrivals.length > 0 && two.arrivals.length > 0);
        const before = shift(one, firstA, 1000, 0, 0);
        const highest = firstA + Math.max(...before.map((a) => a.number));
        // A step of less than the dropout limit is a gap to RFC 3550, unless the connection broke.
        const ahead = (firstB - highest + 65_536) % 65_536;
        fc.pre(interrupts || (ahead > 3200 && ahead < 65_536 - 200));
        const lastUs = (before.at(-1) as SentArrival).arrivalUs;
        const after = shift(two, firstB, 2 ** 31, lastUs + 20_000, begin);

        const buffer = openBuffer(one.playoutDelayUs);
        const out = new Listener();
        const outcomes = replay(buffer, [...before, ...after], out, (a) => {
          if (interrupts && a === before.at(-1)) buffer.interrupted(0);
        });
        const numbers = (list: SentArrival[]): Set<number> => new Set(list.map((a) => a.number));
        const due = (list: SentArrival[]): number => Math.max(...numbers(list)) - Math.min(...numbers(list)) + 1;
        const received = numbers(before).size + numbers(after).size;
        const counts = buffer.counts(0);
        expect(counts).toMatchObject({
          packetsReceived: received,
          packetsLost: due(before) + due(after) - received,
          packetsDuplicate: before.length + after.length - received,
        });
        expect(out.packets.length + counts.packetsLate).toBe(received);
        const order = out.packets.map((p) => p.payload);
        const firstNew = order.findIndex((payload) => payload >= begin);
        expect(order.slice(firstNew).every((payload) => payload >= begin)).toBe(true);
        expect(out.packets.filter((p) => p.flags !== 0).map((p) => p.payload)).toEqual([order[firstNew]]);
        expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
        expect(outcomes).not.toContain(INSERTED.FULL);
      }),
      { numRuns: 300 },
    );
  });

  it('never breaks on numbers that make no sense at all', () => {
    const anything = fc.record({
      sequence: fc.oneof(fc.nat(70_000), fc.nat(200), fc.maxSafeNat()),
      timestamp: fc.oneof(fc.nat(70_000), fc.maxSafeNat()),
      stepUs: fc.nat(60_000),
      channel: fc.nat(2),
      act: fc.constantFrom('insert', 'insert', 'insert', 'insert', 'interrupt', 'flush', 'reopen'),
    });
    const insertion = { timestamp: 0, stepUs: 0, channel: 0, act: 'insert' } as const;
    // The last one shows that the third is none of the stream, and nothing is held any more.
    const lateBehindCandidate = [
      { ...insertion, sequence: 0 },
      { ...insertion, sequence: 0, timestamp: 1 },
      { ...insertion, sequence: 100, timestamp: 80_075, stepUs: 9_234 },
      { ...insertion, sequence: 0, stepUs: 49_707, channel: 1, act: 'reopen' as const },
      { ...insertion, sequence: 2, timestamp: 3, stepUs: 41_059 },
    ];
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 200, size: 'max' }), (acts) => {
        const buffer = new JitterBuffer({
          playoutDelay: 'fixed',
          channels: 3,
          packets: 16,
          playoutDelayUs: 50_000,
          maxPlayoutDelayUs: 100_000,
        });
        for (const channel of [0, 1, 2]) buffer.openChannel(channel, 8000);
        const out = new Listener();
        let nowUs = 0;
        let kept = 0;
        let counted = 0;
        let reopened = false;
        for (const { act, channel, sequence, timestamp, stepUs } of acts) {
          nowUs += stepUs;
          advanceTo(buffer, nowUs, out);
          if (act === 'interrupt') buffer.interrupted(channel);
          else if (act === 'flush') buffer.flushChannel(channel, nowUs, out);
          else if (act === 'reopen') {
            buffer.openChannel(channel, 8000);
            reopened = true;
          } else {
            const outcome = insert(buffer, { channel, sequence, timestamp, arrivalUs: nowUs, payload: kept, bytes: 1 });
            if (outcome === INSERTED.ACCEPTED || outcome === INSERTED.CANDIDATE) kept++;
            if (outcome !== INSERTED.INVALID) counted++;
          }
        }
        advanceTo(buffer, Number.MAX_SAFE_INTEGER, out);
        expect(buffer.nextDueUs()).toBe(Number.POSITIVE_INFINITY);
        expect(buffer.oldestPayloadOffset()).toBe(-1);
        const payloads = out.packets.map((p) => p.payload);
        expect(new Set(payloads).size).toBe(payloads.length);
        const totals = [0, 1, 2].map((channel) => buffer.counts(channel));
        for (const c of totals) expect(c.packetsLost).toBeGreaterThanOrEqual(0);
        if (!reopened) {
          const sum = totals.reduce((all, c) => all + c.packetsReceived + c.packetsDuplicate + c.packetsForeign, 0);
          // One that the full ring refuses is received as well, candidate or not.
          expect(sum).toBe(counted);
        }
      }),
      { numRuns: 300, examples: [[lateBehindCandidate]] },
    );
  });

  it('is the same however coarsely the buffer is advanced, as long as nothing is late', () => {
    const exact = new Listener();
    const coarse = new Listener();
    replay(openBuffer(50_000), plain(500), exact);
    const buffer = openBuffer(50_000);
    for (const a of plain(500)) {
      insert(buffer, a);
      if (a.sequence % 9 === 0) buffer.advance(a.arrivalUs, coarse);
    }
    buffer.advance(1e12, coarse);
    expect(coarse.released).toEqual(exact.released);
  });
});

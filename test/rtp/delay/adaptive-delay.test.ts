import { describe, expect, it } from 'vitest';
import { INSERTED, JitterBuffer } from '../../../src/rtp/jitter-buffer.js';
import { below, mulberry32 } from '../../support/random.js';
import { type Arrival, advanceTo, insert, Listener, plain, replay } from '../../support/rtp/replay.js';

const MS = 1_000;

function open(options: { startMs?: number; minMs?: number; maxMs?: number; packets?: number } = {}) {
  const { startMs = 50, minMs = 0, maxMs = 400, packets = 1024 } = options;
  const buffer = new JitterBuffer({
    playoutDelay: 'adaptive',
    ...{ channels: 2, packets },
    ...{ playoutDelayUs: startMs * MS, minPlayoutDelayUs: minMs * MS, maxPlayoutDelayUs: maxMs * MS },
  });
  for (const channel of [0, 1]) buffer.openChannel(channel, 8000);
  return { buffer, out: new Listener() };
}

/** Inserts the arrivals in virtual time. By number: how long each packet waited, in milliseconds. */
function waitsOf(buffer: JitterBuffer, arrivals: readonly Arrival[], untilUs = Number.MAX_SAFE_INTEGER) {
  const waits = new Map<number, number>();
  const lost: number[] = [];
  const out = new Listener();
  let nowUs = 0;
  out.packet = (packets, row) => {
    waits.set(packets.sequence[row] as number, (nowUs - (packets.arrivalUs[row] as number)) / MS);
  };
  out.lost = (_, sequence) => lost.push(sequence);
  const advance = (until: number): void => {
    for (let dueUs = buffer.nextDueUs(); dueUs <= until; dueUs = buffer.nextDueUs()) {
      nowUs = Math.max(nowUs, dueUs);
      buffer.advance(nowUs, out);
    }
    nowUs = Math.max(nowUs, until);
  };
  for (const arrival of arrivals) {
    advance(arrival.arrivalUs);
    insert(buffer, arrival);
  }
  advance(Math.min(untilUs, nowUs + 3_000_000));
  return { waits, lost };
}

/** Packets of 20 ms, and what the network does: their delay in ms, or null for a lost one. */
function sent(count: number, delayMs: (n: number) => number | null, first = 0): Arrival[] {
  return plain(count, { sequence: first, timestamp: first * 160, arrivalUs: first * 20 * MS })
    .flatMap((packet, n) => {
      const delay = delayMs(first + n);
      return delay === null ? [] : [{ ...packet, arrivalUs: packet.arrivalUs + delay * MS }];
    })
    .sort((a, b) => a.arrivalUs - b.arrivalUs);
}

describe('an adaptive delay', () => {
  it('holds the first packet, which may have been overtaken, and after it only what is behind a gap', () => {
    const { buffer } = open();
    // 100 overtakes 99; 103 is lost.
    const arrivals = [
      ...[100, 99, 101, 102, 104, 105, 106, 107].map((sequence) => ({ sequence, timestamp: sequence * 160 })),
    ].map((packet, n) => ({ ...packet, payload: n, arrivalUs: [0, 5, 20, 40, 80, 100, 120, 140][n] as number }));
    const { waits, lost } = waitsOf(
      buffer,
      arrivals.map((packet) => ({ ...packet, arrivalUs: packet.arrivalUs * MS })),
    );
    expect([...waits]).toEqual([
      ...[
        [99, 45],
        [100, 50],
        [101, 30],
        [102, 10],
      ],
      ...[
        [104, 50],
        [105, 30],
        [106, 10],
        [107, 0],
      ],
    ]);
    expect(lost).toEqual([103]);
  });

  it('lets the packets behind a gap go when the missing one comes', () => {
    const { buffer } = open();
    waitsOf(
      buffer,
      sent(10, () => 0),
      0,
    );
    const { waits, lost } = waitsOf(
      buffer,
      sent(10, (n) => (n === 12 ? 35 : 0), 10),
    );
    expect([12, 13, 14].map((n) => waits.get(n))).toEqual([0, 15, 0]);
    expect(lost).toEqual([]);
    expect(buffer.counts(0)).toMatchObject({ packetsReordered: 1, packetsLate: 0, packetsLost: 0 });
  });

  it('shrinks to its minimum while packets come in order, and not below', () => {
    for (const minMs of [0, 15]) {
      const { buffer } = open({ minMs });
      const delaysMs = new Set<number>();
      for (const arrival of plain(1_000)) {
        advanceTo(buffer, arrival.arrivalUs, new Listener());
        insert(buffer, arrival);
        delaysMs.add(buffer.playoutDelayUs(0) / MS);
      }
      const steps = [50, 30, 20, 15, 10, 5, 0].filter((ms) => ms >= minMs);
      expect([...delaysMs]).toEqual(steps);
    }
  });

  it('grows at once beyond the lateness of a packet that came too late, and keeps what it has learned', () => {
    const { buffer } = open();
    // Overtaken by the next one, and 25 ms later than that.
    const late = (n: number): number => (n % 200 === 100 ? 45 : 0);
    waitsOf(
      buffer,
      sent(1_000, () => 0),
      0,
    );
    expect(buffer.playoutDelayUs(0)).toBe(0);
    const { waits } = waitsOf(
      buffer,
      sent(1_000, (n) => late(n), 1_000),
      0,
    );
    // The first one is late: the one that overtook it did not wait. All others are in time.
    expect(buffer.counts(0)).toMatchObject({ packetsLate: 1, packetsReordered: 5 });
    expect(waits.has(1_100)).toBe(false);
    expect([waits.get(1_900), waits.get(1_901)]).toEqual([0, 25]);
    expect(buffer.playoutDelayUs(0)).toBe(30 * MS);
  });

  it('never grows beyond its maximum, and does not learn from packets that are later than that', () => {
    const { buffer } = open({ maxMs: 60 });
    waitsOf(
      buffer,
      sent(2_000, (n) => (n % 100 === 50 ? 300 : n % 100 === 10 ? 75 : 0)),
      0,
    );
    expect(buffer.playoutDelayUs(0)).toBe(60 * MS);
    expect(buffer.counts(0)).toMatchObject({ packetsLate: 20 + 1, packetsLost: 0 });
  });

  it.each([
    [{ startMs: 50 }, 50],
    [{ startMs: 0 }, 50],
    [{ startMs: 120 }, 120],
    [{ startMs: 0, maxMs: 10 }, 10],
  ])('grows when more than 5 %% are lost, and shrinks again when they are not: %j', (bounds, grownMs) => {
    const { buffer } = open(bounds);
    waitsOf(
      buffer,
      sent(1_300, () => 0),
      0,
    );
    expect(buffer.playoutDelayUs(0)).toBe(0);
    waitsOf(
      buffer,
      sent(100, (n) => (n % 10 === 5 ? null : 0), 1_300),
      0,
    );
    expect(buffer.playoutDelayUs(0)).toBe(grownMs * MS);
    waitsOf(
      buffer,
      sent(1_300, () => 0, 1_400),
      0,
    );
    expect(buffer.playoutDelayUs(0)).toBe(0);
  });

  it('does not wait for lost packets as long as for late ones: the more are lost, the shorter', () => {
    const delayMs = (lossPercent: number): number => {
      const { buffer } = open();
      const random = mulberry32(lossPercent);
      const network = (n: number) => (n % 500 === 250 ? 250 : below(random, 100) < lossPercent ? null : 0);
      waitsOf(buffer, sent(5_000, network), 0);
      return buffer.playoutDelayUs(0) / MS;
    };
    expect(delayMs(0)).toBe(250);
    expect(delayMs(20)).toBe(50);
  });

  it('is one of its own for each channel', () => {
    const { buffer } = open();
    const one = sent(1_000, (n) => (n % 50 === 25 ? 45 : 0)).map((packet) => ({ ...packet, channel: 1 }));
    const both = [...one, ...sent(1_000, () => 0)].sort((a, b) => a.arrivalUs - b.arrivalUs);
    waitsOf(buffer, both, 0);
    expect([0, 1].map((channel) => buffer.playoutDelayUs(channel) / MS)).toEqual([0, 50]);
  });

  it('begins again with its channel, and goes on after a restart of the sender', () => {
    const { buffer } = open();
    waitsOf(
      buffer,
      sent(1_000, () => 0),
      0,
    );
    const again = plain(5, { sequence: 30_000, timestamp: 5_000_000, arrivalUs: 20_000 * MS });
    const { waits } = waitsOf(buffer, again);
    expect([...waits.values()].slice(-5)).toEqual([20, 0, 0, 0, 0]);
    buffer.openChannel(0, 8000);
    expect(buffer.playoutDelayUs(0)).toBe(50 * MS);
  });

  it('keeps what its output cannot take, and lets it out in order later', () => {
    const { buffer, out } = open({ startMs: 0 });
    out.capacity = 5;
    for (const arrival of sent(20, (n) => (n === 8 ? 30 : 0))) insert(buffer, arrival);
    buffer.advance(400 * MS, out);
    expect(out.packets).toHaveLength(5);
    expect(buffer.nextDueUs()).toBeLessThan(400 * MS);
    out.capacity = Number.POSITIVE_INFINITY;
    buffer.advance(401 * MS, out);
    expect(out.packets.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(buffer.oldestPayloadOffset()).toBe(-1);
  });
});

describe('with adaptive delays, any network', () => {
  const SEEDS = 120;

  it('leaves order, counts and bounds intact', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = mulberry32(seed);
      const [lossPercent, overtakenPercent, mostMs, copyPercent] = [20, 20, 350, 5].map((most) => below(random, most));
      const bounds = { startMs: below(random, 80), minMs: 0, maxMs: 20 + below(random, 400) };
      if (bounds.maxMs < bounds.startMs) bounds.maxMs = bounds.startMs;
      bounds.minMs = below(random, bounds.startMs + 1);
      const chance = (percent = 0): boolean => below(random, 100) < percent;
      const arrivals = sent(600, (n) => {
        if (n > 0 && n < 599 && chance(lossPercent)) return null;
        return chance(overtakenPercent) ? below(random, 1 + (mostMs ?? 0)) : below(random, 5);
      }).flatMap((packet) => (chance(copyPercent) ? [packet, packet] : [packet]));
      const { buffer, out } = open(bounds);
      const delaysUs = new Set<number>();
      const outcomes = replay(buffer, arrivals, out, () => delaysUs.add(buffer.playoutDelayUs(0)));
      expect(Math.min(...delaysUs), `seed ${seed}`).toBeGreaterThanOrEqual(bounds.minMs * MS);
      expect(Math.max(...delaysUs), `seed ${seed}`).toBeLessThanOrEqual(bounds.maxMs * MS);
      buffer.flushChannel(0, Number.MAX_SAFE_INTEGER, out);
      const numbers = new Set(arrivals.map(({ sequence }) => sequence));
      const counts = buffer.counts(0);
      const order = out.packets.map(({ sequence }) => sequence);
      expect(order, `seed ${seed}`).toEqual(order.toSorted((a, b) => a - b));
      expect(new Set(order).size, `seed ${seed}`).toBe(order.length);
      expect(counts, `seed ${seed}`).toMatchObject({
        packetsReceived: numbers.size,
        packetsLost: Math.max(...numbers) - Math.min(...numbers) + 1 - numbers.size,
        packetsDuplicate: arrivals.length - numbers.size,
        packetsDropped: 0,
        packetsLate: outcomes.filter((outcome) => outcome === INSERTED.LATE).length,
      });
      expect(order.length + counts.packetsLate, `seed ${seed}`).toBe(numbers.size);
      const all = [...order, ...out.lostOnes.map(({ sequence }) => sequence)].toSorted((a, b) => a - b);
      expect(all, `seed ${seed}`).toEqual(all.map((_, n) => (order[0] ?? 0) + n));
      expect(buffer.oldestPayloadOffset(), `seed ${seed}`).toBe(-1);
    }
  });

  it('costs no packet its place when descriptors run out', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = mulberry32(seed);
      const arrivals = sent(300, () => (below(random, 10) === 0 ? 20 + below(random, 200) : 0));
      const { buffer, out } = open({ packets: 4 });
      const outcomes = replay(buffer, arrivals, out);
      const counts = buffer.counts(0);
      expect(counts.packetsDropped, `seed ${seed}`).toBe(outcomes.filter((one) => one === INSERTED.FULL).length);
      expect(out.packets.length + counts.packetsLate + counts.packetsDropped, `seed ${seed}`).toBe(300);
      const order = out.packets.map(({ sequence }) => sequence);
      expect(order, `seed ${seed}`).toEqual(order.toSorted((a, b) => a - b));
    }
  });
});

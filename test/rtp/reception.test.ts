import { describe, expect, it } from 'vitest';
import { JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { HISTORY_PACKETS } from '../../src/rtp/late/number-history.js';
import { type Arrival, Listener, plain, replay, seeded } from '../support/rtp/replay.js';

function countsOf(arrivals: readonly Arrival[], clockRate = 8000, playoutDelayUs = 50_000) {
  const buffer = new JitterBuffer({
    playoutDelay: 'fixed',
    channels: 1,
    packets: 4096,
    playoutDelayUs,
    maxPlayoutDelayUs: playoutDelayUs,
  });
  buffer.openChannel(0, clockRate);
  replay(buffer, arrivals, new Listener());
  return buffer.counts(0);
}

describe('interarrival jitter (RFC 3550 A.8)', () => {
  it('is nothing for packets that come as they were sent', () => {
    expect(countsOf(plain(500)).jitterUs).toBe(0);
  });

  it('goes to the mean difference when every other packet is 8 ms late', () => {
    const arrivals = plain(2000).map((a, i) => ({ ...a, arrivalUs: a.arrivalUs + (i % 2) * 8000 }));
    expect(countsOf(arrivals).jitterUs).toBeCloseTo(8000, 3);
  });

  it('takes the first step of the example: 1/16 of the difference', () => {
    const [a, b] = plain(2) as [Arrival, Arrival];
    expect(countsOf([a, { ...b, arrivalUs: b.arrivalUs + 1600 }]).jitterUs).toBeCloseTo(100, 6);
  });

  it('does not mind pauses in which the timestamp goes on, nor the clock rate', () => {
    const at = (n: number, ms: number): Arrival => ({
      sequence: n,
      timestamp: ms * 48,
      arrivalUs: ms * 1000,
      payload: n,
    });
    expect(countsOf([at(0, 0), at(1, 20), at(2, 3020), at(3, 3040), at(4, 9000)], 48_000).jitterUs).toBeLessThan(1e-6);
  });

  it('is not moved by a restart, nor by a clock that was set', () => {
    const restarted = plain(50, { sequence: 40_000, timestamp: 3e9, arrivalUs: 1_007_000, payload: 900 });
    expect(countsOf([...plain(50), ...restarted]).jitterUs).toBe(0);
    const reset = plain(50, { sequence: 50, timestamp: 3e9, arrivalUs: 1_000_000, payload: 900 });
    expect(countsOf([...plain(50), ...reset]).jitterUs).toBe(0);
    const nearby = plain(50, { sequence: 40_000, timestamp: 32_000, arrivalUs: 1_000_000, payload: 900 });
    expect(countsOf([...plain(50), ...nearby]).jitterUs).toBe(0);
  });
});

describe('loss (RFC 3550 A.3)', () => {
  it('never goes negative, and comes back when late packets arrive', () => {
    const seed = 99;
    const random = seeded(seed);
    const buffer = new JitterBuffer({
      playoutDelay: 'fixed',
      channels: 1,
      packets: 4096,
      playoutDelayUs: 50_000,
      maxPlayoutDelayUs: 50_000,
    });
    buffer.openChannel(0, 8000);
    const arrivals = plain(3000, { sequence: 60_000 })
      .map((a) => ({ ...a, arrivalUs: a.arrivalUs + Math.floor(random() ** 6 * 1_500_000) }))
      .sort((a, b) => a.arrivalUs - b.arrivalUs);
    let lowest = 0;
    replay(buffer, arrivals, new Listener(), () => {
      lowest = Math.min(lowest, buffer.counts(0).packetsLost);
    });
    expect(lowest, `seed ${seed}`).toBe(0);
    const counts = buffer.counts(0);
    expect(counts, `seed ${seed}`).toMatchObject({ packetsReceived: 3000, packetsLost: 0, packetsDuplicate: 0 });
    expect(counts.packetsLate, `seed ${seed}`).toBeGreaterThan(0);
  });

  it('knows late from doubled to the end of its history, and stays consistent beyond', () => {
    const total = HISTORY_PACKETS + 500;
    const within = total - HISTORY_PACKETS + 1;
    const beyond = within - 100;
    const end = total * 20_000;
    const base = plain(total).filter((a) => a.sequence !== within && a.sequence !== beyond);
    const again = (n: number, arrivalUs: number): Arrival => ({
      sequence: n,
      timestamp: n * 160,
      arrivalUs,
      payload: 9000 + n,
    });
    const live = plain(20, { sequence: total, timestamp: total * 160, arrivalUs: end });
    // `within` is the oldest number in the history when it comes; the living packets follow.
    const counts = countsOf([...base, again(within, end - 3), again(beyond, end - 2), again(within, end - 1), ...live]);
    expect(counts).toMatchObject({
      packetsReceived: total + 20 - 1,
      packetsLost: 1,
      packetsLate: 1,
      packetsReordered: 1,
      packetsDuplicate: 2,
    });
  });

  it('forgets nothing and invents nothing over gaps wider than the history', () => {
    const gap = 2500;
    const arrivals = [
      ...plain(10),
      ...plain(10, { sequence: 10 + gap, timestamp: (10 + gap) * 160, arrivalUs: (10 + gap) * 20_000 }),
      { sequence: gap, timestamp: gap * 160, arrivalUs: (20 + gap) * 20_000 - 5, payload: 1 },
      { sequence: gap, timestamp: gap * 160, arrivalUs: (20 + gap) * 20_000 - 4, payload: 2 },
    ];
    expect(countsOf(arrivals)).toMatchObject({
      packetsReceived: 21,
      packetsLost: gap - 1,
      packetsDuplicate: 1,
      packetsLate: 1,
    });
  });
});

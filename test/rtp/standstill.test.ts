import { existsSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { Timeline } from '../../src/rtp/timeline.js';
import { type Arrival, advanceTo, insert, Listener, released, replay, seeded } from '../support/rtp/replay.js';

/** Standstills are found and placed in both modes. */
const MODES = ['adaptive', 'fixed'] as const;
let mode: (typeof MODES)[number];

const TRACES = new URL('../../../shared/corpora/rtp/', import.meta.url);
const RATE = 8000;

interface Placed {
  readonly channel: number;
  readonly payload: number;
  readonly startMs: number;
  readonly arrivalMs: number;
}

/** Through jitter buffer and time line, as the engine does it: where each packet lies, and the gaps that were made. */
function place(arrivals: readonly Arrival[], options: { rate?: number; packetMs?: number; each?: Each } = {}) {
  const { rate = RATE, packetMs = 20, each } = options;
  const ms = rate / 1000;
  const { buffer, out } = open(rate);
  const timeline = new Timeline(2);
  const placed: Placed[] = [];
  const gapsMs: number[][] = [[], []];
  out.packet = (packets, row) => {
    const { channel, timestamp, arrivalUs, flags, payload } = released(packets, row);
    const end = timeline.end(channel);
    const position = timeline.place(channel, timestamp, arrivalUs, flags, packetMs * ms);
    if (timeline.rebased) gapsMs[channel]?.push((position - end) / ms);
    placed.push({ channel, payload, startMs: position / ms, arrivalMs: arrivalUs / 1000 });
  };
  out.standstill = (channel, ticks) => timeline.standstill(channel, ticks);
  out.lost = (channel, _sequence, timestamp, ticks) => timeline.placeLost(channel, timestamp, ticks);
  for (const channel of [0, 1]) timeline.openChannel(channel, rate);
  replay(buffer, arrivals, out, (arrival) => each?.(buffer, arrival));
  for (const channel of [0, 1]) buffer.flushChannel(channel, Number.MAX_SAFE_INTEGER, out);
  return { placed, gapsMs, endMs: timeline.end(0) / ms, counts: buffer.counts(0) };
}
type Each = (buffer: JitterBuffer, arrival: Arrival) => void;

function open(rate = RATE) {
  const buffer = new JitterBuffer({
    playoutDelay: mode,
    channels: 2,
    packets: 4096,
    playoutDelayUs: 50_000,
    maxPlayoutDelayUs: 100_000,
  });
  for (const channel of [0, 1]) buffer.openChannel(channel, rate);
  return { buffer, out: new Listener() };
}

/** A packet as the issue writes it: arrival in seconds, number, timestamp. */
const packet = (arrivalS: number, sequence: number, timestamp: number, channel = 0): Arrival => ({
  channel,
  sequence: sequence % 65536,
  timestamp: timestamp % 2 ** 32,
  arrivalUs: Math.round(arrivalS * 1e6),
  payload: sequence,
});

/** Packets of 20 ms that are sent for as long as `sends` says so; its numbers and timestamps stand still otherwise. */
function sender(seconds: number, sends: (s: number) => boolean, delayS: (s: number) => number = () => 0, channel = 0) {
  const arrivals: Arrival[] = [];
  let sent = 0;
  for (let k = 0; k < seconds * 50; k++) {
    const s = k / 50;
    if (!sends(s)) continue;
    arrivals.push(packet(s + delayS(s), sent, sent * 160, channel));
    sent++;
  }
  return arrivals.sort((a, b) => a.arrivalUs - b.arrivalUs);
}

const always = (): boolean => true;
const shifts = (placed: readonly Placed[]): number[] => placed.map((p) => p.startMs - p.arrivalMs);

describe.each(MODES)('with %s delays', (delays) => {
  beforeEach(() => {
    mode = delays;
  });

  describe('a sender that stands still', () => {
    it('leaves a gap of the right length in the right place: ten seconds of mute', () => {
      const arrivals: Arrival[] = [];
      for (let k = 0; k < 50; k++) arrivals.push(packet(k * 0.02, k, 160 * k));
      for (let k = 0; k < 250; k++) arrivals.push(packet(11 + k * 0.02, 50 + k, 160 * (50 + k)));
      const { placed, gapsMs, endMs, counts } = place(arrivals);
      expect(gapsMs[0]).toEqual([10_000]);
      expect(placed[49]?.startMs).toBe(980);
      expect(placed[50]?.startMs).toBe(11_000);
      expect(endMs).toBe(16_000);
      expect(counts).toMatchObject({ packetsReceived: 300, packetsLost: 0, packetsLate: 0, packetsDuplicate: 0 });
    });

    it('leaves a gap for each of five pauses of 0.4 s', () => {
      const { placed, gapsMs, endMs } = place(sender(12, (s) => Math.round(s * 50) % 100 < 80));
      expect(gapsMs[0]).toEqual([400, 400, 400, 400, 400]);
      expect(shifts(placed).every((ms) => ms === 0)).toBe(true);
      expect(endMs).toBe(11_600);
    });

    it('keeps the two sides of a call aligned when one is muted for 20 s and then for 40 s', () => {
      const customer = sender(120, always, undefined, 0);
      const agent = sender(120, (s) => (s < 20 || s >= 40) && (s < 60 || s >= 100), undefined, 1);
      const arrivals = [...customer, ...agent].sort((a, b) => a.arrivalUs - b.arrivalUs);
      const { placed, gapsMs } = place(arrivals);
      expect(gapsMs).toEqual([[], [20_000, 40_000]]);
      expect(shifts(placed).every((ms) => ms === 0)).toBe(true);
    });

    it('is found after a reconnect in which nothing was sent', () => {
      const { gapsMs, endMs, counts } = place(
        sender(10, (s) => s < 2 || s >= 6),
        {
          each: (buffer, { payload }) => {
            if (payload === 99) buffer.interrupted(0);
          },
        },
      );
      expect(gapsMs[0]).toEqual([4_000]);
      expect(endMs).toBe(10_000);
      expect(counts).toMatchObject({ packetsReceived: 300, packetsLost: 0 });
    });

    it('is found among lost packets, which are lost before the gap', () => {
      const arrivals = sender(10, (s) => s < 2 || s >= 6).filter((a) => a.payload !== 100 && a.payload !== 101);
      const { gapsMs, endMs, counts } = place(arrivals);
      expect(gapsMs[0]).toEqual([4_000]);
      expect(endMs).toBe(10_000);
      expect(counts).toMatchObject({ packetsReceived: 298, packetsLost: 2 });
    });

    it('is found at the very end, when a single packet follows', () => {
      const { buffer, out } = open();
      for (const a of sender(6.02, (s) => s < 1 || s >= 6)) {
        advanceTo(buffer, a.arrivalUs, out);
        insert(buffer, a);
      }
      buffer.flushChannel(0, 6_020_000, out);
      expect(out.standstills).toEqual([{ kind: 'standstill', channel: 0, ticks: 40_000 }]);
    });

    it('is found by packets of 60 ms and of 10 ms, too', () => {
      for (const packetMs of [10, 30, 40, 60]) {
        const step = packetMs / 1000;
        const arrivals = Array.from({ length: 200 }, (_, k) =>
          packet(k * step + (k < 50 ? 0 : 5), k, k * packetMs * 48),
        );
        const { gapsMs, endMs } = place(arrivals, { rate: 48_000, packetMs });
        expect(gapsMs[0], `${packetMs} ms`).toEqual([5_000]);
        expect(endMs).toBe(200 * packetMs + 5_000);
      }
    });

    for (const jitterMs of [5, 10, 30]) {
      it(`is found to ${jitterMs} ms with jitter of ${jitterMs} ms`, () => {
        const random = seeded(jitterMs);
        const arrivals = sender(
          60,
          (s) => (s < 10 || s >= 17) && (s < 30 || s >= 33),
          () => (random() * jitterMs) / 1000,
        );
        const { placed } = place(arrivals);
        const shift = shifts(placed).slice(-100);
        expect(Math.min(...shift)).toBeGreaterThan(-2 * jitterMs - 5);
        expect(Math.max(...shift)).toBeLessThan(jitterMs + 5);
      });
    }

    for (const [muteS, jitterMs, loss] of [
      [2, 60, 0],
      [2, 60, 0.1],
      [0.4, 60, 0],
      [10, 100, 0.02],
    ] as const) {
      it(`is found each time with jitter of ${jitterMs} ms: five of ${muteS} s, ${loss * 100} % lost`, () => {
        for (let seed = 1; seed <= 20; seed++) {
          const random = seeded(seed);
          const sent = sender(
            30 + 5 * muteS,
            (s) => Math.round(s * 50) % Math.round((5 + muteS) * 50) < 250,
            () => (random() * jitterMs) / 1000,
          );
          const { placed } = place(sent.filter(() => random() >= loss));
          const shift = shifts(placed).slice(-50);
          expect(Math.min(...shift), `seed ${seed}`).toBeGreaterThan(-2 * jitterMs);
          expect(Math.max(...shift), `seed ${seed}`).toBeLessThan(1.5 * jitterMs);
        }
      });
    }

    it('is found a minute later when jitter conceals it, and never left uncorrected', () => {
      const random = seeded(4);
      const arrivals = sender(
        150,
        (s) => s < 20 || s >= 20.4,
        () => random() * 0.15,
      );
      const { placed } = place(arrivals);
      expect(Math.min(...shifts(placed).slice(-1000))).toBeGreaterThan(-250);
    });
  });

  describe('a sender whose clock is slow', () => {
    for (const [what, drift] of [
      ['0.2 %', 0.002],
      ['1 %', 0.01],
    ] as const) {
      it(`by ${what} stays within 0.25 s of arrival for ten minutes, in step with the other side`, () => {
        const customer = Array.from({ length: 28_000 }, (_, k) => packet(k * 0.02, k, k * 160, 0));
        const agent = Array.from({ length: 28_000 }, (_, k) => packet(k * 0.02 * (1 + drift), k, k * 160, 1));
        const arrivals = [...customer, ...agent].sort((a, b) => a.arrivalUs - b.arrivalUs);
        const { placed, gapsMs, counts } = place(arrivals);
        const agentShift = shifts(placed.filter((p) => p.channel === 1 && p.arrivalMs > 90_000));
        const limitMs = drift === 0.002 ? 200 : 600;
        expect(Math.min(...agentShift)).toBeGreaterThan(-limitMs);
        expect(Math.max(...shifts(placed))).toBeLessThan(1);
        expect(gapsMs[0]).toEqual([]);
        expect(Math.max(...(gapsMs[1] as number[]))).toBeLessThan(limitMs + 100);
        expect(counts.packetsLost).toBe(0);
      });
    }
  });

  describe('a network that delays packets', () => {
    for (const seconds of [0.1, 0.2, 0.4, 0.9, 1.5, 5, 20]) {
      it(`for ${seconds} s and delivers them at once is no standstill`, () => {
        const arrivals = sender(60, always, (s) => (s >= 10 && s < 10 + seconds ? 10 + seconds - s + 0.0001 : 0));
        const { gapsMs, endMs } = place(arrivals);
        expect(gapsMs[0]).toEqual([]);
        expect(endMs).toBe(60_000);
      });
    }

    it('and catches up at only 1.5 times the pace is no standstill', () => {
      for (const seconds of [0.5, 2, 6]) {
        const arrivals = sender(60, always, (s) => (s < 10 ? 0 : Math.max(0, seconds - (s - 10) / 3)));
        const { gapsMs, endMs } = place(arrivals);
        expect(gapsMs[0], `${seconds} s`).toEqual([]);
        expect(endMs).toBe(60_000);
      }
    });

    it('step by step, with a backlog that comes and goes, is no standstill', () => {
      const arrivals = sender(300, always, (s) => 1.5 + 1.5 * Math.sin(s / 7) + 0.3 * Math.sin(s * 3));
      const { gapsMs, endMs } = place(arrivals);
      expect(gapsMs[0]).toEqual([]);
      expect(endMs).toBe(300_000);
    });

    it('with ordinary jitter is no standstill, with any seed', () => {
      for (const jitterMs of [20, 60, 200]) {
        for (let seed = 1; seed <= 10; seed++) {
          const random = seeded(seed);
          const { gapsMs } = place(sender(120, always, () => (random() ** 3 * jitterMs) / 1000));
          expect(gapsMs[0], `seed ${seed}, ${jitterMs} ms`).toEqual([]);
        }
      }
    });

    it
      .skipIf(!existsSync(TRACES))
      .each(['pcmu-clean', 'opus-clean', 'opus-mobile', 'opus-congested', 'pcma-congested'])(
      'in the trace %s is no standstill',
      (name) => {
        const lines = readFileSync(new URL(`${name}.jsonl`, TRACES), 'utf8')
          .trim()
          .split('\n');
        const [head, ...packets] = lines.map((line) => JSON.parse(line));
        const { buffer, out } = open(head.clockHz);
        replay(
          buffer,
          packets.map(({ seq, ts, arrivalUs }, payload) => ({ sequence: seq, timestamp: ts, arrivalUs, payload })),
          out,
        );
        expect(out.standstills).toEqual([]);
      },
    );
  });

  describe('timestamps that do not tell the time', () => {
    it('are not taken for a standstill when they stand still, fall, or are set back while packets arrive', () => {
      for (const timestamp of [() => 800, (k: number) => 1e6 - 160 * k, (k: number) => (k < 100 ? 1e6 : 0) + 160 * k]) {
        const { buffer, out } = open();
        const arrivals = Array.from({ length: 1000 }, (_, k) => packet(k * 0.02, k, timestamp(k)));
        replay(buffer, arrivals, out);
        expect(out.standstills).toEqual([]);
      }
    });

    it('hold back packets after a long stall for 100 ms and no longer', () => {
      const { buffer, out } = open();
      const waits: number[] = [];
      let nowUs = 0;
      out.packet = (packets, row) => {
        waits.push(nowUs - (packets.arrivalUs[row] as number));
      };
      for (const a of sender(10, (s) => s < 2 || s >= 5)) {
        for (nowUs = buffer.nextDueUs(); nowUs <= a.arrivalUs; nowUs = buffer.nextDueUs()) buffer.advance(nowUs, out);
        insert(buffer, a);
      }
      advanceTo(buffer, 9_000_000, out);
      const usualUs = delays === 'fixed' ? 50_000 : 0;
      expect(waits.slice(3, 100).every((us) => us === usualUs)).toBe(true);
      // Adaptive: the third packet after the stall shows that the sender stood still, and nothing waits any longer.
      expect(waits.slice(100, 104)).toEqual(
        delays === 'fixed' ? [100_000, 90_000, 70_000, 50_000] : [60_000, 40_000, 20_000, 0],
      );
      expect(waits.slice(104).every((us) => us === usualUs)).toBe(true);
    });
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import type { Stream } from '../../../src/engine/streams.js';
import { CaptureRig } from '../../support/engine/capture-rig.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';

const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const MS = 1000;
/** Decodes to what concealment and silence never are. */
const LOUD = 0x80;

let rig: CaptureRig;
afterEach(() => rig.remove());

/** Packet `n` of 20 ms, at its time or later. */
function take(stream: Stream, n: number, arrivalMs = n * 20): void {
  const payload = new Uint8Array(160).fill(LOUD + (n % 64));
  rig.take(stream, { sequence: n, timestamp: n * 160, arrivalUs: 2_000_000 + arrivalMs * MS, payload });
}

function takeAll(stream: Stream, from: number, to: number, without: readonly number[] = []): void {
  for (let n = from; n < to; n++) if (!without.includes(n)) take(stream, n);
}

/** Whether the recording has the audio of packet `n`. */
function has(n: number): boolean {
  const pcm = rig.wav('call').samples.subarray(n * 160, (n + 1) * 160);
  const first = pcm[0] as number;
  return first !== 0 && pcm.every((sample) => sample === first) && first === ulaw(LOUD + (n % 64));
}

function ulaw(byte: number): number {
  const code = ~byte & 0xff;
  return (((code & 15) << 3) + 132) * 2 ** ((code >> 4) & 7) - 132;
}

describe('a late packet and a pause', () => {
  it('that began before it came: it is withheld, wherever it belongs', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 20, [5]);
    rig.advanceTo(2_000_000 + 500 * MS);
    rig.input.pause(stream);
    take(stream, 5, 510);
    rig.input.resume(stream, 2_000_000 + 550 * MS);
    takeAll(stream, 30, 40);
    rig.advanceTo(2_000_000 + 2000 * MS);
    const summary = rig.end(stream);
    expect(summary).toMatchObject({ packetsLate: 1, packetsRepaired: 0, packetsPaused: 1 });
    expect(has(5)).toBe(false);
    expect(has(4)).toBe(true);
  });

  it('that is over when it comes: it is recorded if it belongs before or behind it, and never if it belongs into it', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 20, [5]);
    rig.advanceTo(2_000_000 + 500 * MS);
    rig.input.pause(stream);
    takeAll(stream, 26, 40, [30]);
    rig.advanceTo(2_000_000 + 900 * MS);
    rig.input.resume(stream, 2_000_000 + 900 * MS);
    takeAll(stream, 46, 60, [50]);
    rig.advanceTo(2_000_000 + 1400 * MS);
    take(stream, 5, 1401);
    take(stream, 30, 1402);
    take(stream, 50, 1403);
    rig.advanceTo(2_000_000 + 2000 * MS);
    const summary = rig.end(stream);
    expect(summary).toMatchObject({ packetsLate: 3, packetsRepaired: 2, packetsPaused: 14 });
    expect([5, 30, 50].map(has)).toEqual([true, false, true]);
    const paused = rig.manifest('call').spans.filter(({ state }) => state === 'paused');
    for (const { startMs, endMs } of paused) {
      expect(
        rig
          .wav('call')
          .samples.subarray(startMs * 8, endMs * 8)
          .every((sample) => sample === 0),
      ).toBe(true);
    }
    expect(paused).toHaveLength(1);
  });
});

describe('a packet that comes just after a pause', () => {
  it('and was overtaken by one that came in it, is withheld like that one', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 25);
    rig.advanceTo(2_000_000 + 490 * MS);
    rig.input.pause(stream);
    takeAll(stream, 25, 31, [29]);
    rig.advanceTo(2_000_000 + 605 * MS);
    rig.input.resume(stream, 2_000_000 + 605 * MS);
    // Packet 30 still waits for it.
    take(stream, 29, 610);
    takeAll(stream, 31, 40);
    rig.advanceTo(2_000_000 + 2000 * MS);
    expect(rig.end(stream)).toMatchObject({ packetsLate: 0, packetsLost: 0, packetsPaused: 6 });
    expect([24, 28, 29, 30, 31].map(has)).toEqual([true, false, false, false, true]);
    expect(rig.live.map(({ sequence }) => sequence)).not.toContain(30);
    const paused = rig.manifest('call').spans.filter(({ state }) => state === 'paused');
    expect(paused).toEqual([{ channel: 0, startMs: 500, endMs: 620, state: 'paused' }]);
  });
});

describe('what was said in a pause and arrives only after it', () => {
  const paused = () => rig.manifest('call').spans.filter(({ state }) => state === 'paused');
  const SAID_IN_PAUSE = Array.from({ length: 26 }, (_, i) => 25 + i);

  it.each(['js', 'native'] as const)(
    'is withheld when the network stalls for the whole of the pause, %s',
    (backend) => {
      if (backend === 'native' && nativeMissing() !== undefined) return;
      rig = new CaptureRig(backend);
      const stream = rig.open('call', FORMAT);
      takeAll(stream, 0, 25);
      rig.advanceTo(2_000_000 + 490 * MS);
      rig.input.pause(stream);
      rig.advanceTo(2_000_000 + 1010 * MS);
      rig.input.resume(stream, 2_000_000 + 1010 * MS);
      // Nothing of the pause has come before this: 25 to 50 were sent in it.
      for (let n = 25; n < 60; n++) take(stream, n, Math.max(n * 20, 1100 + (n - 25)));
      takeAll(stream, 60, 70);
      rig.advanceTo(2_000_000 + 2500 * MS);
      expect(rig.end(stream)).toMatchObject({ packetsPaused: 26, packetsLost: 0 });
      expect(SAID_IN_PAUSE.filter(has)).toEqual([]);
      expect(rig.live.map(({ sequence }) => sequence)).not.toContain(50);
      expect([24, 51, 52, 69].map(has)).toEqual([true, true, true, true]);
      expect(paused()).toEqual([{ channel: 0, startMs: 500, endMs: 1020, state: 'paused' }]);
    },
  );

  it('is withheld packet by packet too, and the packets behind it are not', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 25);
    rig.advanceTo(2_000_000 + 490 * MS);
    rig.input.pause(stream);
    takeAll(stream, 25, 45);
    rig.advanceTo(2_000_000 + 1010 * MS);
    rig.input.resume(stream, 2_000_000 + 1010 * MS);
    // The last ones of the pause come with 250 ms of delay, behind those that follow, or in front of them.
    take(stream, 45, 1015);
    take(stream, 51, 1020);
    take(stream, 46, 1030);
    takeAll(stream, 52, 60);
    for (const n of [47, 48, 49, 50]) take(stream, n, 1200 + n);
    rig.advanceTo(2_000_000 + 2500 * MS);
    expect(rig.end(stream)).toMatchObject({ packetsPaused: 26, packetsLost: 0, packetsRepaired: 0 });
    expect(SAID_IN_PAUSE.filter(has)).toEqual([]);
    expect([24, 51, 52, 59].map(has)).toEqual([true, true, true, true]);
  });

  it('is let through when it was said before the pause and arrives behind its end', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 25, [23]);
    rig.advanceTo(2_000_000 + 600 * MS);
    rig.input.pause(stream);
    takeAll(stream, 30, 51);
    rig.advanceTo(2_000_000 + 1010 * MS);
    rig.input.resume(stream, 2_000_000 + 1010 * MS);
    takeAll(stream, 51, 60);
    take(stream, 23, 1300);
    rig.advanceTo(2_000_000 + 2500 * MS);
    rig.end(stream);
    expect([22, 23, 24, 50, 51].map(has)).toEqual([true, true, true, false, true]);
  });

  it('does not keep back a sender that stood still in the pause', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    takeAll(stream, 0, 25);
    rig.advanceTo(2_000_000 + 490 * MS);
    rig.input.pause(stream);
    rig.advanceTo(2_000_000 + 2490 * MS);
    rig.input.resume(stream, 2_000_000 + 2490 * MS);
    // Numbers and timestamps go on as if there had been no pause; packets come at their pace.
    for (let n = 25; n < 60; n++) take(stream, n, n * 20 + 2000);
    rig.advanceTo(2_000_000 + 4000 * MS);
    expect(rig.end(stream)).toMatchObject({ packetsPaused: 0, packetsLost: 0 });
    expect(paused()).toEqual([{ channel: 0, startMs: 500, endMs: 2500, state: 'paused' }]);
  });
});

describe('late packets of a hostile sender', () => {
  it('are recorded for as long as time goes by and 20 s more; the rest is dropped and counted', () => {
    rig = new CaptureRig('js');
    const stream = rig.open('call', FORMAT);
    take(stream, 0, 0);
    // Gaps of a second, nearly all filled at once.
    for (let n = 50; n <= 4000; n += 50) take(stream, n, n * 20);
    for (let n = 1; n < 3900; n++) if (n % 50 !== 0) take(stream, n, 80_020);
    // Half a second later there is time for 25 more.
    for (let n = 3901; n < 3950; n++) take(stream, n, 80_520);
    const { packetsLate, packetsRepaired, packetsDropped } = rig.end(stream);
    expect(packetsLate).toBe(3822 + 49);
    expect(packetsRepaired).toBe(1000 + 25);
    expect(packetsRepaired + packetsDropped).toBe(packetsLate);
    expect(rig.input.latePacketsRefused).toBe(packetsDropped);
    expect(rig.manifest('call').packetsRepaired).toBe(packetsRepaired);
  });

  it('take no space in the ring that others need: what does not fit is dropped and counted', () => {
    rig = new CaptureRig('js', { streams: 2, inputRingBytes: 1 << 14 });
    const other = rig.open('other', FORMAT);
    const stream = rig.open('call', FORMAT);
    take(stream, 0, 0);
    take(stream, 2000, 40_000);
    rig.advanceTo(2_000_000 + 41_000 * MS);
    // All at once: no shard has time to take any.
    for (let n = 1000; n < 1999; n++) take(stream, n, 41_000);
    const { batch } = rig.input;
    expect(batch).toBeDefined();
    take(other, 0, 41_000);
    take(other, 1, 41_020);
    rig.advanceTo(2_000_000 + 42_000 * MS);
    const counts = rig.end(stream);
    expect(counts.packetsLate).toBe(999);
    expect(counts.packetsRepaired + counts.packetsDropped).toBe(999);
    expect(counts.packetsDropped).toBeGreaterThan(0);
    expect(rig.end(other)).toMatchObject({ packetsReceived: 2, packetsDropped: 0, packetsLost: 0 });
  });

  it('are recorded wherever in the ring they come to lie, when the shard is hardly behind', () => {
    rig = new CaptureRig('js', { inputRingBytes: 1 << 14, playoutDelay: 'fixed', playoutDelayMs: 50 });
    const stream = rig.open('call', FORMAT);
    for (let n = 0; n < 2000; n++) {
      if (n % 22 !== 0 || n === 0) take(stream, n, n * 20 + (n % 22 === 10 ? 10 : 0));
      if (n < 50 || n % 22 !== 9) continue;
      // Two packets fall due, at two times, and the shard reads neither. Behind the first there is padding at times.
      for (const dueMs of [10, 30]) {
        rig.clock.advanceUs(2_000_000 + (n * 20 + dueMs) * MS - rig.clock.nowUs());
        rig.input.advance(rig.clock.nowUs());
      }
      take(stream, n - 9, n * 20 + 30);
    }
    const { packetsLate, packetsRepaired, packetsDropped } = rig.end(stream);
    expect(packetsLate).toBe(89);
    expect({ packetsRepaired, packetsDropped }).toEqual({ packetsRepaired: packetsLate, packetsDropped: 0 });
  });
});

import { afterEach, expect, it } from 'vitest';
import { CaptureRig } from '../../support/engine/capture-rig.js';
import { seeded } from '../../support/rtp/replay.js';

const FORMAT = { codec: 'l16', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const START_US = 2_000_000;
const PACKETS = 60;

let rig: CaptureRig;
afterEach(() => rig.remove());

/** 160 samples that are all the number of the packet in the call. */
function payloadOf(index: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(320));
  for (let i = 0; i < 160; i++) view.setInt16(2 * i, 1000 + index);
  return new Uint8Array(view.buffer);
}

/**
 * The sender begins again in the middle of the call; the clock of its timestamps goes on or begins again too. Of the
 * packets before and behind that, some come late, even behind the restart.
 */
it.each(Array.from({ length: 24 }, (_, i) => i + 1))(
  'a restart keeps late packets of both numberings (seed %i)',
  (seed) => {
    rig = new CaptureRig('js');
    const random = seeded(seed);
    const stream = rig.open('call', FORMAT);
    const goesOn = random() < 0.5;
    const restart = 25 + Math.floor(random() * 10);
    const first = Math.floor(random() * 65_536);
    const second = (first + 20_000 + Math.floor(random() * 20_000)) % 65_536;
    const firstTimestamp = Math.floor(random() * 2 ** 32);
    const secondTimestamp = goesOn
      ? firstTimestamp + restart * 160
      : firstTimestamp + 10 ** 8 + Math.floor(random() * 10 ** 8);
    const arrivals = Array.from({ length: PACKETS }, (_, index) => {
      const isLast = index >= restart;
      const isCalm = index < 3 || index > PACKETS - 10 || Math.abs(index - restart) < 4;
      let lateMs = !isCalm && random() < 0.3 ? 100 + random() * 900 : 0;
      // While it is being found out whether the sender has restarted, a packet of before says that it has not.
      const behindMs = index * 20 + lateMs - restart * 20;
      if (lateMs > 0 && behindMs > -100 && behindMs < 300) lateMs += 400;
      return {
        sequence: ((isLast ? second - restart : first) + index + 65_536) % 65_536,
        timestamp: (isLast ? secondTimestamp + (index - restart) * 160 : firstTimestamp + index * 160) % 2 ** 32,
        arrivalUs: START_US + index * 20_000 + Math.round(lateMs * 1000),
        payload: payloadOf(index),
      };
    });
    for (const packet of arrivals.sort((a, b) => a.arrivalUs - b.arrivalUs)) rig.take(stream, packet);
    rig.advanceTo(START_US + 4_000_000);
    const summary = rig.end(stream);
    expect(summary).toMatchObject({ packetsReceived: PACKETS, packetsLost: 0, packetsDuplicate: 0, packetsForeign: 0 });
    expect(summary.packetsRepaired).toBe(summary.packetsLate);
    const { samples } = rig.wav('call');
    for (let index = 0; index < PACKETS; index++) {
      expect(
        samples.subarray(index * 160, index * 160 + 160).every((sample) => sample === 1000 + index),
        `${index}`,
      ).toBe(true);
    }
    expect(rig.manifest('call').spans.every(({ state }) => state !== 'lost')).toBe(true);
  },
);

import { JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { MODULUS_16, Unwrapper } from '../../src/rtp/unwrapper.js';
import type { MicroCase } from './micro.js';

const LANES = 1_000;
const HOLD_US = 50_000;
const PACKET_US = 20_000;
const PACKET_BYTES = 160;

export function rtpCases(): MicroCase[] {
  return [
    unwrap(),
    jitter('rtp jitter insert and release, in order', false),
    jitter('rtp jitter insert and release, one in ten overtaken', true),
  ];
}

function unwrap(): MicroCase {
  const unwrapper = new Unwrapper(LANES, MODULUS_16);
  let wire = 65_000;
  return {
    name: 'rtp unwrap and accept a sequence number',
    unit: 'packet',
    steps: LANES,
    run() {
      wire = (wire + 1) % MODULUS_16;
      for (let lane = 0; lane < LANES; lane++) unwrapper.accept(lane, wire, unwrapper.unwrap(lane, wire));
    },
  };
}

/** A tick of every lane goes in, and what is due comes out: each lane holds three packets all the time. */
function jitter(name: string, overtaken: boolean): MicroCase {
  const buffer = new JitterBuffer({ lanes: LANES, packets: 8_192, holdUs: HOLD_US, wideHoldUs: 2 * HOLD_US });
  for (let lane = 0; lane < LANES; lane++) buffer.openLane(lane, 8_000);
  let released = 0;
  const output = {
    isReady: () => true,
    packet: () => {
      released++;
    },
    lost: () => {
      released++;
    },
  };
  let tick = 1;
  return {
    name,
    unit: 'packet',
    steps: LANES,
    run() {
      const nowUs = tick * PACKET_US;
      for (let lane = 0; lane < LANES; lane++) {
        // Every tenth lane sends its packets in pairs, the later one first.
        const turned = overtaken && lane % 10 === 0 ? tick + (tick % 2 === 0 ? 1 : -1) : tick;
        buffer.insert(lane, turned % MODULUS_16, turned * PACKET_BYTES, nowUs, 0, 0, PACKET_BYTES);
      }
      buffer.advance(nowUs, output);
      tick++;
      if (tick > 10 && released === 0) throw new Error('Nothing comes out of the jitter buffer.');
    },
  };
}

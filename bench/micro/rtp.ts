import { channelStates, FIELD } from '../../src/rtp/channel-state.js';
import { ClockAlignment } from '../../src/rtp/clock/clock-alignment.js';
import { JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { PacketRing } from '../../src/rtp/packet-ring.js';
import { PlayoutQuality } from '../../src/rtp/quality/playout-quality.js';
import { StandstillDetector } from '../../src/rtp/standstill-detector.js';
import { MODULUS_16, Unwrapper } from '../../src/rtp/unwrapper.js';
import type { MicroCase } from './micro-case.js';

const CHANNELS = 1_000;
const HOLD_US = 50_000;
const PACKET_US = 20_000;
const PACKET_BYTES = 160;

export function rtpCases(): MicroCase[] {
  return [
    unwrap(),
    jitter('rtp jitter insert and release, in order', 'adaptive', false),
    jitter('rtp jitter insert and release, one in ten overtaken', 'adaptive', true),
    jitter('rtp jitter insert and release, fixed delay, in order', 'fixed', false),
    jitter('rtp jitter insert and release, fixed delay, one in ten overtaken', 'fixed', true),
    estimates(),
  ];
}

function unwrap(): MicroCase {
  const unwrapper = new Unwrapper(MODULUS_16, channelStates(CHANNELS), FIELD.SEQUENCE_MODULUS);
  for (let channel = 0; channel < CHANNELS; channel++) unwrapper.open(channel);
  let wire = 65_000;
  return {
    name: 'rtp unwrap and accept a sequence number',
    unit: 'packet',
    steps: CHANNELS,
    run() {
      wire = (wire + 1) % MODULUS_16;
      for (let channel = 0; channel < CHANNELS; channel++)
        unwrapper.accept(channel, wire, unwrapper.unwrap(channel, wire));
    },
  };
}

/** What the estimates cost each packet: the clock at its insertion, the quality at its release. */
function estimates(): MicroCase {
  const packets = new PacketRing(1_024, Float64Array.of(0, 0, 0, 0));
  const clocks = new ClockAlignment(CHANNELS, packets, new StandstillDetector(CHANNELS, packets));
  const quality = new PlayoutQuality(CHANNELS);
  for (let channel = 0; channel < CHANNELS; channel++) {
    clocks.open(channel, 8_000);
    quality.open(channel, 8_000, 'pcmu');
    packets.channel[channel] = channel;
  }
  let tick = 0;
  return {
    name: 'rtp estimate clock and quality of a packet',
    unit: 'packet',
    steps: CHANNELS,
    run() {
      tick++;
      for (let channel = 0; channel < CHANNELS; channel++) {
        packets.timestamp[channel] = tick * PACKET_BYTES;
        packets.arrivalUs[channel] = tick * PACKET_US;
        clocks.observe(channel, channel);
        quality.packet(packets, channel);
      }
    },
  };
}

/** A tick of every channel goes in, and what is due comes out: with a fixed delay each channel holds three packets all the time. */
function jitter(name: string, playoutDelay: 'adaptive' | 'fixed', overtaken: boolean): MicroCase {
  const buffer = new JitterBuffer({
    channels: CHANNELS,
    packets: 8_192,
    playoutDelay,
    playoutDelayUs: HOLD_US,
    maxPlayoutDelayUs: 2 * HOLD_US,
  });
  for (let channel = 0; channel < CHANNELS; channel++) buffer.openChannel(channel, 8_000);
  const { packets } = buffer;
  let released = 0;
  const output = {
    isReady: () => true,
    hasSpace: () => true,
    packet: () => {
      released++;
    },
    late: () => {},
    standstill: () => {},
    lost: () => {
      released++;
    },
  };
  let tick = 1;
  return {
    name,
    unit: 'packet',
    steps: CHANNELS,
    run() {
      const nowUs = tick * PACKET_US;
      for (let channel = 0; channel < CHANNELS; channel++) {
        // Every tenth channel sends its packets in pairs, the later one first.
        const turned = overtaken && channel % 10 === 0 ? tick + (tick % 2 === 0 ? 1 : -1) : tick;
        const row = packets.freeRow();
        packets.channel[row] = channel;
        packets.wireSequence[row] = turned % MODULUS_16;
        packets.wireTimestamp[row] = turned * PACKET_BYTES;
        packets.arrivalUs[row] = nowUs;
        packets.flags[row] = 0;
        packets.payloadOffset[row] = 0;
        packets.payloadLength[row] = PACKET_BYTES;
        packets.fill(1);
        buffer.insert(packets.filledRow(), output);
      }
      buffer.advance(nowUs, output);
      tick++;
      if (tick > 10 && released === 0) throw new Error('Nothing comes out of the jitter buffer.');
    },
  };
}

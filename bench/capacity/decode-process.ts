import { Buffer } from 'node:buffer';
import process from 'node:process';
import { systemClock } from '../../src/core/clock.js';
import { US_PER_SECOND } from '../../src/core/units.js';
import { OpusDecoder } from '../../src/media/opus.js';
import { serve, tell } from './messages.js';
import { SpeechPayloads } from './payloads.js';
import type { Load } from './plan.js';
import { formatOf } from './subscription/plan.js';

/**
 * A plain loop over the decoder on the very packets of the load, each stream with a decoder of its own and all of
 * them in turn, as they come over the wire: what Opus costs a shard at the least.
 */
const SECONDS = 1;
const WARMUP_TICKS = 10;

function decodeLoop(load: Load): number {
  const payloads = new SpeechPayloads(load.codec);
  const all = Array.from({ length: load.streams }, (_, index) => payloads.speech(index));
  const packetsOf = new Map(
    all.map((speech) => [speech.payloads, speech.payloads.map((text) => Buffer.from(text, 'base64'))]),
  );
  const streams = all.map(({ start, payloads: loop }, index) => ({
    decoder: new OpusDecoder(formatOf(load.codec, index).sampleRate),
    packets: packetsOf.get(loop) as Buffer[],
    start,
  }));
  const out = new Int16Array(5_760);
  const tick = (k: number): void => {
    for (const { decoder, packets, start } of streams) {
      const packet = packets[(start + k) % packets.length] as Buffer;
      decoder.decode(packet, 0, packet.length, out, 0);
    }
  };
  for (let k = 0; k < WARMUP_TICKS; k++) tick(k);
  const beganUs = systemClock.nowUs();
  const before = process.cpuUsage();
  let ticks = 0;
  while (systemClock.nowUs() - beganUs < SECONDS * US_PER_SECOND) tick(WARMUP_TICKS + ticks++);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (ticks * load.streams);
}

serve((order) => {
  if (order.kind === 'decode') tell({ kind: 'decoded', cpuMicrosPerPacket: decodeLoop(order.load) });
  else process.disconnect?.();
});

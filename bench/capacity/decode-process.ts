import process from 'node:process';
import { systemClock } from '../../src/core/clock.js';
import { US_PER_SECOND } from '../../src/core/units.js';
import { DECODERS, layOut } from './decode-loop.js';
import { type OpusImplementation, serve, tell } from './messages.js';
import type { Load } from './plan.js';

const LEAST_US = 2 * US_PER_SECOND;

/**
 * A plain loop over the decoder on the very packets of the load, each stream with a decoder of its own and all of
 * them in turn, as they come over the wire: what Opus costs a shard at the least.
 */
function decodeLoop(load: Load, implementation: OpusImplementation): number {
  const packets = layOut(load);
  const decode = DECODERS[implementation](load.streams);
  const decoded = decode(packets);
  if (decoded !== packets.lengths.length) throw new Error(`${decoded} of ${packets.lengths.length} were decoded.`);
  const beganUs = systemClock.nowUs();
  const before = process.cpuUsage();
  let count = 0;
  while (systemClock.nowUs() - beganUs < LEAST_US) count += decode(packets);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

serve((order) => {
  if (order.kind === 'decode') tell({ kind: 'decoded', cpuMicrosPerPacket: decodeLoop(order.load, order.decoder) });
  else process.disconnect?.();
});

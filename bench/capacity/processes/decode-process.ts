import process from 'node:process';
import { TrunklineError } from '../../../src/core/errors.js';
import { DECODE_LOOPS, layOut } from '../decode-loop.js';
import type { Load } from '../load/plan.js';
import { type OpusImplementation, serve, tell } from './messages.js';

const RUN_MS = 2_000;

/**
 * A plain loop over the decoder on the packets of the load, each stream with a decoder of its own and all of them in
 * turn, as they arrive: the least that Opus costs a shard. Undefined when the loop cannot be built here.
 */
function decodeLoop(load: Load, implementation: OpusImplementation): number | undefined {
  const packets = layOut(load);
  try {
    const { decoded, cpuMicrosPerPacket } = DECODE_LOOPS[implementation](packets, load.streams, RUN_MS);
    if (decoded !== packets.lengths.length) throw new Error(`${decoded} of ${packets.lengths.length} were decoded.`);
    return cpuMicrosPerPacket;
  } catch (thrown) {
    if (!(thrown instanceof TrunklineError && thrown.code === 'NATIVE_UNAVAILABLE')) throw thrown;
    process.stderr.write(`${thrown.message}\nThis run has no such baseline.\n`);
    return undefined;
  }
}

serve((order) => {
  if (order.kind === 'decode') tell({ kind: 'decoded', cpuMicrosPerPacket: decodeLoop(order.load, order.decoder) });
  else process.disconnect?.();
});

import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { DECODE_LOOPS, layOut, type Packets } from '../../bench/capacity/decode-loop.js';
import type { OpusImplementation } from '../../bench/capacity/processes/messages.js';

const hasCargo = spawnSync('cargo', ['--version']).status === 0;
if (!hasCargo) console.warn('skipped: the plain loop over libopus, which cargo builds');

const STREAMS = 7;
const packets = layOut({ codec: 'opus', streams: STREAMS });

/** The same with the third packet of the second round in a framing that no decoder takes. */
function damaged({ bytes, lengths }: Packets): Packets {
  const at = lengths.subarray(0, STREAMS + 2).reduce((sum, length) => sum + length, 0);
  const copy = Buffer.from(bytes);
  // Code 3 with no frames at all (RFC 6716 3.2.5).
  copy[at] = (copy[at] as number) | 3;
  copy[at + 1] = 0;
  return { bytes: copy, lengths };
}

function expectsAll(decoder: OpusImplementation): void {
  const run = DECODE_LOOPS[decoder];
  expect(packets.lengths.length).toBe(50 * STREAMS);
  const { decoded, cpuMicrosPerPacket } = run(packets, STREAMS, 1);
  expect(decoded).toBe(packets.lengths.length);
  expect(cpuMicrosPerPacket).toBeGreaterThan(1);
  expect(run(damaged(packets), STREAMS, 1).decoded).toBe(packets.lengths.length - 1);
}

// The first time, cargo builds the loop.
it.skipIf(!hasCargo)('decodes every packet of the load in a plain loop over libopus', { timeout: 240_000 }, () => {
  expectsAll('libopus');
});

it('decodes every packet of the load in a plain loop over libopus in WebAssembly', () => expectsAll('webassembly'));

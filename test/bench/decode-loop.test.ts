import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { DECODERS, layOut, type Packets } from '../../bench/capacity/decode-loop.js';
import type { OpusImplementation } from '../../bench/capacity/messages.js';
import { nativeMissing } from '../support/engine/shard-rig.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

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
  const decode = DECODERS[decoder](STREAMS);
  expect(packets.lengths.length).toBe(50 * STREAMS);
  expect(decode(packets)).toBe(packets.lengths.length);
  expect(decode(damaged(packets))).toBe(packets.lengths.length - 1);
}

it.skipIf(missing !== undefined)('decodes every packet of the load in a plain loop of libopus', () => {
  expectsAll('libopus');
});

it('decodes every packet of the load in a plain loop of opusscript', () => expectsAll('opusscript'));

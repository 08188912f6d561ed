import { describe, expect, it } from 'vitest';
import type { PacketBatch } from '../../src/engine/input/packet-batch.js';
import { nativeSocketReader } from '../../src/native/socket-reader.js';
import { KIND } from '../../src/ring/layout.js';
import type { InteractionTable } from '../../src/sources/genesys/interaction-table.js';
import { JsSocketReader } from '../../src/sources/genesys/protocol/socket-reader.js';
import { nativeMissing } from '../support/engine/shard-rig.js';
import { difference, type Exercise, report, shrink } from '../support/packet-path/compare.js';
import type { PathParts } from '../support/packet-path/path-rig.js';
import { RARE_SEEDS, randomScript } from '../support/packet-path/script.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

// TRUNKLINE_PATH_CASES=20000 runs so many scripts, TRUNKLINE_PATH_SEED=7 begins with that seed (1 by itself).
// From 1,000,000 on they have more of what is rare (script.ts). TRUNKLINE_PATH_COMPARE_EVERY=1 compares all figures after each step.
const cases = Number(process.env['TRUNKLINE_PATH_CASES'] ?? 160);
const firstSeed = Number(process.env['TRUNKLINE_PATH_SEED'] ?? 1);
/** Scripts in which the paths once differed: in the order around late packets, and in what a full ring held back. */
const ONCE_DIFFERENT = [5528, 6131, 6982, 5661, 6206];
const RARE_CASES = 20;
/** Scripts to a test, so that a wide run shows how far it is. */
const BLOCK = 80;
const BLOCK_TIMEOUT_MS = 600_000;

/** Without these, equal paths would prove little. */
const MUST_HAPPEN = [
  ...['packetsReceived', 'packetsLost', 'packetsLate', 'packetsRepaired', 'packetsDuplicate', 'packetsForeign'],
  ...['packetsReordered', 'packetsDropped', 'packetsPaused', 'jitterUs'],
  ...[
    'malformed',
    'unknownInteraction',
    'badBase64',
    'arenaFull',
    'wrongFormat',
    'unknownMessages',
    'controls',
    'refusedByRings',
  ],
  ...[KIND.PACKET, KIND.LOST, KIND.OPEN, KIND.CLOSE, KIND.MARK, KIND.LATE_PACKET].map(
    (kind) => `records of kind ${kind}`,
  ),
];

const js: PathParts = { native: 'off', reader: () => undefined };
const native: PathParts = { native: 'require', reader: nativeSocketReader };

/** Reads as the reference does, but gets the timestamp of every packet wrong whose number is a multiple of 10. */
class FaultyReader extends JsSocketReader {
  readonly #batch: PacketBatch;

  constructor(batch: PacketBatch) {
    super(batch);
    this.#batch = batch;
  }

  override read(bytes: Uint8Array, from: number, to: number, table: InteractionTable, arrivalUs: number): number {
    const { columns, row: first } = this.#batch;
    const rows = super.read(bytes, from, to, table, arrivalUs);
    for (let row = first; row < first + rows; row++) {
      if ((columns.wireSequence[row] as number) % 10 === 0) (columns.wireTimestamp[row] as number) += 1;
    }
    return rows;
  }
}

describe.skipIf(missing !== undefined)('the packet path, from the bytes of sockets to the input rings', () => {
  const blocks = Array.from({ length: Math.ceil(cases / BLOCK) }, (_, block) => firstSeed + block * BLOCK);

  it.each(blocks)(
    'is the same in JavaScript and native, seeds from %i on',
    { timeout: BLOCK_TIMEOUT_MS },
    async (from) => {
      const exercise: Exercise = new Map();
      const end = Math.min(from + BLOCK, firstSeed + cases);
      for (let seed = from; seed < end; seed++) {
        const script = randomScript(seed);
        if ((await difference(script, js, native, exercise)) !== undefined) {
          expect.fail(await report(script, js, native));
        }
      }
      if (process.env['TRUNKLINE_PATH_CASES'] !== undefined) console.log(Object.fromEntries(exercise));
      // A few scripts cannot have everything.
      const expected = end - from < BLOCK ? [] : MUST_HAPPEN;
      const never = expected.filter((name) => !((exercise.get(name) ?? 0) > 0));
      expect(never, 'what has never happened in all these scripts').toEqual([]);
    },
  );
});

describe.skipIf(missing !== undefined)(
  'packets held across turns, fixed delays, rings that a packet nearly fills',
  () => {
    it('are the same in JavaScript and native', async () => {
      const exercise: Exercise = new Map();
      for (let seed = RARE_SEEDS; seed < RARE_SEEDS + RARE_CASES; seed++) {
        const script = randomScript(seed);
        if ((await difference(script, js, native, exercise)) !== undefined) {
          expect.fail(await report(script, js, native));
        }
      }
      expect(exercise.get('packetsReceived')).toBeGreaterThan(0);
    });
  },
);

describe.skipIf(missing !== undefined)('scripts in which the packet paths once differed', () => {
  it.each(ONCE_DIFFERENT)('are the same in both now: seed %i', async (seed) => {
    const script = randomScript(seed);
    if ((await difference(script, js, native)) !== undefined) expect.fail(await report(script, js, native));
    expect(script.steps.length).toBeGreaterThan(0);
  });
});

describe('the comparison of packet paths', () => {
  const faulty: PathParts = { native: 'off', reader: (batch) => new FaultyReader(batch) };

  it('finds no difference between a path and itself', async () => {
    expect(await difference(randomScript(7), js, js)).toBeUndefined();
  });

  it('finds a path that gets one packet in ten wrong, and leaves out what does not matter', async () => {
    const script = randomScript(7, 60);
    expect(await difference(script, js, faulty)).toBeDefined();
    const shorter = await shrink(script, js, faulty);
    expect(await difference(shorter, js, faulty)).toBeDefined();
    expect(shorter.steps.length).toBeLessThan(10);
    expect(await report(script, js, faulty)).toContain('seed 7');
  });
});

import { Buffer } from 'node:buffer';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nativeSocketReader } from '../../src/native/socket-reader.js';
import { nativeMissing } from '../support/engine/shard-rig.js';
import { textFrame } from '../support/genesys/frames.js';
import { difference, type Exercise, report } from '../support/packet-path/compare.js';
import type { PathParts } from '../support/packet-path/path-rig.js';
import type { PathSizes, Script, ScriptCall, Step } from '../support/packet-path/steps.js';
import { below, mulberry32, type Random } from '../support/random.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

/** The corpus of native/fuzz, and what a run of its targets has found if TRUNKLINE_FUZZ_CORPUS names a folder with that. */
const FOLDERS = [join(import.meta.dirname, '../../native/fuzz/corpus'), process.env['TRUNKLINE_FUZZ_CORPUS'] ?? ''];
/** Files are read together in scripts of this many. */
const FILES = 50;

// The ids of native/fuzz/src/lib.rs.
const CALLS: readonly ScriptCall[] = [
  { id: '3f2b8c1e-9d4a-4c55-8e2f-0123456789ab', codec: 'pcmu', channels: 1, connection: 0 },
  { id: 'sim-7', codec: 'l16', channels: 2, connection: 0 },
  { id: 'ab', codec: 'pcmu', channels: 1, connection: 0 },
];
const SIZES: PathSizes = {
  ...{ shards: 1, maxStreams: 8, packets: 1024, arenaBytes: 1 << 20, inputRingBytes: 1 << 20, isRecording: true },
  ...{ playoutDelay: 'adaptive', playoutDelayMs: 50, minPlayoutDelayMs: 0, pumpEveryUs: 0, maxPlayoutDelayMs: 400 },
};
const WHOLE = Number.POSITIVE_INFINITY;

/** The file of one target as bytes of a socket. */
function socketBytes(target: string, file: Buffer): Buffer {
  if (target === 'message') return file.length < 2 ** 16 ? textFrame(file) : Buffer.alloc(0);
  // The first byte says where the target cuts the rest.
  return file.subarray(1);
}

const corpus = FOLDERS.filter((folder) => folder !== '' && existsSync(folder)).flatMap((folder) =>
  ['message', 'frames'].flatMap((target) =>
    readdirSync(join(folder, target)).map((name) => ({
      what: `${target}/${name}`,
      bytes: socketBytes(target, readFileSync(join(folder, target, name))),
    })),
  ),
);

/** Reads the files on a connection each, cut at random, whole, and changed in a few bytes. */
function script(seed: number, files: typeof corpus): Script {
  const random = mulberry32(seed);
  const forms = files.flatMap(({ what, bytes }) => [
    { what, bytes },
    { what: `${what}, changed`, bytes: changed(random, bytes) },
  ]);
  const steps = forms.flatMap(({ what, bytes }, connection): Step[] => [
    { does: 'arrive', connection, bytes, what },
    { does: 'read', connection, bytes: below(random, bytes.length + 1) },
    { does: 'read', connection, bytes: WHOLE },
    { does: 'turn' },
    { does: 'wait', us: 20_000 },
    // The next file has the same calls.
    ...CALLS.map((_, call): Step => ({ does: 'end', call: connection * CALLS.length + call })),
    { does: 'take', shard: 0, records: WHOLE },
  ]);
  const calls = forms.flatMap((_, connection) => CALLS.map((call) => ({ ...call, connection })));
  return {
    seed,
    title: `${files.length} files`,
    sizes: SIZES,
    isSerial: false,
    connections: forms.length,
    calls,
    steps,
  };
}

function changed(random: Random, bytes: Buffer): Buffer {
  const made = Buffer.from(bytes);
  for (let changes = below(random, 4); changes > 0 && made.length > 0; changes--) {
    made[below(random, made.length)] = below(random, 256);
  }
  return made;
}

describe.skipIf(missing !== undefined)('the corpus of the fuzz targets', () => {
  const js: PathParts = { native: 'off', reader: () => undefined };
  const native: PathParts = { native: 'require', reader: nativeSocketReader };
  const groups = Array.from({ length: Math.ceil(corpus.length / FILES) }, (_, k) => k);

  it.each(groups)('comes to the same through both readers, group %i', { timeout: 120_000 }, async (group) => {
    const exercise: Exercise = new Map();
    const files = corpus.slice(group * FILES, (group + 1) * FILES);
    for (let seed = 0; seed < 10; seed++) {
      const made = script(group * 1000 + seed, files);
      if ((await difference(made, js, native, exercise)) !== undefined) expect.fail(await report(made, js, native));
    }
    expect(exercise.get('messages') ?? 0).toBeGreaterThan(0);
  });
});

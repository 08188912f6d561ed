import { createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CHUNK_KIND,
  type ChunkScratch,
  MAX_CHUNK_BYTES,
  TAG_BYTES,
} from '../../../../src/sinks/recorder/encryption/chunk-format.js';
import { type ChunkSealer, chunkSealer } from '../../../../src/sinks/recorder/encryption/chunk-sealer.js';
import { nativeMissing } from '../../../support/engine/shard-rig.js';
import { below, mulberry32 } from '../../../support/random.js';

const RUNS = 300;
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

interface Chunk {
  readonly key: Buffer;
  readonly digest: Buffer;
  readonly use: number;
  readonly content: Buffer;
}

function seal(sealer: ChunkSealer, { key, digest, use, content }: Chunk): Buffer {
  const { scratch } = sealer;
  scratch.key.set(key);
  scratch.digest.set(digest);
  const { length } = content;
  scratch.set(0x1234_5678, { kind: CHUNK_KIND.DATA, silent: 1, number: use, use, position: 44, length, samples: 7 });
  sealer.seal(content);
  return Buffer.concat([scratch.nextDigest, scratch.header, scratch.content.subarray(0, length)]);
}

/** By node:crypto directly. */
function opened({ bytes, header, nonce, authenticated, tag }: ChunkScratch, key: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated);
  decipher.setAuthTag(tag);
  expect(bytes.includes(header)).toBe(true);
  return Buffer.concat([decipher.update(sealed), decipher.final()]);
}

describe.each([
  ['node:crypto', false],
  ['the native module', true],
])('a chunk by %s', (_, native) => {
  it('opens with its key, and has the digest of digest and header', () => {
    const sealer = chunkSealer(native);
    const { scratch } = sealer;
    for (const length of [0, 1, 44, 12_000, MAX_CHUNK_BYTES]) {
      const chunk = { key: randomBytes(32), digest: randomBytes(32), use: length, content: randomBytes(length) };
      const sealed = seal(sealer, chunk);
      expect(opened(scratch, chunk.key, sealed.subarray(-length || sealed.length)).equals(chunk.content)).toBe(true);
      const digest = createHash('sha256').update(chunk.digest).update(scratch.header).digest();
      expect(scratch.nextDigest).toEqual(digest);
    }
    sealer.forget();
    expect(scratch.key).toEqual(Buffer.alloc(32));
  });
});

it.skipIf(nativeMissing() !== undefined)(`has the same bytes by both, seed ${SEED} (needs the native module)`, () => {
  const [js, native] = [chunkSealer(false), chunkSealer(true)];
  expect(native.constructor).not.toBe(js.constructor);
  const random = mulberry32(SEED);
  for (let run = 0; run < RUNS; run++) {
    const content = randomBytes(below(random, run % 10 === 0 ? 200_000 : 400));
    const chunk = { key: randomBytes(32), digest: randomBytes(32), use: below(random, 2 ** 31), content };
    const one = seal(js, chunk);
    if (!one.equals(seal(native, chunk))) expect.fail(`run ${run} of seed ${SEED} differs`);
    if (run % 7 === 0) native.forget();
  }
});

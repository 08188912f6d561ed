import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAG } from '../../../../src/ring/layout.js';
import { parseIdentities } from '../../../../src/sinks/recorder/encryption/age-keys.js';
import { readHead } from '../../../../src/sinks/recorder/encryption/chunk-format.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, openWith, type Person } from '../../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';

interface Vector {
  readonly file: string;
  readonly key: string;
  readonly sha256: string;
  readonly size: number;
  readonly state: 'whole' | 'open';
}
interface Vectors {
  readonly identity: string;
  readonly recipient: string;
  readonly vectors: readonly Vector[];
}

const here = (name: string) => new URL(name, import.meta.url).pathname;
const FOLDER = here('vectors');
const hasPython = spawnSync('python3', ['-c', 'import cryptography']).status === 0;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** TRUNKLINE_WRITE_VECTORS=1 writes them again: only for a new version of the format. */
if (process.env['TRUNKLINE_WRITE_VECTORS'] === '1') await writeVectors();
const { identity, recipient, vectors } = JSON.parse(readFileSync(join(FOLDER, 'vectors.json'), 'utf8')) as Vectors;
const owner: Person = { secret: identity, recipient, identities: parseIdentities(identity, 'vectors') };

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-format-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function keyOf(bytes: Buffer): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const head = readHead((position, length) => bytes.subarray(position, position + length));
  return Buffer.from(await decrypter.decrypt(head.age)).toString('hex');
}

function python(file: string, key: string) {
  const { status, stdout, stderr } = spawnSync('python3', [here('reader.py'), file, key], { maxBuffer: 1 << 26 });
  return { status, content: stdout, said: stderr.toString().trim() };
}

describe('the test vectors', () => {
  it.each(vectors)('$file opens, with this key and this content', async ({ file, key, ...expected }) => {
    const bytes = readFileSync(join(FOLDER, file));
    expect(await keyOf(bytes)).toBe(key);
    const { content, opened } = openWith(join(FOLDER, file), owner);
    expect(opened).toEqual({ damage: undefined, isSealed: expected.state === 'whole' });
    expect(content).toHaveLength(expected.size);
    if (expected.state === 'whole') expect(sha256(content)).toBe(expected.sha256);
  });

  it.skipIf(!hasPython).each(vectors)('$file: so it is for the reader in Python (needs cryptography)', (vector) => {
    const read = python(join(FOLDER, vector.file), vector.key);
    expect({ status: read.status, said: read.said, sha256: sha256(read.content) }).toEqual({
      ...{ status: vector.state === 'whole' ? 0 : 3, said: vector.state, sha256: vector.sha256 },
    });
  });
});

describe('the reader in Python', () => {
  it.skipIf(!hasPython)(
    'reads what a recorder writes today, and finds what was changed (needs cryptography)',
    async () => {
      const bytes = record(owner);
      const path = join(dir, 'audio.wav.enc');
      writeFileSync(path, bytes);
      const key = await keyOf(bytes);
      const whole = openWith(path, owner);
      expect(python(path, key)).toEqual({ status: 0, content: whole.content, said: 'whole' });
      for (const at of [40, bytes.length - 100]) {
        writeFileSync(path, bytes.with(at, (bytes[at] as number) ^ 4));
        expect(python(path, key).status).not.toBe(0);
      }
      writeFileSync(path, bytes.subarray(0, -48));
      expect(python(path, key)).toMatchObject({ status: 3, said: 'open' });
    },
  );
});

/** A recording of two channels with a late packet and the death of a thread; with `frames`, one that has not ended. */
function record(who: Person, frames?: number): Buffer {
  const r = new RecorderRig({ options: encryptFor([who]) });
  r.open(streamInfo({ channels: 2, interactionId: 'vector' }));
  for (let at = 0; at < (frames ?? 8) * 40; at += 40) {
    r.frame(0, 0, at, tone(at, 40));
    if (at === 80) r.frame(0, 1, at, new Int16Array(40), FLAG.LOST | FLAG.CONCEALED);
    else r.frame(0, 1, at, tone(at, 40, 1));
    r.work(1_000_000);
    if (at === 160) r.crash();
  }
  r.correction(0, 1, 80, tone(80, 40, 1));
  if (frames === undefined) r.closeStream(0);
  r.work(1_000_000);
  const bytes = readFileSync(join(r.outDir, 'vector', 'audio.wav.enc'));
  r.recorder.close();
  r.remove();
  return bytes;
}

async function writeVectors(): Promise<void> {
  const secret = await generateX25519Identity();
  const person = {
    ...{ secret, recipient: await identityToRecipient(secret), identities: parseIdentities(secret, 'vectors') },
  };
  const made = { 'finished.wav.enc': record(person), 'killed.wav.enc': record(person, 6) };
  mkdirSync(FOLDER, { recursive: true });
  const written: Vector[] = [];
  for (const [file, bytes] of Object.entries(made)) {
    writeFileSync(join(FOLDER, file), bytes);
    const decrypter = new Decrypter();
    decrypter.addIdentity(secret);
    const head = readHead((position, length) => bytes.subarray(position, position + length));
    const key = Buffer.from(await decrypter.decrypt(head.age)).toString('hex');
    const { content, said } = python(join(FOLDER, file), key);
    written.push({
      file,
      key,
      sha256: sha256(content),
      size: content.length,
      state: said === 'whole' ? 'whole' : 'open',
    });
  }
  const all: Vectors = { identity: secret, recipient: person.recipient, vectors: written };
  writeFileSync(join(FOLDER, 'vectors.json'), `${JSON.stringify(all, null, 2)}\n`);
}

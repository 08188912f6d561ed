import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { deleteRecording, isKeyDestroyed } from '../../../src/archive/retention/delete-recording.js';
import { Deletions } from '../../../src/archive/retention/deletions.js';
import { Retention } from '../../../src/archive/retention/retention.js';
import { ManualClock } from '../../../src/core/clock.js';
import { policyOf } from '../../../src/core/retention/policy.js';
import { EncryptedSource } from '../../../src/sinks/recorder/encryption/encrypted-reader.js';
import { CrashingProcess, installCrashingDisk } from '../../support/archive/crashing-disk.js';
import { streamInfo } from '../../support/frames.js';
import { mulberry32 } from '../../support/random.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';

const FILES = ['audio.wav.enc', 'session.json'];
const FRAMES = 500;

let owner: Person;
let rig: RecorderRig;
let restore: () => void;
let out: string;
/** A second name of the audio: what it was when its first one was removed. */
let other: string;

beforeAll(async () => {
  owner = await person();
  rig = new RecorderRig({ options: encryptFor([owner]) });
  for (const [stream, interactionId] of ['call', 'stranger'].entries()) {
    rig.open(streamInfo({ stream, interactionId }));
    for (let n = 0; n < FRAMES; n++) rig.frame(stream, 0, n * 160, tone(n * 160, 160));
    rig.work(1_000_000);
    rig.closeStream(stream);
    rig.work();
  }
  rig.recorder.close();
  restore = await installCrashingDisk();
});
afterAll(() => {
  restore();
  rig.remove();
});

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-deleted-'));
  mkdirSync(join(out, '.unfinished'));
  other = join(out, 'second-name.enc');
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

function putRecording(): void {
  rmSync(other, { force: true });
  cpSync(join(rig.outDir, 'call'), join(out, 'call'), { recursive: true });
  linkSync(join(out, 'call', 'audio.wav.enc'), other);
  expect(isWhole(openWith(other, owner))).toBe(true);
}

it('retention destroys the key of an encrypted recording, and a copy of the rest of the file cannot be opened', async () => {
  putRecording();
  const before = readFileSync(other);
  const entered: string[] = [];
  const deletions = new Deletions({
    ...{ directory: out, fileMode: 0o600, fault: (message) => expect(message).toBe('') },
    audit: (action) => {
      entered.push(action);
      expect(isWhole(openWith(join(out, 'call'), owner))).toBe(true);
      return Promise.resolve();
    },
  });
  const retention = new Retention(policyOf({ keepDays: 30, rules: [] }), {
    ...{ directory: out, clock: new ManualClock(0, Date.parse('2040-01-01T00:00:00Z')), count: () => {} },
    delete: (deletion) => deletions.delete(deletion),
    fault: (message) => expect(message).toBe(''),
    pending: () => Promise.resolve(new Set()),
    closing: new AbortController().signal,
  });
  expect(await retention.run()).toEqual(['call']);
  expect(entered).toEqual(['recording_deleted']);
  expect(existsSync(join(out, 'call'))).toBe(false);

  const after = readFileSync(other);
  expect(isKeyDestroyed(out, 'second-name.enc')).toBe(true);
  // The audio of the later part is still on the disk, as ciphertext.
  expect(after.subarray(65_536).equals(before.subarray(65_536))).toBe(true);
  expect(after.length).toBeGreaterThan(2 * 65_536);
  expect(openWith(other, owner)).toMatchObject({ content: Buffer.alloc(0), refused: expect.any(String) });
  // Nor with the head and the key of another recording for the same recipient, in front of all chunks.
  const strange = join(rig.outDir, 'stranger', 'audio.wav.enc');
  const [head, strangeHead] = [headOf(join(rig.outDir, 'call', 'audio.wav.enc')), headOf(strange)];
  writeFileSync(other, Buffer.concat([strangeHead, before.subarray(head.length)]));
  const { content, opened } = openWith(other, owner);
  expect(content).toHaveLength(0);
  expect(opened?.damage).toBeDefined();
});

it('a kill at any change of a deletion leaves a whole recording, or one whose audio nobody can open any more', async () => {
  let withoutKey = 0;
  for (let diesAt = 0, isComplete = false; !isComplete; diesAt++) {
    putRecording();
    const crashing = new CrashingProcess(diesAt, mulberry32(diesAt));
    await crashing.run(async () => deleteRecording(out, 'call'));
    isComplete = crashing.changes <= diesAt;
    await crashing.closeFiles(out);
    const left = existsSync(join(out, 'call')) ? readdirSync(join(out, 'call')).sort() : [];
    const result = openWith(other, owner);
    if (isWhole(result)) expect(left, `change ${diesAt}`).toEqual(FILES);
    else {
      withoutKey++;
      expect(result, `change ${diesAt}`).toMatchObject({ content: Buffer.alloc(0), refused: expect.any(String) });
      // What is left is still a recording that is due.
      if (left.length > 0) expect(left).toContain('session.json');
    }
    if (existsSync(join(out, 'call'))) deleteRecording(out, 'call');
    expect(existsSync(join(out, 'call'))).toBe(false);
  }
  // The writing over the key, two files, their folder, and a run without a kill.
  expect(withoutKey).toBeGreaterThanOrEqual(4);
});

function headOf(path: string): Buffer {
  const source = new EncryptedSource(path);
  source.close();
  return source.head.bytes;
}

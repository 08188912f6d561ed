import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { signerText } from '../../src/evidence/signed-note.js';
import { defaultKeyFile, loadSigner } from '../../src/evidence/signing-key.js';
import { verifyLog } from '../../src/evidence/verify-log.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { mountTiny, unmount } from '../support/recorder/tiny-disk.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-key-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('is made once, for its owner alone, and read again', async () => {
  const file = join(folder, 'keys', 'audit-signing-key');
  const made = await loadSigner(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(signerText(await loadSigner(file))).toBe(signerText(made));
  writeFileSync(file, 'something else');
  await expect(loadSigner(file)).rejects.toThrow(/Cannot use the signing key .*--audit-signing-key/);
});

it('is not left half written by a full disk, and made once there is space; nodes that start at once share it', async (context) => {
  const disk = mountTiny(64);
  context.skip(disk === undefined, 'a small file system takes root');
  const at = disk ?? '';
  try {
    const file = join(at, 'audit-signing-key');
    const ballast = openSync(join(at, 'ballast'), 'w');
    try {
      for (;;) writeSync(ballast, Buffer.alloc(4096));
    } catch {
      // That is what it is for.
    }
    closeSync(ballast);
    await expect(loadSigner(file)).rejects.toThrow('ENOSPC');
    expect(readdirSync(at)).toEqual(['ballast']);
    rmSync(join(at, 'ballast'));
    const made = await Promise.all([loadSigner(file), loadSigner(file), loadSigner(file)]);
    expect(new Set(made.map(signerText)).size).toBe(1);
    expect(readdirSync(at)).toEqual(['audit-signing-key']);
  } finally {
    unmount(at);
  }
});

it('is never by default in the output folder, as for a user whose home that is', () => {
  const env = { XDG_CONFIG_HOME: folder };
  expect(defaultKeyFile(env, join(folder, 'capture'))).toBe(join(folder, 'trunkline', 'audit-signing-key'));
  expect(() => defaultKeyFile(env, folder)).toThrow('--audit-signing-key');
  expect(() => defaultKeyFile(env, join(folder, 'trunkline'))).toThrow('--audit-signing-key');
});

it('may be another one at the next start: a new log begins, and the files of the one before are kept', async () => {
  const faults: string[] = [];
  const write = async (key: string): Promise<void> => {
    const signer = await loadSigner(join(folder, key));
    const onFault = (message: string): void => void faults.push(message);
    const checkpoints = await CheckpointWriter.open({ directory: folder, fileMode: 0o600, signer, onFault });
    const log = new AuditLog({ file: join(folder, 'audit.jsonl'), region: '', checkpoints, onFault });
    await log.open();
    await log.close();
  };
  await write('one');
  const before = readFileSync(join(folder, 'audit.leaves'));
  await write('other');
  expect(faults).toEqual([expect.stringMatching(/not signed by this node's key.* a new log begins/)]);
  expect(await verifyLog(folder)).toMatchObject({ entries: 4, unsigned: 0, faults: [] });
  const kept = readdirSync(folder).filter((name) => name.startsWith('audit.leaves.before-'));
  expect(kept.map((name) => readFileSync(join(folder, name)))).toEqual([before]);
});

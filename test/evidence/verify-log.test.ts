import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkEntryProof, proveEntry } from '../../src/evidence/entry-proof.js';
import { type NoteSigner, parseVerifier, signerOf } from '../../src/evidence/signed-note.js';
import { type LogReport, verifyLog } from '../../src/evidence/verify-log.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { mulberry32 } from '../support/random.js';

const signer = signerOf('test-node', Buffer.alloc(32, 7));
/** Every bit and every cut with TRUNKLINE_EVERY_BIT=1; without it at one byte of this many, which takes seconds. */
const STRIDE = process.env['TRUNKLINE_EVERY_BIT'] === '1' ? 1 : 31;
/** Honest runs with a crash; 10,000 of them with TRUNKLINE_CRASH_RUNS=10000. */
const CRASH_RUNS = Number(process.env['TRUNKLINE_CRASH_RUNS'] ?? 50);

let folder: string;
const faults: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-verify-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function openLog(directory: string, by: NoteSigner = signer): Promise<AuditLog> {
  const onFault = (message: string): void => void faults.push(message);
  const checkpoints = await CheckpointWriter.open({ directory, fileMode: 0o600, signer: by, onFault });
  const log = new AuditLog({ file: join(directory, 'audit.jsonl'), region: 'here', checkpoints, onFault });
  await log.open();
  return log;
}

/** A closed audit of three files. */
async function makeAudit(directory: string): Promise<void> {
  const log = await openLog(directory);
  for (let i = 0; i < 6; i++) log.event('connected', `call ${i}`);
  await sleep(300);
  renameSync(join(directory, 'audit.jsonl'), join(directory, 'audit-old.jsonl'));
  await log.reopen();
  for (let i = 6; i < 9; i++) log.event('connected', `call ${i}`);
  await log.close();
  // The second rotation is done by a logrotate of the system, while no node runs.
  renameSync(join(directory, 'audit.jsonl'), join(directory, 'audit.jsonl.1'));
  const next = await openLog(directory);
  next.event('connected', 'call 9');
  await next.close();
}

describe('an audit that was closed', () => {
  let honest: string;
  const copyOf = (name: string): string => {
    const copy = join(folder, name);
    rmSync(copy, { recursive: true, force: true });
    cpSync(honest, copy, { recursive: true });
    return copy;
  };
  const check = async (name: string, change: (directory: string) => void): Promise<LogReport> => {
    const copy = copyOf(name);
    change(copy);
    return verifyLog(copy, { publicKey: signer });
  };
  const edit = (directory: string, name: string, change: (lines: string[]) => void): void => {
    const lines = readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1);
    change(lines);
    writeFileSync(join(directory, name), lines.map((line) => `${line}\n`).join(''));
  };

  beforeAll(async () => {
    honest = mkdtempSync(join(folder, 'honest-'));
    await makeAudit(honest);
  });

  it('is as it was signed, in three files', async () => {
    const report = await verifyLog(honest, { publicKey: signer });
    expect(report).toMatchObject({ entries: 15, unsigned: 0, faults: [] });
    expect(report.files).toEqual(['audit-old.jsonl', 'audit.jsonl', 'audit.jsonl.1']);
    expect(faults).toEqual([]);
  });

  it('shows every bit that is changed, in each of its files', async () => {
    const copy = copyOf('bits');
    const missed: string[] = [];
    let flips = 0;
    for (const name of readdirSync(honest)) {
      const bytes = readFileSync(join(honest, name));
      for (let at = 0; at < bytes.length; at += STRIDE) {
        for (let bit = 0; bit < 8; bit++) {
          const changed = Buffer.from(bytes);
          changed[at] = (changed[at] as number) ^ (1 << bit);
          writeFileSync(join(copy, name), changed);
          flips++;
          if ((await verifyLog(copy, { publicKey: signer })).faults.length === 0) missed.push(`${name} ${at} ${bit}`);
        }
      }
      writeFileSync(join(copy, name), bytes);
    }
    expect(missed).toEqual([]);
    expect(flips).toBeGreaterThan(900);
  }, 900_000);

  it('shows every cut, of each of its files at each byte', async () => {
    const copy = copyOf('cuts');
    const missed: string[] = [];
    for (const name of readdirSync(honest)) {
      const bytes = readFileSync(join(honest, name));
      for (let end = 0; end < bytes.length; end += STRIDE) {
        writeFileSync(join(copy, name), bytes.subarray(0, end));
        if ((await verifyLog(copy, { publicKey: signer })).faults.length === 0) missed.push(`${name} ${end}`);
      }
      writeFileSync(join(copy, name), bytes);
    }
    expect(missed).toEqual([]);
  }, 900_000);

  it('says where a line was changed, deleted, inserted, moved or repeated', async () => {
    const file = 'audit-old.jsonl';
    const told = async (change: (lines: string[]) => void): Promise<string[]> =>
      (await check('lines', (copy) => edit(copy, file, change))).faults.map(({ where, what }) => `${where} ${what}`);
    expect(await told((lines) => lines.splice(2, 1, '{"forged":true}'))).toEqual([`${file}:3 Entry 2 was changed.`]);
    expect(await told((lines) => lines.splice(2, 2))).toEqual([
      expect.stringMatching(/^audit Entries 2 to 3 are missing/),
    ]);
    expect(await told((lines) => lines.splice(2, 0, '{"forged":true}'))).toEqual([
      `${file}:3 The line was inserted: it is no entry.`,
    ]);
    expect(await told((lines) => lines.splice(2, 0, lines[4] as string))).not.toEqual([]);
    expect(await told((lines) => lines.splice(1, 2, lines[2] as string, lines[1] as string))).not.toEqual([]);
    expect(await told((lines) => lines.push(lines[0] as string))).not.toEqual([]);
    expect(await told((lines) => lines.splice(0, lines.length))).toEqual([
      expect.stringMatching(/Entries 0 to 6 are missing/),
    ]);
  });

  it('shows lines that were added at the end, and files that were removed, added or exchanged', async () => {
    const added = await check('added', (copy) => edit(copy, 'audit.jsonl', (lines) => lines.push('{"forged":true}')));
    expect(added.faults).toEqual([{ where: 'audit.jsonl:4', what: expect.stringMatching(/added after/) }]);
    for (const name of readdirSync(honest)) {
      const removed = await check('removed', (copy) => rmSync(join(copy, name)));
      expect(removed.faults, name).not.toEqual([]);
    }
    const forged = await check('forged', (copy) => writeFileSync(join(copy, 'audit-new.jsonl'), '{"forged":true}\n'));
    expect(forged.faults).not.toEqual([]);
    const exchanged = await check('exchanged', (copy) => {
      const [one, other] = ['audit.jsonl', 'audit.jsonl.1'].map((name) => readFileSync(join(copy, name)));
      writeFileSync(join(copy, 'audit.jsonl'), other as Buffer);
      writeFileSync(join(copy, 'audit.jsonl.1'), one as Buffer);
    });
    // The names of rotated files mean nothing: their lines show where they belong.
    expect(exchanged.faults).toEqual([]);
  });

  it('shows a cut with the older checkpoint put back, when a witness has seen more, and another history', async () => {
    const witness = readFileSync(join(honest, 'audit.checkpoint'), 'utf8');
    const short = mkdtempSync(join(folder, 'short-'));
    const log = await openLog(short);
    await log.close();
    expect((await verifyLog(short, { publicKey: signer })).faults).toEqual([]);
    expect((await verifyLog(short, { publicKey: signer, witnesses: [witness] })).faults).not.toEqual([]);
    expect((await verifyLog(honest, { publicKey: signer, witnesses: [witness] })).faults).toEqual([]);
    expect((await verifyLog(honest, { publicKey: signer, witnesses: [`${witness}x`] })).faults).not.toEqual([]);
  });

  it('is not accepted with the key of somebody else, who signed it again', async () => {
    const forger = signerOf('test-node', Buffer.alloc(32, 8));
    const forged = mkdtempSync(join(folder, 'forger-'));
    const log = await openLog(forged, forger);
    await log.close();
    expect((await verifyLog(forged)).faults).toEqual([]);
    expect((await verifyLog(forged, { publicKey: signer })).faults).not.toEqual([]);
  });

  it('proves each single entry to others, and none that is not there', async () => {
    const lines = ['audit-old.jsonl', 'audit.jsonl.1', 'audit.jsonl'].flatMap((name) =>
      readFileSync(join(honest, name), 'utf8').split('\n').slice(0, -1),
    );
    const key = parseVerifier(readFileSync(join(honest, 'audit.public-key'), 'utf8'));
    for (const [index, text] of lines.entries()) {
      const { proof, line } = await proveEntry(honest, index, key);
      expect(line).toBe(text);
      expect(checkEntryProof(proof, Buffer.from(text), key)).toMatchObject({ index, size: 15 });
      expect(checkEntryProof(proof, Buffer.from(`${text} `), key)).toBeUndefined();
      expect(
        checkEntryProof(proof.replace(`index ${index}`, `index ${index + 1}`), Buffer.from(text), key),
      ).toBeUndefined();
    }
    await expect(proveEntry(honest, 15, key)).rejects.toThrow('there is none at 15');
  });
});

describe('an audit that is rotated twice between two checkpoints', () => {
  it('is signed as a whole, also when a kill leaves several files without a signature, and the last line cut off', async () => {
    const directory = mkdtempSync(join(folder, 'rotated-'));
    const log = await openLog(directory);
    await log.close();
    const again = await openLog(directory);
    for (let file = 0; file < 3; file++) {
      again.event('connected', `call ${file}`);
      await again.reopen();
    }
    const killed = join(folder, 'killed-after-rotation');
    cpSync(directory, killed, { recursive: true });
    await again.close();
    expect(await verifyLog(directory, { publicKey: signer })).toMatchObject({ unsigned: 0, faults: [] });
    const rotated = readdirSync(killed).filter((name) => /^audit-.*\.jsonl$/.test(name));
    expect(rotated).toHaveLength(3);
    // The newest of them.
    const [last = ''] = rotated.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)).slice(-1);
    writeFileSync(join(killed, last), '{"timestamp":"2026-11-29T11', { flag: 'a' });
    expect((await verifyLog(killed, { publicKey: signer })).faults).toEqual([]);
    const next = await openLog(killed);
    await next.close();
    expect(await verifyLog(killed, { publicKey: signer })).toMatchObject({ unsigned: 0, faults: [] });
    // A kill in the middle of the first line of a run.
    writeFileSync(join(killed, 'audit.jsonl'), '{"timestamp":"2026-11-29T11:37:58.813Z","action":"aud', { flag: 'a' });
    expect((await verifyLog(killed, { publicKey: signer })).faults).toEqual([]);
    writeFileSync(join(killed, 'audit.jsonl'), 'x\n', { flag: 'a' });
    expect((await verifyLog(killed, { publicKey: signer })).faults).toHaveLength(1);
    expect(faults).toEqual([]);
  });
});

describe('honest runs that crash', () => {
  it(`never raise an alarm, and what is written afterwards continues the log: ${CRASH_RUNS} runs`, async () => {
    const random = mulberry32(20_261_129);
    faults.length = 0;
    for (let run = 0; run < CRASH_RUNS; run++) {
      const directory = mkdtempSync(join(folder, 'run-'));
      const crashed = join(folder, 'crashed');
      let signedBefore = 0;
      for (let start = 0; start < 3; start++) {
        const log = await openLog(directory);
        const lines = Math.floor(random() * 30);
        for (let i = 0; i < lines; i++) log.event('connected', `call ${i}`);
        const closing = log.close();
        // As the disk is after any number of steps of the writers.
        for (let turns = Math.floor(random() * 40); turns > 0; turns--) await setImmediate();
        rmSync(crashed, { recursive: true, force: true });
        cpSync(directory, crashed, { recursive: true });
        await closing;
        cutUnsigned(crashed, random);
        const report = await verifyLog(crashed, { publicKey: signer });
        expect(report.faults.filter(isNoBeginning), `run ${run}`).toEqual([]);
        expect(report.entries).toBeGreaterThanOrEqual(signedBefore);
        signedBefore = report.entries;
        rmSync(directory, { recursive: true });
        renameSync(crashed, directory);
      }
      const last = await openLog(directory);
      await last.close();
      const report = await verifyLog(directory, { publicKey: signer });
      expect(report, `run ${run}`).toMatchObject({ unsigned: 0, faults: [] });
      rmSync(directory, { recursive: true });
    }
    expect(faults).toEqual([]);
  }, 1_200_000);
});

/** A crash before the first checkpoint leaves no log yet. */
function isNoBeginning({ what }: { what: string }): boolean {
  return what !== 'The file is missing.';
}

/** A kill may cut off what no checkpoint has named yet, at any byte: the end of a line or of a hash. */
function cutUnsigned(directory: string, random: () => number): void {
  const names = readdirSync(directory);
  const checkpoint = names.includes('audit.checkpoint')
    ? readFileSync(join(directory, 'audit.checkpoint'), 'utf8')
    : '';
  const signed = Number(checkpoint.split('\n')[1] ?? 0);
  const leaves = join(directory, 'audit.leaves');
  const unsignedLeaves = statSync(leaves).size - signed * 32;
  if (unsignedLeaves > 0) truncateSync(leaves, signed * 32 + Math.floor(random() * unsignedLeaves));
  const file = join(directory, 'audit.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  const kept = lines.slice(0, signed).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  const unsigned = statSync(file).size - kept;
  if (unsigned > 0) truncateSync(file, kept + Math.floor(random() * (unsigned + 1)));
}

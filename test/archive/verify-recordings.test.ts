import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type VerifyReport, verifyFolder } from '../../src/archive/verification/verify-recordings.js';
import type { Fault } from '../../src/evidence/line-comparison.js';
import { folderKeyOf } from '../../src/evidence/recording-entry.js';
import { signerOf } from '../../src/evidence/signed-note.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { OWNER_ONLY } from '../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import { ArchiveRig, makeRecording, manifestText } from '../support/archive/archive-rig.js';

const signer = signerOf('test-node', Buffer.alloc(32, 7));
/** Every bit and every cut with TRUNKLINE_EVERY_BIT=1; without it at one byte of this many, which takes a second. */
const STRIDE = process.env['TRUNKLINE_EVERY_BIT'] === '1' ? 1 : 41;
const AUDIO_BYTES = 60;

let folder: string;
let honest: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-verify-recordings-'));
  honest = mkdtempSync(join(folder, 'honest-'));
  await makeCapture(honest, {});
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A closed capture with three recordings, one of which was deleted by a rule. */
async function makeCapture(directory: string, { idKey }: { idKey?: string }): Promise<void> {
  const onFault = (message: string): void => expect.fail(message);
  const checkpoints = await CheckpointWriter.open({ directory, fileMode: 0o600, signer, onFault });
  const file = join(directory, 'audit.jsonl');
  const log = new AuditLog({ file, region: 'here', checkpoints, onFault, ...(idKey === undefined ? {} : { idKey }) });
  await log.open();
  const index = new UnfinishedIndex(directory, thisWriter(), OWNER_ONLY, 1, true);
  for (const id of ['call-1', 'call-2', 'old']) {
    makeRecording(directory, id, AUDIO_BYTES);
    index.finished(id);
  }
  index.close();
  const rig = new ArchiveRig(directory, log);
  await rig.worker.open();
  await rig.worker.close(60_000);
  const folderKey = folderKeyOf(readFileSync(join(directory, 'old', 'session.json')));
  log.event('recording_deleted', 'old', { reason: 'retention', recording: { folder: 'old', folderKey } });
  rmSync(join(directory, 'old'), { recursive: true });
  await log.close();
}

function copyOf(name: string): string {
  const copy = join(folder, name);
  rmSync(copy, { recursive: true, force: true });
  cpSync(honest, copy, { recursive: true });
  return copy;
}

const check = (directory: string): Promise<VerifyReport> => verifyFolder(directory, { publicKey: signer });

async function faultsAfter(change: (directory: string) => void): Promise<readonly Fault[]> {
  const copy = copyOf('changed');
  change(copy);
  return (await check(copy)).faults;
}

const whereAfter = async (change: (directory: string) => void): Promise<string[]> =>
  (await faultsAfter(change)).map(({ where }) => where);

const recordingFiles = ['call-1', 'call-2'].flatMap((id) => [`${id}/audio.wav`, `${id}/session.json`]);

describe('recordings beside a closed audit', () => {
  it('are as the audit says, and one was deleted as it says', async () => {
    const report = await check(honest);
    expect(report.faults).toEqual([]);
    expect(report.recordings).toMatchObject({ verified: 2, unsigned: 0, waiting: 0, unfinished: 0, deleted: 1 });
  });

  it('are found by their manifests where the audit shows no ids', async () => {
    const hidden = mkdtempSync(join(folder, 'hidden-'));
    await makeCapture(hidden, { idKey: 'a key of sixteen characters' });
    const report = await check(hidden);
    expect(report.faults).toEqual([]);
    expect(report.recordings).toMatchObject({ verified: 2, deleted: 1 });
    renameSync(join(hidden, 'call-1'), join(hidden, 'call-3'));
    expect((await check(hidden)).faults).toHaveLength(2);
  });

  it('show every bit that is changed, and every cut', async () => {
    const copy = copyOf('bits');
    const missed: string[] = [];
    let [flips, cuts] = [0, 0];
    for (const name of recordingFiles) {
      const bytes = readFileSync(join(honest, name));
      for (let at = 0; at < bytes.length; at += STRIDE) {
        for (let bit = 0; bit < 8; bit++) {
          const changed = Buffer.from(bytes);
          changed[at] = (changed[at] as number) ^ (1 << bit);
          writeFileSync(join(copy, name), changed);
          flips++;
          if ((await check(copy)).faults.length === 0) missed.push(`${name} ${at} ${bit}`);
        }
        writeFileSync(join(copy, name), bytes.subarray(0, at));
        cuts++;
        if ((await check(copy)).faults.length === 0) missed.push(`${name} cut at ${at}`);
      }
      writeFileSync(join(copy, name), bytes);
    }
    console.log(
      `${flips} bits changed and ${cuts} cuts of ${recordingFiles.length} files, ${missed.length} not detected`,
    );
    expect(missed).toEqual([]);
    expect(flips).toBeGreaterThan(200);
    expect((await check(copy)).faults).toEqual([]);
  }, 900_000);

  it('show each file that is removed, emptied, added, exchanged or replaced by a link', async () => {
    for (const name of recordingFiles) {
      expect(await whereAfter((copy) => unlinkSync(join(copy, name))), `without ${name}`).not.toEqual([]);
      const link = await faultsAfter((copy) => {
        renameSync(join(copy, name), join(copy, 'kept'));
        symlinkSync(join(copy, 'kept'), join(copy, name));
      });
      expect(link, `a link as ${name}`).not.toEqual([]);
    }
    expect(await whereAfter((copy) => writeFileSync(join(copy, 'call-1', 'audio-2.wav'), ''))).toEqual([
      'call-1/audio-2.wav',
    ]);
    expect(await whereAfter((copy) => writeFileSync(join(copy, 'call-1', 'My notes'), ''))).toEqual([
      'call-1/My notes',
    ]);
    const swapped = await whereAfter((copy) => {
      renameSync(join(copy, 'call-1', 'audio.wav'), join(copy, 'kept'));
      renameSync(join(copy, 'call-2', 'audio.wav'), join(copy, 'call-1', 'audio.wav'));
      renameSync(join(copy, 'kept'), join(copy, 'call-2', 'audio.wav'));
    });
    expect(swapped.toSorted()).toEqual(['call-1/audio.wav', 'call-2/audio.wav']);
  });

  it('show each recording that is removed, added, copied, exchanged, renamed or replaced by a link', async () => {
    const told = async (change: (copy: string) => void): Promise<string[]> =>
      (await faultsAfter(change)).map(({ where, what }) => `${where}: ${what}`).toSorted();
    expect(await told((copy) => rmSync(join(copy, 'call-1'), { recursive: true }))).toEqual([
      expect.stringMatching(/^call-1: .* missing/),
    ]);
    expect(await told((copy) => makeRecording(copy, 'forged'))).toEqual([
      expect.stringMatching(/^forged: .* no entry/),
    ]);
    expect(await told((copy) => cpSync(join(copy, 'call-1'), join(copy, 'copy'), { recursive: true }))).toEqual([
      expect.stringMatching(/^copy: .* no entry/),
    ]);
    const exchange = (copy: string): void => {
      renameSync(join(copy, 'call-1'), join(copy, 'kept'));
      renameSync(join(copy, 'call-2'), join(copy, 'call-1'));
      renameSync(join(copy, 'kept'), join(copy, 'call-2'));
    };
    expect(await told(exchange)).toEqual([
      'call-1: It is the recording of call-2.',
      'call-2: It is the recording of call-1.',
    ]);
    const link = (copy: string): void => {
      renameSync(join(copy, 'call-1'), join(folder, 'elsewhere'));
      symlinkSync(join(folder, 'elsewhere'), join(copy, 'call-1'));
    };
    expect(await told(link)).toEqual(['call-1: A symbolic link stands in place of the recording.']);
    // The index lies in the same folder: that it calls a recording unfinished, or one to be digested, explains nothing here.
    const listed = (copy: string): void => {
      makeRecording(copy, 'forged');
      writeFileSync(join(copy, '.unfinished', 'x.finished'), '{}\n=forged\n');
    };
    expect(await told(listed)).toEqual([expect.stringMatching(/^forged: .* no entry/)]);
  });

  it('show a change that a line behind the checkpoint would explain', async () => {
    const open = mkdtempSync(join(folder, 'open-'));
    const onFault = (message: string): void => expect.fail(message);
    const checkpoints = await CheckpointWriter.open({ directory: open, fileMode: 0o600, signer, onFault });
    const log = new AuditLog({ file: join(open, 'audit.jsonl'), region: 'here', checkpoints, onFault });
    await log.open();
    makeRecording(open, 'call', AUDIO_BYTES);
    const index = new UnfinishedIndex(open, thisWriter(), OWNER_ONLY, 1, true);
    index.finished('call');
    index.close();
    const rig = new ArchiveRig(open, log);
    await rig.worker.open();
    await rig.worker.close(60_000);
    await checkpoints.write();
    makeRecording(open, 'call', AUDIO_BYTES + 2);
    const again = new UnfinishedIndex(open, thisWriter(), OWNER_ONLY, 2, true);
    again.finished('call');
    again.close();
    const forger = new ArchiveRig(open, log);
    await forger.worker.open();
    await forger.worker.close(60_000);
    await log.written();
    expect((await check(open)).faults.map(({ where }) => where)).toEqual(['call/audio.wav']);
    await log.close();
  });
});

describe('recordings that are being written', () => {
  it('are counted, and their finished parts are checked', async () => {
    const copy = copyOf('unfinished');
    makeRecording(copy, 'new', AUDIO_BYTES);
    renameSync(join(copy, 'new', 'session.json'), join(copy, 'new', 'session.json.partial'));
    // The other one goes on in another format.
    writeFileSync(join(copy, 'call-1', 'session.json.partial'), manifestText('call-1', null));
    writeFileSync(join(copy, 'call-1', 'audio-2.wav'), 'more');
    const report = await check(copy);
    expect(report.faults).toEqual([]);
    expect(report.recordings).toMatchObject({ verified: 1, unfinished: 2 });
    writeFileSync(join(copy, 'call-1', 'audio.wav'), 'other');
    expect((await check(copy)).faults.map(({ where }) => where)).toEqual(['call-1/audio.wav']);
  });

  it('leave no files of their own beside the index', () => {
    expect(readdirSync(join(honest, '.unfinished'))).toEqual(['archive-progress.json', 'digests']);
  });
});

import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { folderKeyOf, hiddenFolder } from '../../src/evidence/recording-entry.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { OWNER_ONLY } from '../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import { ArchiveRig, makeRecording, manifestText, recordingEntries } from '../support/archive/archive-rig.js';

let directory: string;
const logs: AuditLog[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'trunkline-archive-'));
});

afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
  rmSync(directory, { recursive: true, force: true });
});

async function openLog(options: { idKey?: string } = {}): Promise<AuditLog> {
  const log = new AuditLog({ file: join(directory, 'audit.jsonl'), region: 'here', ...options });
  await log.open();
  logs.push(log);
  return log;
}

let started = 0;
const openIndex = (): UnfinishedIndex => new UnfinishedIndex(directory, thisWriter(), OWNER_ONLY, ++started, true);

/** The recordings of one run of a recorder, with the archive beside it. */
async function run(folders: readonly string[], log: AuditLog): Promise<ArchiveRig> {
  const index = openIndex();
  const rig = new ArchiveRig(directory, log);
  await rig.worker.open();
  for (const folder of folders) {
    index.add(folder);
    makeRecording(directory, folder);
    index.finished(folder);
  }
  index.close();
  await rig.worker.close(60_000);
  await log.written();
  return rig;
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const indexFiles = (): string[] =>
  readdirSync(join(directory, '.unfinished')).filter((name) => /\.(log|finished)$/.test(name));

describe('the digest of a finished recording', () => {
  it('is an entry of the audit, with every file', async () => {
    const rig = await run(['call-1', 'call-2'], await openLog());
    const entries = recordingEntries(directory);
    // Several are digested at a time.
    expect(entries.map(({ folder }) => folder).sort()).toEqual(['call-1', 'call-2']);
    expect(entries.find(({ folder }) => folder === 'call-1')?.files).toEqual(
      ['audio.wav', 'session.json'].map((name) => {
        const path = join(directory, 'call-1', name);
        return { name, bytes: readFileSync(path).length, sha256: sha256(path) };
      }),
    );
    expect(rig.faults).toEqual([]);
    expect(rig.counts).toMatchObject({ digests: 2 });
    // Nothing is left to do, and no list of it.
    expect(indexFiles()).toEqual([]);
  });

  it('comes once for each of hundreds that end at the same time', async () => {
    const folders = Array.from({ length: 300 }, (_, n) => `call-${n}`);
    await run(folders, await openLog());
    expect(
      recordingEntries(directory)
        .map(({ folder }) => folder)
        .toSorted(),
    ).toEqual(folders.toSorted());
  });

  it('does not show the folder where the audit does not show ids, and can be found by the manifest', async () => {
    const id = 'agent-49301234567';
    await run([id], await openLog({ idKey: 'a key of sixteen characters' }));
    const folderKey = folderKeyOf(readFileSync(join(directory, id, 'session.json')));
    expect(recordingEntries(directory)[0]?.folder).toBe(hiddenFolder({ folder: id, folderKey }));
    expect(readFileSync(join(directory, 'audit.jsonl'), 'utf8')).not.toContain('49301234567');
  });

  it('waits while a recording goes on, and comes again at each end', async () => {
    const log = await openLog();
    const index = openIndex();
    index.add('call');
    makeRecording(directory, 'call');
    index.finished('call');
    const partial = join(directory, 'call', 'session.json.partial');
    writeFileSync(partial, manifestText('call', null));
    const rig = new ArchiveRig(directory, log);
    await rig.worker.open();
    writeFileSync(join(directory, 'call', 'audio-2.wav'), 'more audio');
    renameSync(partial, join(directory, 'call', 'session.json'));
    index.finished('call');
    index.close();
    await rig.worker.close(60_000);
    await log.written();
    const [first, ...others] = recordingEntries(directory).toReversed();
    expect(first?.files.map(({ name }) => name)).toEqual(['audio-2.wav', 'audio.wav', 'session.json']);
    expect(others.every(({ files }) => files.length === 3)).toBe(true);
  });

  it('says so when the folder was removed meanwhile, and refuses a symbolic link in its place', async () => {
    const log = await openLog();
    const elsewhere = mkdtempSync(join(tmpdir(), 'trunkline-elsewhere-'));
    makeRecording(elsewhere, 'secret');
    const index = openIndex();
    for (const folder of ['gone', 'link', '../secret']) index.finished(folder);
    symlinkSync(join(elsewhere, 'secret'), join(directory, 'link'));
    index.close();
    const rig = new ArchiveRig(directory, log);
    await rig.worker.open();
    await rig.worker.close(60_000);
    await log.written();
    expect(recordingEntries(directory)).toEqual([]);
    expect(readFileSync(join(directory, 'audit.jsonl'), 'utf8')).toContain('"action":"recording_missing"');
    expect(rig.faults).toEqual([expect.stringContaining('a symbolic link stands there')]);
    rmSync(elsewhere, { recursive: true });
  });

  it('is made of the files of recordings alone', async () => {
    const log = await openLog();
    makeRecording(directory, 'call');
    mkdirSync(join(directory, 'call', 'folder'));
    writeFileSync(join(directory, 'call', 'Notes of Mr Smith'), '');
    const index = openIndex();
    index.finished('call');
    index.close();
    const rig = new ArchiveRig(directory, log);
    await rig.worker.open();
    await rig.worker.close(60_000);
    await log.written();
    expect(recordingEntries(directory)[0]?.files.map(({ name }) => name)).toEqual(['audio.wav', 'session.json']);
  });
});

describe('after a kill', () => {
  it('comes for what was finished and is not in the audit, and not again for what is', async () => {
    const first = await openLog();
    await run(['done'], first);
    // Killed: the line of the third was not reported as done, that of the fourth is not in the audit.
    const index = openIndex();
    for (const folder of ['done', 'new']) {
      makeRecording(directory, folder);
      index.finished(folder);
    }
    await run([], first);
    expect(
      recordingEntries(directory)
        .map(({ folder }) => folder)
        .sort(),
    ).toEqual(['done', 'new']);
    await run([], first);
    expect(recordingEntries(directory)).toHaveLength(2);
  });

  it('reads an index whose last line was cut off, and progress that means nothing', async () => {
    const log = await openLog();
    await run(['call-1'], log);
    const path = join(directory, '.unfinished');
    writeFileSync(join(path, 'host-1-2-3.finished'), '{"host":"host","pid":1,"startTicks":"2"}\n=call-2\n=call-');
    writeFileSync(join(path, 'archive-progress.json'), '{"host-1-2-3":{"digest":-5,"upload":"x"},"x":null}');
    makeRecording(directory, 'call-2');
    await run([], log);
    expect(
      recordingEntries(directory)
        .map(({ folder }) => folder)
        .sort(),
    ).toEqual(['call-1', 'call-2']);
    expect(indexFiles()).toEqual([]);
  });
});

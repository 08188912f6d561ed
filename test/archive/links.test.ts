import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, IncomingMessage } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deleteRecording } from '../../src/archive/retention/delete-recording.js';
import { Deletions } from '../../src/archive/retention/deletions.js';
import { changeHold } from '../../src/archive/retention/legal-holds.js';
import { s3ArchiveOptionsSchema, type UploadSettings, uploadSettings } from '../../src/archive/upload/options.js';
import { verifyFolder } from '../../src/archive/verification/verify-recordings.js';
import { finishedFile, unfinishedAudio } from '../../src/control/recordings/download.js';
import { readRecording } from '../../src/control/recordings/recording.js';
import { ManualClock } from '../../src/core/clock.js';
import { FolderLock } from '../../src/core/files/folder-lock.js';
import { signerOf } from '../../src/evidence/signed-note.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { OWNER_ONLY } from '../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import { appendFinished, replaceFinished } from '../../src/sinks/recorder/folders/finished-index.js';
import { repairUnfinished } from '../../src/sinks/recorder/repair.js';
import { addDeadLetter, readDeadLetters, takeDeadLetters } from '../../src/webhooks/queue/dead-letters.js';
import { MessageQueue } from '../../src/webhooks/queue/message-queue.js';
import { ArchiveRig, makeRecording } from '../support/archive/archive-rig.js';
import { streamInfo } from '../support/frames.js';
import { RecorderRig, tone } from '../support/recorder/recorder-rig.js';

const signer = signerOf('test-node', Buffer.alloc(32, 7));
const ID = streamInfo().interactionId;

let folder: string;
let out: string;
let outside: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-links-'));
  [out, outside] = [join(folder, 'out'), join(folder, 'outside')];
  mkdirSync(out);
  mkdirSync(outside);
  makeRecording(outside, 'secret');
  writeFileSync(join(outside, 'secret.txt'), 'a secret of somebody else');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Names, contents and times of all that lies outside. */
function stateOutside(): unknown[] {
  return readdirSync(outside, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs, size } = lstatSync(path);
    return [path, entry.isFile() ? readFileSync(path, 'latin1') : '', mtimeMs, size];
  });
}

const link = (name: string, to: string): void => symlinkSync(join(outside, to), join(out, name));
const record = (rig: RecorderRig, frames = 50): void => {
  for (let n = 0; n < frames; n++) rig.frame(0, 0, n * 160, tone(n * 160, 160));
  rig.work(800_000);
};

async function audit(): Promise<string[]> {
  const faults: string[] = [];
  const onFault = (message: string): void => void faults.push(message);
  const checkpoints = await CheckpointWriter.open({ directory: out, fileMode: 0o600, signer, onFault });
  const log = new AuditLog({ file: join(out, 'audit.jsonl'), region: 'here', checkpoints, onFault });
  await log.open();
  log.event('connected');
  await log.close();
  return faults;
}

async function archive(uploads?: UploadSettings): Promise<ArchiveRig> {
  const log = new AuditLog({ file: join(out, 'audit.jsonl'), region: 'here' });
  await log.open();
  const rig = new ArchiveRig(out, log, undefined, uploads, { keepDays: 1, rules: [] });
  await rig.worker.open();
  await rig.worker.close(60_000);
  await log.close();
  return rig;
}

/** Takes over the messages in a folder, as webhooks do at their start. Returns what was taken over; throws what failed. */
async function takeOver(directory: string): Promise<readonly string[]> {
  const taken: string[] = [];
  const faults: unknown[] = [];
  const queue = new MessageQueue({
    ...{ directory, parentFolderMode: 0o700, maxMessages: 10, maxBytes: 1 << 20, clock: new ManualClock() },
    onFault: (thrown) => void faults.push(thrown),
    onAdopted: (messages) => void taken.push(...messages.map(({ body }) => body)),
  });
  await queue.open();
  await queue.close();
  if (faults.length > 0) throw faults[0];
  return taken;
}

/** The messages of a process that is gone. */
function leaveMessages(path: string): void {
  const message = { id: 'x', type: 'x', key: 'x', createdAtMs: 0, body: 'a secret of somebody else' };
  const lines = [{ ...thisWriter(), startTicks: '1' }, { add: message }];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** Finished, as the recorder's index says. */
function listFinished(...names: readonly string[]): void {
  const index = new UnfinishedIndex(out, thisWriter(), OWNER_ONLY, 1, true);
  for (const name of names) index.finished(name);
  index.close();
}

/** A recorder whose folder is exchanged for a link in the middle of a call; it goes on, ends, or is begun again. */
function exchanged(then: (rig: RecorderRig) => void): void {
  const rig = new RecorderRig({ outDir: out });
  rig.open(streamInfo());
  record(rig);
  renameSync(join(out, ID), join(folder, 'moved'));
  link(ID, 'secret');
  then(rig);
  rig.recorder.close();
}

const recordAll = (): void => {
  const rig = new RecorderRig({ outDir: out });
  rig.open(streamInfo());
  record(rig);
  rig.closeStream(0);
  rig.work();
  rig.recorder.close();
};

const row = { id: 'x', interactionId: 'x', state: 'recorded', startedAtMs: 0, endedAtMs: 0, attributes: {} } as const;
const change = { action: 'add', kind: 'tag', value: 'x', since: '2026-01-01T00:00:00.000Z', by: 'test' } as const;
const letter = {
  ...{ id: 'x', type: 'x', key: 'x', createdAtMs: 0, body: '{}', attempts: 1, failedAtMs: 0, reason: 'x' },
};

/** A link that somebody has planted, and who comes by it. What is thrown is a refusal. */
const CASES: readonly (readonly [name: string, plant: () => void, act: () => unknown])[] = [
  ['the folder of a recording that begins', () => link(ID, 'secret'), recordAll],
  ['the folder of a recording under way, which goes on', () => {}, () => exchanged((rig) => record(rig, 3_000))],
  [
    'the folder of a recording under way, which ends',
    () => {},
    () =>
      exchanged((rig) => {
        rig.closeStream(0);
        rig.work(800_000);
      }),
  ],
  [
    'the folder of a recording under way, whose thread dies',
    () => {},
    () =>
      exchanged((rig) => {
        rig.crash();
        record(rig);
        rig.closeStream(0);
        rig.work(800_000);
      }),
  ],
  [
    'a checkpoint of a recording',
    () => {
      mkdirSync(join(out, ID));
      link(`${ID}/session.json.partial`, 'secret.txt');
    },
    recordAll,
  ],
  ['the folder of the index of unfinished recordings', () => link('.unfinished', 'secret'), recordAll],
  [
    'the same folder, which a repair reads',
    () => {
      writeFileSync(join(outside, 'secret', 'host-1-2-3.log'), '{}\n+secret\n');
      link('.unfinished', 'secret');
      link('secret', 'secret');
    },
    () => repairUnfinished(out),
  ],
  [
    'a folder that the index names, which a repair looks into',
    () => {
      mkdirSync(join(out, '.unfinished'));
      writeFileSync(join(out, '.unfinished', 'complete'), '');
      writeFileSync(join(out, '.unfinished', 'host-1-2-3.log'), '{}\n+2026/secret\n');
      renameSync(join(outside, 'secret', 'session.json'), join(outside, 'secret', 'session.json.partial'));
      symlinkSync(outside, join(out, '2026'));
    },
    () => repairUnfinished(out),
  ],
  [
    'a file of that index',
    () => {
      mkdirSync(join(out, '.unfinished'));
      link('.unfinished/host-1-2-3.log', 'secret.txt');
    },
    () => repairUnfinished(out),
  ],
  [
    'the index of finished recordings',
    () => link('.recordings.jsonl', 'secret.txt'),
    () => appendFinished(out, [row], 0o600),
  ],
  [
    'the same, which is written again',
    () => link('.recordings.jsonl', 'secret.txt'),
    () => replaceFinished(out, [row], 0o600),
  ],
  ['the audit', () => link('audit.jsonl', 'secret.txt'), audit],
  ['a file of the audit with another name', () => link('audit-20260101T000000Z.jsonl', 'secret.txt'), audit],
  ['the hashes of the audit', () => link('audit.leaves', 'secret.txt'), audit],
  ['its checkpoint', () => link('audit.checkpoint', 'secret.txt'), audit],
  ['its next checkpoint', () => link('audit.checkpoint.new', 'secret.txt'), audit],
  ['its tree', () => link('audit.tree.new', 'secret.txt'), audit],
  ['its public key', () => link('audit.public-key.new', 'secret.txt'), audit],
  ['the legal holds', () => link('.legal-holds.jsonl', 'secret.txt'), () => changeHold(out, change)],
  ['the dead letters of webhooks', () => link('dead-letters.jsonl', 'secret.txt'), () => addDeadLetter(out, letter)],
  ['the lock', () => link('.lock', 'secret.txt'), () => FolderLock.acquire(out, { onLost: () => {}, staleMs: 250 })],
  ['the folder of the archive', () => link('.unfinished', 'secret'), () => archive()],
  [
    'a recording that is due',
    () => {
      mkdirSync(join(out, '.unfinished'));
      link('old', 'secret');
    },
    () => archive(),
  ],
  [
    'a folder above a recording that is to be deleted',
    () => symlinkSync(outside, join(out, '2026')),
    () => {
      const deletion = { folder: '2026/secret', folderKey: '', interactionId: 'x', reason: 'retention' } as const;
      const dependencies = { directory: out, fileMode: 0o600, fault: () => {}, audit: () => Promise.resolve() };
      return new Deletions(dependencies).delete(deletion);
    },
  ],
  [
    'files of a recording that is deleted',
    () => {
      makeRecording(out, 'old');
      link('old/audio-2.wav.enc', 'secret.txt');
      link('old/inside', 'secret');
    },
    () => deleteRecording(out, 'old'),
  ],
  [
    'a finished recording that waits for its digest',
    () => {
      listFinished('linked');
      link('linked', 'secret');
    },
    () => archive(),
  ],
  ['the folder of messages for webhooks', () => link('hooks', 'secret'), () => takeOver(join(out, 'hooks'))],
  [
    'a file of such messages',
    () => {
      leaveMessages(join(outside, 'messages'));
      mkdirSync(join(out, 'hooks'));
      link('hooks/queue-host-1-2.jsonl', 'messages');
    },
    () => takeOver(join(out, 'hooks')),
  ],
  [
    'the dead letters, which are sent again',
    () => {
      writeFileSync(join(outside, 'letters'), `${JSON.stringify(letter)}\n`);
      link('dead-letters.jsonl', 'letters');
    },
    () => takeDeadLetters(out, (messages) => Promise.resolve(expect(messages).toEqual([]))),
  ],
];

describe('a symbolic link leads nobody out of the output folder: in place of', () => {
  it.each(CASES)('%s', async (_, plant, act) => {
    plant();
    const before = stateOutside();
    try {
      const result = await act();
      if (result instanceof FolderLock) await result.release();
    } catch (thrown) {
      expect((thrown as Error).message).toMatch(/ELOOP|symbolic link|too many/i);
    }
    expect(stateOutside()).toEqual(before);
  });
});

describe('a symbolic link shows nothing of what lies outside:', () => {
  it('a manifest in the API', () => {
    makeRecording(out, 'call');
    rmSync(join(out, 'call', 'session.json'));
    link('call/session.json', 'secret/session.json');
    expect(JSON.stringify(readRecording(out, 'call') ?? {})).not.toContain('secret');
    link('linked', 'secret');
    expect(readRecording(out, 'linked')).toBeUndefined();
  });

  it('a folder, or a folder above it, in an upload', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(403).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    listFinished('linked', '2026/secret');
    link('linked', 'secret');
    symlinkSync(outside, join(out, '2026'));
    const before = stateOutside();
    const options = s3ArchiveOptionsSchema.parse({ address: 's3://bucket', endpoint, deleteLocal: true });
    const rig = await archive(uploadSettings(options));
    await new Promise((resolve) => server.close(resolve));
    expect(asked).toEqual([]);
    expect(rig.reports.at(-1)).toMatchObject({ archived: 0, unfit: 2, failures: {} });
    expect(stateOutside()).toEqual(before);
  });

  it('messages for webhooks, and dead letters', async () => {
    leaveMessages(join(outside, 'messages'));
    writeFileSync(join(outside, 'letters'), `${JSON.stringify(letter)}\n`);
    mkdirSync(join(out, 'hooks'));
    link('hooks/queue-host-1-2.jsonl', 'messages');
    link('dead-letters.jsonl', 'letters');
    await expect(takeOver(join(out, 'hooks'))).rejects.toThrow('ELOOP');
    await expect(readDeadLetters(out)).rejects.toThrow('ELOOP');
    // Where they are files they are taken over.
    rmSync(join(out, 'hooks/queue-host-1-2.jsonl'));
    leaveMessages(join(out, 'hooks/queue-host-1-2.jsonl'));
    expect(await takeOver(join(out, 'hooks'))).toEqual(['a secret of somebody else']);
  });

  it('a folder, a folder above it, or a file in a download', async () => {
    makeRecording(out, 'call');
    rmSync(join(out, 'call', 'audio.wav'));
    link('call/audio.wav', 'secret/audio.wav');
    link('linked', 'secret');
    symlinkSync(outside, join(out, '2026'));
    const request = new IncomingMessage(new Socket());
    for (const id of ['call', 'linked', '2026/secret']) {
      expect(await finishedFile(request, out, id, 'audio.wav'), id).toBeUndefined();
      expect(await unfinishedAudio(out, id, 'audio.wav'), id).toBeUndefined();
    }
    const manifest = await finishedFile(request, out, 'call', 'session.json');
    expect(manifest?.status).toBe(200);
    expect(Buffer.concat((await manifest?.stream.toArray()) ?? []).toString()).toContain('"call"');
  });

  it('in a digest, or in what verify reads', async () => {
    mkdirSync(join(out, '.unfinished'));
    await audit();
    link('audit-other.jsonl', 'secret.txt');
    link('linked', 'secret');
    const report = await verifyFolder(out, { publicKey: signer });
    expect(report.files).toEqual(['audit.jsonl']);
    expect(report.recordings.verified).toBe(0);
  });
});

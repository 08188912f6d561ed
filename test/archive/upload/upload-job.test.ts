import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3Archive, s3Archive } from '../../../src/archive/s3-archive.js';
import type { S3ArchiveOptions } from '../../../src/archive/upload/options.js';
import { TrunklineError } from '../../../src/core/errors.js';
import { AuditLog } from '../../../src/sinks/audit/audit-log.js';
import { OWNER_ONLY } from '../../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../../src/sinks/recorder/files/writer.js';
import { ArchiveRig, makeRecording } from '../../support/archive/archive-rig.js';
import { FaultProxy } from '../../support/archive/fault-proxy.js';
import { keysIn } from '../../support/archive/s3-client.js';
import { CREDENTIALS, S3Server, serverKind } from '../../support/archive/s3-server.js';
import { until } from '../../support/until.js';

const KIND = serverKind();
const DAY = '2026-11-29';
let started = 0;

describe('options of s3Archive()', () => {
  it.each([
    [{ address: 'https://bucket' }, /s3:\/\/bucket\/prefix/],
    [{ address: 's3://b' }, /s3:\/\/bucket\/prefix/],
    [{ address: 's3://bucket/../other' }, /s3:\/\/bucket\/prefix/],
    [{ address: 's3://bucket', name: '{date}' }, /\{interactionId\}/],
    [{ address: 's3://bucket', name: '../{interactionId}' }, /separated by/],
    [{ address: 's3://bucket', name: '{caller}/{interactionId}' }, /knows no \{caller\}/],
    [{ address: 's3://bucket', endpoint: 'http://user:secret@host' }, /must not contain credentials/],
    [{ address: 's3://bucket', kmsKey: 'key' }, /aws:kms/],
    [{ address: 's3://bucket', lock: { mode: 'governance', days: 0 } }, /lock/],
    [{ address: 's3://bucket', caFile: '/nowhere/ca.pem' }, /CA file/],
    [{ address: 's3://bucket', bucketName: 'x' }, /no option "bucketName"/],
  ])('refuses %j', (options, message) => {
    expect(() => s3Archive(options as S3ArchiveOptions)).toThrow(message);
    expect(() => s3Archive(options as S3ArchiveOptions)).toThrow(TrunklineError);
  });

  it('takes a bucket and what names begin with apart, and chooses how to address other servers', () => {
    const { settings } = new S3Archive({ address: 's3://calls/site-1//a/', endpoint: 'http://[::1]:9000' }).uploads;
    expect(settings.bucket).toMatchObject({
      bucket: 'calls',
      prefix: 'site-1/a/',
      pathStyle: true,
      region: 'us-east-1',
    });
    expect(new S3Archive({ address: 's3://calls' }).uploads.settings.bucket).toMatchObject({
      prefix: '',
      pathStyle: false,
    });
  });
});

describe.skipIf(KIND === undefined)(`finished recordings, to ${KIND ?? 'no S3 server'}`, () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let directory: string;
  let log: AuditLog;
  let index: UnfinishedIndex;
  let prefix: string;
  beforeAll(async () => {
    if (KIND === undefined) return;
    server = await S3Server.start(KIND);
    proxy = await new FaultProxy(server.port).start();
    Object.assign(process.env, CREDENTIALS);
  }, 60_000);
  afterAll(async () => {
    await proxy.close();
    await server.close();
  });
  beforeEach(async () => {
    proxy.become(undefined);
    directory = mkdtempSync(join(tmpdir(), 'trunkline-uploads-'));
    prefix = `run-${++started}`;
    log = new AuditLog({ file: join(directory, 'audit.jsonl'), region: 'here' });
    await log.open();
    index = new UnfinishedIndex(directory, thisWriter(), OWNER_ONLY, started, true);
  });
  afterEach(async () => {
    await log.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function open(options: Partial<S3ArchiveOptions> = {}): Promise<ArchiveRig> {
    // Nothing but a server that hangs may take long, and the machine may be busy.
    const retry = { leastRetryMs: 20, mostRetryMs: 200, timeoutSeconds: 30 };
    const address = `s3://${server.bucket}/${prefix}`;
    const archive = new S3Archive({ address, endpoint: proxy.endpoint, ...retry, ...options });
    const rig = new ArchiveRig(directory, log, Number.POSITIVE_INFINITY, archive.uploads.settings);
    await rig.worker.open();
    return rig;
  }

  function record(...folders: readonly string[]): void {
    for (const folder of folders) {
      index.add(folder);
      makeRecording(directory, folder);
      index.finished(folder);
    }
  }

  const actions = (): string[] => {
    const lines = readFileSync(join(directory, 'audit.jsonl'), 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line).action as string).filter((action) => action.startsWith('recording_'));
  };
  const stored = async (): Promise<string[]> =>
    (await keysIn(server.client, server.bucket, `${prefix}/`)).map((key) => key.slice(prefix.length + 1));
  const filesOf = (...folders: readonly string[]): string[] =>
    folders.flatMap((folder) => ['audio.wav', 'session.json'].map((file) => `${DAY}/none/${folder}/${file}`));

  it('are digested, uploaded and kept, in that order', async () => {
    const rig = await open();
    record('call-1', 'call-2');
    index.close();
    await rig.worker.close(60_000);
    expect(rig.faults).toEqual([]);
    expect(await stored()).toEqual(filesOf('call-1', 'call-2'));
    expect(actions().filter((action) => action === 'recording_archived')).toHaveLength(2);
    expect(actions()[0]).toBe('recording_digest');
    expect(rig.archived.map(({ name }) => name).toSorted()).toEqual([
      `${prefix}/${DAY}/none/call-1`,
      `${prefix}/${DAY}/none/call-2`,
    ]);
    expect(rig.reports.at(-1)).toMatchObject({ archived: 2, waiting: 0, failures: {}, state: { isFailing: false } });
    expect(existsSync(join(directory, 'call-1', 'audio.wav'))).toBe(true);
    expect(readdirSync(join(directory, '.unfinished')).filter((name) => name.endsWith('.finished'))).toEqual([]);
  });

  it('are deleted from the disk once they are in the bucket, with an entry that verify knows', async () => {
    const rig = await open({ deleteLocal: true });
    record('call-1', 'call-2');
    writeFileSync(join(directory, 'call-2', 'Notes by hand'), 'mine');
    index.close();
    await rig.worker.close(60_000);
    await log.written();
    expect(existsSync(join(directory, 'call-1'))).toBe(false);
    // Nobody has a copy of what is no file of the recording.
    expect(readdirSync(join(directory, 'call-2')).toSorted()).toEqual(['Notes by hand', 'audio.wav', 'session.json']);
    expect(rig.faults.join()).toMatch(/call-2 stays on the disk/);
    expect(actions().filter((action) => action === 'recording_deleted')).toHaveLength(1);
    expect(await stored()).toEqual(filesOf('call-1', 'call-2'));
    expect(rig.reports.at(-1)).toMatchObject({ archived: 2, deleted: 1 });
  });

  it('wait on the disk while the bucket is unavailable, and catch up when it is back', async () => {
    proxy.become({ kind: 'refuse' });
    const rig = await open();
    const folders = Array.from({ length: 12 }, (_, n) => `call-${n + 10}`);
    record(...folders);
    await until(() => rig.reports.some(({ state }) => state.isFailing), 'the bucket to be called failing');
    const failing = rig.reports.find(({ state }) => state.isFailing);
    expect(failing).toMatchObject({ state: { reason: 'unavailable' }, archived: 0, waiting: 12 });
    expect(failing?.oldestMs).toBe(Date.parse(`${DAY}T08:00:00.100Z`));
    proxy.become(undefined);
    await until(() => rig.archived.length === 12, 'all of them to be uploaded');
    index.close();
    await rig.worker.close(60_000);
    expect(rig.reports.at(-1)).toMatchObject({ archived: 12, waiting: 0, state: { isFailing: false } });
    expect(await stored()).toEqual(filesOf(...folders));
    // Told once, by its state, and not for each recording.
    expect(rig.faults).toEqual([]);
  });

  it('tell a failure that does not pass by itself at once, and are retried all the same', async () => {
    const address = `s3://no-such-bucket/${prefix}`;
    const rig = await open({ address });
    record('call-1');
    await until(() => rig.reports.some(({ state }) => state.isFailing), 'the bucket to be called failing');
    expect(rig.reports.at(-1)?.state).toMatchObject({ reason: 'noSuchBucket' });
    expect(rig.reports.at(-1)?.state.message).toMatch(/Create the bucket/);
    await until(() => (rig.reports.at(-1)?.failures.noSuchBucket ?? 0) > 1, 'another attempt', 20_000);
    await rig.worker.close(60_000);
    const later = await open();
    index.close();
    await later.worker.close(60_000);
    expect(await stored()).toEqual(filesOf('call-1'));
  });

  it('do not hold up the end of a node whose bucket hangs, and are uploaded after the next start', async () => {
    proxy.become({ kind: 'hang' });
    const rig = await open();
    record('call-1', 'call-2');
    await until(() => actions().length === 2, 'the digests');
    await rig.worker.close(100);
    expect(rig.archived).toEqual([]);
    proxy.become(undefined);
    const later = await open();
    index.close();
    await later.worker.close(60_000);
    expect(await stored()).toEqual(filesOf('call-1', 'call-2'));
    expect(later.archived).toHaveLength(2);
  });

  it('stay on the disk when their files are at fault, and do not hold up the others', async () => {
    const rig = await open({ deleteLocal: true, parallel: 1 });
    record('broken', 'call-1');
    writeFileSync(join(directory, 'broken', 'session.json'), 'not a manifest');
    index.close();
    await rig.worker.close(60_000);
    expect(await stored()).toEqual(filesOf('call-1'));
    expect(existsSync(join(directory, 'broken', 'audio.wav'))).toBe(true);
    expect(rig.faults.join()).toMatch(/broken cannot be uploaded and stays on the disk/);
    expect(actions()).toContain('recording_not_archived');
    expect(rig.reports.at(-1)).toMatchObject({ archived: 1, unfit: 1, waiting: 0 });
  });
});

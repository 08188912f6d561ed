import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AbortMultipartUploadCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BucketError } from '../../../src/archive/upload/failures.js';
import { RecordingUnfit, uploadRecording } from '../../../src/archive/upload/upload-recording.js';
import { FaultProxy } from '../../support/archive/fault-proxy.js';
import { contentOf, headOf, keysIn, sha256In, versionsOf } from '../../support/archive/s3-client.js';
import { S3Server, serverKind } from '../../support/archive/s3-server.js';
import { PART_BYTES, UploadRig } from '../../support/archive/upload-rig.js';
import { STARTED_MS } from '../../support/recordings.js';

const KIND = serverKind();
const DAY = '2026-03-01';

describe.skipIf(KIND === undefined)(`uploading a recording, to ${KIND ?? 'no S3 server'}`, () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let rig: UploadRig;
  beforeAll(async () => {
    if (KIND === undefined) return;
    server = await S3Server.start(KIND);
    proxy = await new FaultProxy(server.port).start();
  }, 60_000);
  afterAll(async () => {
    await proxy.close();
    await server.close();
  });
  beforeEach(() => {
    rig = new UploadRig(server);
  });
  afterEach(() => {
    proxy.become(undefined);
    rig[Symbol.dispose]();
  });

  it('stores every file under the name of the template, with its checksum and metadata', async () => {
    const attributes = { queue: 'sales/é%', direction: 'inbound', tags: ['vip', 'a b'] } as const;
    const recording = rig.record('call-1', { manifest: { attributes } });
    const archived = await uploadRecording(await rig.bucket(), recording, { ...rig.options, prefix: 'calls/' });
    expect(archived.name).toBe(`calls/${DAY}/sales_/call-1`);
    expect(await keysIn(server.client, server.bucket, 'calls/')).toEqual(
      ['audio.wav', 'session.json'].map((file) => `${archived.name}/${file}`),
    );
    for (const { name, sha256, bytes } of archived.files) {
      const local = readFileSync(join(recording.path, name));
      expect(sha256).toBe(createHash('sha256').update(local).digest('hex'));
      expect(await sha256In(server.client, server.bucket, `${archived.name}/${name}`)).toBe(sha256);
      const head = await headOf(server.client, server.bucket, `${archived.name}/${name}`);
      expect(head.ContentLength).toBe(bytes);
      expect(head.ChecksumSHA256).toBe(Buffer.from(sha256, 'hex').toString('base64'));
      expect(head.Metadata).toMatchObject({
        ...{ sha256, 'interaction-id': 'call-1', codec: 'pcmu', 'sample-rate': '8000', channels: '1' },
        ...{ queue: 'sales/%C3%A9%25', direction: 'inbound', tags: 'vip,a b' },
        'started-at': new Date(STARTED_MS).toISOString(),
      });
    }
    expect(archived.uploadedBytes).toBe(archived.files.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  it('sends nothing again that is there, and what is missing', async () => {
    const bucket = await rig.bucket();
    const recording = rig.record('call-2');
    const first = await uploadRecording(bucket, recording, rig.options);
    expect(await uploadRecording(bucket, recording, rig.options)).toEqual({ ...first, uploadedBytes: 0 });
    await server.client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: `${first.name}/session.json` }));
    const again = await uploadRecording(bucket, recording, rig.options);
    expect(again.uploadedBytes).toBe(first.files.at(-1)?.bytes);
    expect(await keysIn(server.client, server.bucket, first.name)).toHaveLength(2);
  });

  it('replaces nothing of a complete recording with what a killed process has left of it', async () => {
    const bucket = await rig.bucket();
    const recording = rig.record('half-deleted');
    const { name } = await uploadRecording(bucket, recording, rig.options);
    const audio = readFileSync(join(recording.path, 'audio.wav'));
    writeFileSync(join(recording.path, 'audio.wav'), Buffer.alloc(audio.length));
    const again = await uploadRecording(bucket, recording, rig.options);
    expect(again).toMatchObject({ uploadedBytes: 0, files: [{ name: 'session.json' }] });
    expect(await contentOf(server.client, server.bucket, `${name}/audio.wav`)).toEqual(audio);
  });

  it('gives recordings of one name different names, and replaces an earlier state of the same recording', async () => {
    const bucket = await rig.bucket();
    const one = await uploadRecording(bucket, rig.record('same'), rig.options);
    const other = rig.record('same-2', { manifest: { interactionId: 'same', startedAt: `${DAY}T23:00:00.000Z` } });
    const two = await uploadRecording(bucket, other, rig.options);
    expect([one.name, two.name]).toEqual([`${DAY}/none/same`, `${DAY}/none/same-2`]);
    // A change of format adds an audio file to a recording that is there.
    writeFileSync(join(other.path, 'audio-2.wav'), 'more');
    const grown = { ...other, files: [...other.files, 'audio-2.wav'] };
    appendFileSync(join(other.path, 'session.json'), ' ');
    const later = await uploadRecording(bucket, grown, rig.options);
    expect(later.name).toBe(two.name);
    expect(await keysIn(server.client, server.bucket, `${two.name}/`)).toHaveLength(3);
    expect(await sha256In(server.client, server.bucket, `${two.name}/session.json`)).toBe(later.files.at(-1)?.sha256);
  });

  it('has a recording once that became FLAC after it was uploaded as WAV, and nothing of others is touched', async () => {
    const bucket = await rig.bucket();
    const before = await uploadRecording(bucket, rig.record('converted'), rig.options);
    const other = await uploadRecording(bucket, rig.record('another'), rig.options);
    rmSync(join(rig.directory, 'converted'), { recursive: true });
    const after = await uploadRecording(bucket, rig.record('converted', { format: 'flac' }), rig.options);
    expect(after.name).toBe(before.name);
    const names = (place: string) => keysIn(server.client, server.bucket, `${place}/`);
    expect(await names(after.name)).toEqual(['audio.flac', 'session.json'].map((file) => `${after.name}/${file}`));
    expect(await names(other.name)).toEqual(['audio.wav', 'session.json'].map((file) => `${other.name}/${file}`));
  });

  it('has an encrypted recording as it is on the disk, and nothing that its metadata must not say', async () => {
    const vector = readFileSync(new URL('../../sinks/recorder/encryption/vectors/finished.wav.enc', import.meta.url));
    const manifest = { file: 'audio.wav.enc', encryption: { version: 1, sealed: true } };
    const recording = rig.record('secret', { manifest, extra: { 'audio.wav.enc': vector } });
    rmSync(join(recording.path, 'audio.wav'));
    const files = recording.files.filter((name) => name !== 'audio.wav');
    const { name } = await uploadRecording(await rig.bucket(), { ...recording, files }, rig.options);
    expect(await contentOf(server.client, server.bucket, `${name}/audio.wav.enc`)).toEqual(vector);
    const { ContentType, Metadata = {} } = await headOf(server.client, server.bucket, `${name}/audio.wav.enc`);
    expect(ContentType).toBe('application/octet-stream');
    expect(Object.keys(Metadata).filter((key) => ['ani', 'dnis', 'name', 'identities'].includes(key))).toEqual([]);
  });

  it('gives one whose files have other names no place where the upload of another has begun', async () => {
    const bucket = await rig.bucket();
    const flac = rig.record('begun', { extra: { 'audio.flac': Buffer.from('flac') } });
    rmSync(join(flac.path, 'audio.wav'));
    const begun = { ...flac, files: ['audio.flac', 'session.json'] };
    const { name } = await uploadRecording(bucket, begun, rig.options);
    await server.client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: `${name}/session.json` }));
    const other = rig.record('begun-2', { manifest: { interactionId: 'begun', startedAt: `${DAY}T23:00:00.000Z` } });
    expect((await uploadRecording(bucket, other, rig.options)).name).toBe(`${name}-2`);
    expect(await uploadRecording(bucket, begun, rig.options)).toMatchObject({ name });
    expect(await keysIn(server.client, server.bucket, `${name}/`)).toEqual([
      `${name}/audio.flac`,
      `${name}/session.json`,
    ]);
  });

  it('uploads large files in parts, and goes on where it was cut off', async () => {
    const long = randomBytes(2 * PART_BYTES + 1000);
    const recording = rig.record('long', { extra: { 'audio-2.wav': long } });
    const through = await rig.bucket({ endpoint: proxy.endpoint });
    proxy.become({ kind: 'cut', afterBytes: PART_BYTES + 200_000 });
    await expect(uploadRecording(through, recording, rig.options)).rejects.toMatchObject({ reason: 'unavailable' });
    proxy.become(undefined);
    const [begun] = await through.begun(`${DAY}/none/long/`);
    const before = proxy.bytes;
    const archived = await uploadRecording(through, recording, rig.options);
    expect(await sha256In(server.client, server.bucket, `${archived.name}/audio-2.wav`)).toBe(
      createHash('sha256').update(long).digest('hex'),
    );
    expect(await through.begun(`${DAY}/none/long/`)).toEqual([]);
    // The part that had arrived is not sent again; moto does not say what it has.
    expect(begun).toBeDefined();
    if (KIND === 'versitygw') expect(proxy.bytes - before).toBeLessThan(2 * PART_BYTES);
    await expect(
      server.client.send(
        new AbortMultipartUploadCommand({ Bucket: server.bucket, Key: begun?.key, UploadId: begun?.id }),
      ),
    ).rejects.toThrow();
  });

  it('notices that the store has other content of the same length', async () => {
    const bucket = await rig.bucket();
    const recording = rig.record('swapped');
    const { name } = await uploadRecording(bucket, recording, rig.options);
    const local = readFileSync(join(recording.path, 'audio.wav'));
    const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
    const other = Buffer.alloc(local.length, 1);
    const { Metadata: metadata = {} } = await headOf(server.client, server.bucket, `${name}/audio.wav`);
    await bucket.put(`${name}/audio.wav`, other, digest(other), { contentType: 'audio/wav', metadata }, false);
    // Such as by a process that was killed before it has stored the manifest.
    await server.client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: `${name}/session.json` }));
    const again = await uploadRecording(bucket, recording, rig.options);
    expect(again.uploadedBytes).toBe(again.files.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(await contentOf(server.client, server.bucket, `${name}/audio.wav`)).toEqual(local);
  });

  it.each([
    ['refuse', 'unavailable'],
    ['hang', 'unavailable'],
    ['busy', 'unavailable'],
  ] as const)('tells that a server that does %s is %s, and stores all of it afterwards', async (kind, reason) => {
    const recording = rig.record(`faulty-${kind}`);
    const impatient = await rig.bucket({ endpoint: proxy.endpoint, timeoutMs: 300 });
    proxy.become({ kind });
    await expect(uploadRecording(impatient, recording, rig.options)).rejects.toMatchObject({
      ...{ reason, isPermanent: false },
    });
    proxy.become(undefined);
    // A busy machine may not answer within 300 ms.
    const bucket = await rig.bucket({ endpoint: proxy.endpoint });
    const { name } = await uploadRecording(bucket, recording, rig.options);
    expect(await keysIn(server.client, server.bucket, `${name}/`)).toHaveLength(2);
  });

  it('keeps the limit of the bandwidth', async () => {
    const recording = rig.record('limited', { extra: { 'audio-2.wav': randomBytes(300_000) } });
    const fromMs = performance.now();
    const { uploadedBytes } = await uploadRecording(await rig.bucket({}, 8), recording, rig.options);
    const leastMs = ((uploadedBytes - 3 * 64_000) * 1000) / 1_000_000;
    expect(performance.now() - fromMs).toBeGreaterThan(leastMs);
  });

  it.each([
    ['a bucket that is not there', { bucket: 'no-such-bucket' }, 'noSuchBucket'],
    ['object lock in a bucket without it', { lockMode: 'governance', lockDays: 1 }, 'refused'],
  ] as const)('tells what is wrong with %s', async (_, changes, reason) => {
    const bucket = await rig.bucket(changes);
    const failed = uploadRecording(bucket, rig.record('call-3'), { ...rig.options, prefix: 'wrong/' });
    await expect(failed).rejects.toMatchObject({ reason, isPermanent: true });
    expect((await keysIn(server.client, server.bucket, 'wrong/')).filter((key) => key.endsWith('.json'))).toEqual([]);
  });

  it('locks objects for so many days, and puts a legal hold on them', async () => {
    const lock = { lockMode: 'governance', lockDays: 10, legalHold: true } as const;
    const bucket = await rig.bucket({ bucket: server.lockedBucket, ...lock });
    const recording = rig.record('locked');
    const { name } = await uploadRecording(bucket, recording, rig.options);
    const head = await headOf(server.client, server.lockedBucket, `${name}/audio.wav`);
    expect(head).toMatchObject({ ObjectLockMode: 'GOVERNANCE', ObjectLockLegalHoldStatus: 'ON' });
    expect(head.ObjectLockRetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 9.9 * 86_400_000);
    const input = { Bucket: server.lockedBucket, Key: `${name}/audio.wav`, VersionId: head.VersionId };
    await expect(server.client.send(new DeleteObjectCommand(input))).rejects.toThrow();
    await uploadRecording(bucket, recording, rig.options);
    expect(await versionsOf(server.client, server.lockedBucket, `${name}/audio.wav`)).toBe(1);
  });

  it.runIf(KIND === 'moto')('asks for encryption with the key that is named', async () => {
    const bucket = await rig.bucket({ encryption: 'aws:kms', kmsKey: 'alias/calls' });
    const { name } = await uploadRecording(bucket, rig.record('secret'), rig.options);
    const head = await headOf(server.client, server.bucket, `${name}/audio.wav`);
    expect(head).toMatchObject({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'alias/calls' });
  });

  it.runIf(KIND === 'versitygw')('tells wrong credentials from missing ones, and neither their values', async () => {
    const bucket = await rig.bucket({ region: 'eu-central-1' });
    await expect(uploadRecording(bucket, rig.record('call-4'), rig.options)).rejects.toMatchObject({
      isPermanent: true,
    });
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong-secret';
    const failed = await uploadRecording(await rig.bucket(), rig.record('call-5'), rig.options).catch((e) => e);
    expect(failed).toBeInstanceOf(BucketError);
    expect(['credentials', 'accessDenied']).toContain(failed.reason);
    expect(failed.message).not.toContain('wrong-secret');
  });

  it('blames the files when they are at fault', async () => {
    const bucket = await rig.bucket();
    const gone = rig.record('gone');
    rmSync(join(gone.path, 'audio.wav'));
    await expect(uploadRecording(bucket, gone, rig.options)).rejects.toThrow(RecordingUnfit);
    symlinkSync('/etc/hostname', join(gone.path, 'audio.wav'));
    await expect(uploadRecording(bucket, gone, rig.options)).rejects.toThrow(RecordingUnfit);
    const torn = rig.record('torn');
    writeFileSync(join(torn.path, 'session.json'), '{"interactionId":');
    await expect(uploadRecording(bucket, torn, rig.options)).rejects.toThrow(RecordingUnfit);
    expect(await keysIn(server.client, server.bucket, `${DAY}/none/gone`)).toEqual([]);
  });
});

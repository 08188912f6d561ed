import { createServer } from 'node:net';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkArchive } from '../../../src/cli/doctor/archive.js';
import { loadConfig } from '../../../src/config/load.js';
import { keysIn } from '../../support/archive/s3-client.js';
import { CREDENTIALS, REGION, S3Server, serverKind } from '../../support/archive/s3-server.js';

const KIND = serverKind();
if (KIND === undefined) console.warn('skipped: there is no S3 server (versitygw or moto)');

/** What the doctor says of a bucket. */
function check(endpoint: string, address: string) {
  const values = { archiveS3: address, archiveEndpoint: endpoint, archiveRegion: REGION };
  return checkArchive(loadConfig({ flags: values, env: {} }).config);
}

describe.skipIf(KIND === undefined)(`the doctor's check of the bucket, with ${KIND ?? 'no S3 server'}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    Object.assign(process.env, CREDENTIALS);
    if (KIND !== undefined) server = await S3Server.start(KIND);
  }, 60_000);
  afterAll(() => server.close());

  it('writes, verifies and deletes an object of a good bucket', async () => {
    const findings = await check(server.endpoint, `s3://${server.bucket}/site-1`);
    expect(findings).toMatchObject([{ status: 'ok', message: expect.stringContaining('was written') }]);
    expect(await keysIn(server.client, server.bucket, 'site-1/')).toEqual([]);
  });

  it('says that there is no such bucket', async () => {
    const findings = await check(server.endpoint, 's3://no-such-bucket');
    expect(findings).toMatchObject([{ status: 'fail', message: expect.stringMatching(/bucket/i) }]);
  });

  // moto takes any key.
  it.skipIf(KIND === 'moto')('says that the key is wrong', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'another secret';
    try {
      const findings = await check(server.endpoint, `s3://${server.bucket}`);
      expect(findings).toMatchObject([{ status: 'fail', message: expect.stringMatching(/key|credential|signature/i) }]);
    } finally {
      Object.assign(process.env, CREDENTIALS);
    }
  });
});

it('the doctor says that nothing answers at the address of the bucket, or nothing that is S3', async () => {
  Object.assign(process.env, CREDENTIALS);
  // Answers each request with words that mean nothing.
  const nonsense = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html'));
  });
  await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
  const { port } = nonsense.address() as { port: number };
  const talked = await check(`http://127.0.0.1:${port}`, 's3://recordings');
  expect(talked).toMatchObject([{ status: 'fail' }]);
  await new Promise((resolve) => nonsense.close(resolve));
  const silent = await check(`http://127.0.0.1:${port}`, 's3://recordings');
  expect(silent).toMatchObject([{ status: 'fail' }]);
}, 60_000);

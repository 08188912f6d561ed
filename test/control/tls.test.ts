import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hasOpenssl, makeCertificate } from '../support/certificate.js';
import { startControlNode } from '../support/control/control-node.js';
import { until } from '../support/until.js';

function certificates() {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-control-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, first: makeCertificate(folder, 'first'), second: makeCertificate(folder, 'second') };
}

/** The status and the headers of an answer, and the certificate that it came with. */
async function ask(url: string) {
  const outgoing = get(url, { rejectUnauthorized: false, agent: false });
  const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage];
  const certificate: PeerCertificate = (response.socket as TLSSocket).getPeerCertificate();
  response.resume();
  return { status: response.statusCode, headers: response.headers, fingerprint: certificate.fingerprint256 };
}

describe.skipIf(!hasOpenssl)('with a certificate, the control server', () => {
  test('speaks HTTPS only, says so to browsers, and takes over another certificate', async () => {
    const { folder, first, second } = certificates();
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    copyFileSync(first.certFile, certFile);
    copyFileSync(first.keyFile, keyFile);
    const { control, node } = await startControlNode({ tls: { certFile, keyFile } });
    expect(control.url).toMatch(/^https:/);
    const before = await ask(`${control.url}/livez`);
    expect(before).toMatchObject({ status: 200, headers: { 'strict-transport-security': expect.any(String) } });

    // A key that does not belong to the certificate: what there is stays in use.
    const errors: Error[] = [];
    node.on('error', (error) => errors.push(error));
    copyFileSync(second.certFile, certFile);
    await node.reopen();
    expect(errors).toEqual([expect.objectContaining({ code: 'CONFIG_INVALID' })]);
    expect((await ask(`${control.url}/livez`)).fingerprint).toBe(before.fingerprint);

    copyFileSync(second.keyFile, keyFile);
    await node.reopen();
    expect((await ask(`${control.url}/livez`)).fingerprint).not.toBe(before.fingerprint);
  });

  test('does not start with files that are none', async () => {
    const { folder, first } = certificates();
    const keyFile = join(folder, 'garbage.pem');
    writeFileSync(keyFile, 'garbage');
    const start = (tls: { certFile: string; keyFile: string }) => startControlNode({ tls });
    await expect(start({ certFile: first.certFile, keyFile })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(start({ certFile: join(folder, 'none'), keyFile })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('cuts off a client that reads nothing', async () => {
    const { first } = certificates();
    const tls = { certFile: first.certFile, keyFile: first.keyFile };
    const { control } = await startControlNode({ tls, limits: { stalledMs: 300 } });
    const socket = connect({ port: Number(new URL(control.url).port), host: '127.0.0.1', rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.pause();
    const request = 'GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const asking = setInterval(() => socket.write(request.repeat(100)), 10);
    onTestFinished(() => clearInterval(asking));
    await until(() => (control.stats().refused['slowReader'] ?? 0) > 0, 'the end of the slow reader');
    clearInterval(asking);
    await until(() => control.stats().connections === 0, 'the end of its connection');
    expect((await ask(`${control.url}/livez`)).status).toBe(200);
  });
});

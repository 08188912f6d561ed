import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Finding } from '../../../src/cli/doctor/finding.js';
import { tokenFileText } from '../../../src/control/access/token-file.js';
import { systemClock } from '../../../src/core/clock.js';
import { hasOpenssl, makeCertificate } from '../../support/certificate.js';
import { MAIN } from '../../support/cli/trunkline-process.js';
import { start } from '../../support/genesys/running.js';

const SECRET = 'do-not-print-this-secret';
const folder = mkdtempSync(join(tmpdir(), 'trunkline-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

interface Diagnosis {
  readonly code: number;
  readonly status: string;
  readonly findings: Finding[];
  /** Everything that was printed. */
  readonly text: string;
  of(name: string): Finding | undefined;
}

/** Runs the built command. It must not block this process, whose servers it asks. */
async function doctor(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  command: readonly string[] = [process.execPath, MAIN],
): Promise<Diagnosis> {
  const [program = '', ...before] = command;
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:TRUNKLINE|GENESYS)_|^TARGET_|_proxy$/i.test(name),
  );
  const child: ChildProcess = spawn(program, [...before, 'doctor', '--json', '--out', folder, ...args], {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  child.stderr?.on('data', (chunk) => (text += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  const json = text.trimEnd().split('\n').at(-1) ?? '';
  const { status, findings } = JSON.parse(json) as { status: string; findings: Finding[] };
  return { code, status, findings, text, of: (name) => findings.find((one) => one.name === name) };
}

/** A server of this process, closed after the test; its port. */
async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** What the platform answers to HEAD and to a sign-in, at a time of its own. */
function platformAt(offsetMs: number): RequestListener {
  return (request, response) => {
    request.resume();
    response.setHeader('date', new Date(systemClock.wallMs() + offsetMs).toUTCString());
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: 'token', token_type: 'bearer', expires_in: 3600 }));
  };
}

function addresses(port: number, scheme: 'http' | 'https' = 'http'): string[] {
  const media = `${scheme.replace('http', 'ws')}://localhost:${port}/api/v2/media/streams`;
  return ['--api-url', `${scheme}://localhost:${port}`, '--media-url', media, '--queue', 'q'];
}

const CREDENTIALS = { GENESYS_CLIENT_ID: 'client', GENESYS_CLIENT_SECRET: SECRET };
const QUIET = ['--control-port', '0'];

describe('trunkline doctor at the simulated platform', () => {
  test('finds nothing wrong with a machine and settings that are right', async () => {
    const simulator = await start({ clientId: 'client', clientSecret: SECRET });
    const args = ['--api-url', simulator.apiUrl, '--media-url', simulator.mediaUrl, '--queue', 'q', '--native', 'off'];
    const { code, findings, of, text } = await doctor([...args, '--max-streams', '100', ...QUIET], CREDENTIALS);
    expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(code).toBe(0);
    for (const name of ['node', 'open files', 'dns', 'connection', 'clock', 'sign-in']) {
      expect(of(name), name).toMatchObject({ status: 'ok' });
    }
    expect(text).not.toContain(SECRET);
    expect(readdirSync(folder).filter((name) => name.startsWith('.trunkline-doctor'))).toEqual([]);
  });

  test('finds wrong credentials', async () => {
    const simulator = await start({ clientId: 'client', clientSecret: 'another' });
    const args = ['--api-url', simulator.apiUrl, '--media-url', simulator.mediaUrl, '--queue', 'q'];
    const { code, of, text } = await doctor([...args, ...QUIET], CREDENTIALS);
    expect(code).toBe(1);
    expect(of('sign-in')).toMatchObject({ status: 'fail', message: expect.stringMatching(/refuses the credentials/) });
    expect(text).not.toContain(SECRET);
  });

  test('finds missing credentials', async () => {
    const port = await listening(createHttpServer(platformAt(0)));
    const { of } = await doctor([...addresses(port), ...QUIET]);
    expect(of('sign-in')).toMatchObject({ status: 'fail', fix: 'Set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET.' });
  });
});

describe('trunkline doctor at a platform that is not as it should be', () => {
  test.each([
    ['behind', 120_000, 'fail'],
    ['ahead of', -120_000, 'fail'],
    ['behind', 6_000, 'warn'],
  ])('finds a clock that is %s that of the platform by %i ms', async (where, offsetMs, status) => {
    const port = await listening(createHttpServer(platformAt(offsetMs)));
    const { code, of } = await doctor([...addresses(port), ...QUIET], CREDENTIALS);
    expect(of('clock')).toMatchObject({
      status,
      message: expect.stringContaining(where),
      fix: expect.stringMatching(/NTP/),
    });
    expect(code).toBe(status === 'fail' ? 1 : 0);
  });

  test.skipIf(!hasOpenssl)('finds certificates that are expired, or of a CA that is not known', async () => {
    const { cert, key, certFile } = makeCertificate(folder);
    const port = await listening(createHttpsServer({ cert, key }, platformAt(0)));
    const unknown = await doctor([...addresses(port, 'https'), ...QUIET], CREDENTIALS);
    expect(unknown.of('connection')).toMatchObject({ status: 'fail', fix: expect.stringMatching(/--ca-file/) });
    const known = await doctor([...addresses(port, 'https'), '--ca-file', certFile, ...QUIET], CREDENTIALS);
    expect(known.of('connection')).toMatchObject({ status: 'ok', message: expect.stringContaining('certificate of') });
    expect(known.of('sign-in')).toMatchObject({ status: 'ok' });
    const old = makeCertificate(folder, 'expired', { expired: true });
    const oldPort = await listening(createHttpsServer(old, platformAt(0)));
    const expired = await doctor([...addresses(oldPort, 'https'), '--ca-file', old.certFile, ...QUIET], CREDENTIALS);
    expect(expired.of('connection')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('CERT_HAS_EXPIRED'),
      fix: expect.stringMatching(/clock of this machine/),
    });
  });

  test('finds names that do not exist, and servers that are not there', async () => {
    const server = createHttpServer();
    const port = await listening(server);
    server.close();
    const args = ['--api-url', 'https://trunkline.invalid', '--media-url', `ws://127.0.0.1:${port}/x`, '--queue', 'q'];
    const { code, of, findings } = await doctor([...args, ...QUIET], CREDENTIALS);
    expect(code).toBe(1);
    expect(of('dns')).toMatchObject({ status: 'fail', message: expect.stringContaining('trunkline.invalid (E') });
    expect(findings.filter(({ name, status }) => name === 'connection' && status === 'fail')).toHaveLength(2);
    expect(of('sign-in')).toMatchObject({ status: 'fail' });
  });

  test('asks through the proxy, whose password it does not print', async () => {
    const targets: string[] = [];
    const proxy = createHttpServer();
    proxy.on('connect', (request, socket) => {
      targets.push(request.url ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    const port = await listening(proxy);
    const args = ['--api-url', 'https://api.test', '--media-url', 'wss://media.test/x', '--queue', 'q'];
    const env = { ...CREDENTIALS, HTTPS_PROXY: `http://user:${SECRET}@127.0.0.1:${port}` };
    const { of, text } = await doctor([...args, ...QUIET], env);
    expect(of('dns')).toMatchObject({ status: 'ok', message: '127.0.0.1 found' });
    expect(targets).toEqual(expect.arrayContaining(['api.test:443', 'media.test:443']));
    expect(of('connection')).toMatchObject({ status: 'fail', message: expect.stringContaining('refuses to connect') });
    expect(text).not.toContain(SECRET);
  });
});

describe('trunkline doctor on a machine that is not as it should be', () => {
  test.skipIf(process.platform === 'win32')('finds a low limit on open files', async () => {
    const limited = (files: number) => ['bash', '-c', `ulimit -n ${files} && exec "$0" "$@"`, process.execPath, MAIN];
    const few = await doctor(QUIET, {}, limited(300));
    expect(few.of('open files')).toMatchObject({ status: 'fail', message: expect.stringContaining('300 allowed') });
    expect(few.code).toBe(1);
    const some = await doctor(QUIET, {}, limited(1024));
    expect(some.of('open files')).toMatchObject({ status: 'warn', fix: expect.stringContaining('LimitNOFILE=') });
  });

  test('finds a folder that cannot be written', async () => {
    const { code, of } = await doctor(['--out', '/proc/recordings', ...QUIET]);
    expect(of('disk')).toMatchObject({ status: 'fail', message: expect.stringContaining('/proc/recordings') });
    expect(code).toBe(1);
    writeFileSync(join(folder, 'file'), '');
    expect((await doctor(['--out', join(folder, 'file'), ...QUIET])).of('disk')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('is not a folder'),
    });
  });

  test('makes no folder', async () => {
    const out = join(folder, 'a', 'b');
    expect((await doctor(['--out', out, ...QUIET])).of('disk')).toMatchObject({
      message: expect.stringContaining(out),
    });
    expect(existsSync(join(folder, 'a'))).toBe(false);
  });

  test('finds ports that are taken, but not those of a running node', async () => {
    const port = await listening(createHttpServer((_, response) => response.end('hello')));
    const taken = await doctor(['--control-port', String(port)]);
    expect(taken.of('control port')).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining(`sport = :${port}`),
    });
    const health = await listening(createHttpServer((_, response) => response.end('{"status":"ok","checks":[]}\n')));
    const running = await doctor(['--control-port', String(health)]);
    expect(running.of('control port')).toMatchObject({ status: 'ok', message: expect.stringContaining('running') });
  });
});

describe('trunkline doctor and the settings of the servers', () => {
  test.skipIf(!hasOpenssl)('judges keys and certificates of AudioHook', async () => {
    const { certFile, keyFile } = makeCertificate(folder, 'hook');
    const keys = join(folder, 'keys.json');
    writeFileSync(keys, JSON.stringify([{ apiKey: 'k', clientSecret: SECRET }]), { mode: 0o600 });
    chmodSync(keyFile, 0o644);
    const tls = ['--audiohook-tls-cert', certFile, '--audiohook-tls-key', keyFile];
    // The clock is compared with the platform's here too, at an address that answers at once.
    const platform = addresses(await listening(createHttpServer(platformAt(0)))).slice(0, 2);
    const hook = ['--audiohook-port', '0', '--audiohook-keys', keys, ...platform, ...QUIET];
    const { findings, of, text } = await doctor([...hook, ...tls]);
    expect(of('audiohook keys')).toEqual({
      name: 'audiohook keys',
      status: 'ok',
      message: '1, all with a client secret',
    });
    expect(findings.filter(({ name }) => name === 'audiohook tls').map(({ message }) => message)).toEqual([
      expect.stringMatching(/valid for 1 more days/),
      'the certificate is self-signed',
      `every user of this machine can read ${keyFile}`,
    ]);
    expect(of('audiohook port')?.status).toBe('ok');
    expect(of('clock')?.status).toBe('ok');
    expect(text).not.toContain(SECRET);

    const expired = makeCertificate(folder, 'hook-expired', { expired: true });
    const oldTls = ['--audiohook-tls-cert', expired.certFile, '--audiohook-tls-key', expired.keyFile];
    expect((await doctor([...hook, ...oldTls])).of('audiohook tls')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/expired/),
    });
    writeFileSync(keys, JSON.stringify([{ apiKey: SECRET }]));
    chmodSync(keys, 0o644);
    const unsigned = await doctor(hook);
    expect(unsigned.findings.filter(({ name }) => name === 'audiohook keys').map(({ status }) => status)).toEqual([
      'fail',
      'warn',
    ]);
    writeFileSync(keys, `{"${SECRET}`);
    const broken = await doctor(hook);
    expect(broken.of('audiohook keys')).toMatchObject({ status: 'fail', message: expect.stringContaining('not JSON') });
    expect(unsigned.text + broken.text).not.toContain(SECRET);
  });

  test('judges tokens of the control server', async () => {
    const port = ['--control-port', '39464'];
    const open = await doctor([...port, '--control-host', '0.0.0.0']);
    expect(open.of('control tokens')).toMatchObject({ status: 'fail', fix: expect.stringContaining('token create') });
    expect(open.of('control tls')).toMatchObject({ status: 'warn' });
    const file = join(folder, 'tokens.json');
    const missing = await doctor([...port, '--control-tokens', file]);
    expect(missing.of('control tokens')).toMatchObject({ status: 'fail', message: expect.stringContaining(file) });
    const entry = { name: 'a', role: 'viewer' as const, sha256: '0'.repeat(64), createdAt: '2020-01-01T00:00:00Z' };
    writeFileSync(file, tokenFileText([{ ...entry, expiresAt: '2020-02-01T00:00:00Z' }]), { mode: 0o600 });
    const expired = await doctor([...port, '--control-tokens', file]);
    expect(expired.of('control tokens')).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/nobody has/),
    });
    writeFileSync(file, tokenFileText([entry]));
    const good = await doctor([...port, '--control-tokens', file]);
    expect(good.of('control tokens')).toMatchObject({ status: 'ok', message: '1' });
  });

  test('judges the receiver of webhooks, and shows its host alone', async () => {
    const requests: string[] = [];
    const port = await listening(
      createHttpServer((request, response) => {
        requests.push(request.url ?? '');
        response.end();
      }),
    );
    const url = ['--webhook-url', `http://127.0.0.1:${port}/${SECRET}`];
    const unsigned = await doctor([...url, ...QUIET]);
    expect(unsigned.of('webhook')).toMatchObject({ status: 'fail', message: expect.stringContaining('signed') });
    const env = { TRUNKLINE_WEBHOOK_SECRET: 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' };
    const good = await doctor([...url, ...QUIET], env);
    expect(good.findings.filter(({ name }) => name === 'webhook').map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(requests).toEqual(['/']);
    expect(unsigned.text + good.text).not.toContain(SECRET);
    const gone = servers.pop();
    gone?.close();
    const unreachable = await doctor([...url, ...QUIET], env);
    expect(unreachable.code).toBe(1);
  });

  test('says which setting is wrong, and that no source is configured', async () => {
    const wrong = await doctor(['--shards', 'many']);
    expect(wrong.of('settings')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('--shards must be'),
    });
    expect(wrong.code).toBe(1);
    expect((await doctor(QUIET)).of('settings')).toMatchObject({ status: 'warn' });
  });

  test('prints a line for each finding, and what to do', async () => {
    const child = spawn(process.execPath, [MAIN, 'doctor', '--out', '/proc/recordings', ...QUIET]);
    let stdout = '';
    child.stdout.on('data', (chunk) => (stdout += String(chunk)));
    await once(child, 'close');
    expect(stdout).toMatch(/^OK {4}node {14}Node \d+/m);
    expect(stdout).toMatch(/^FAIL {2}disk {14}\/proc\/recordings .*\n {24}Give the user \d+ write access/m);
    expect(stdout).toMatch(/\d+ checks passed, \d+ warnings?, 1 failed\n$/);
  });
});

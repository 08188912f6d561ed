import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MAIN, TrunklineProcess } from '../support/cli/trunkline-process.js';
import { ask } from '../support/control/control-node.js';
import { until } from '../support/until.js';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-control-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function start(args: readonly string[]): TrunklineProcess {
  const trunkline = new TrunklineProcess(args);
  onTestFinished(() => void trunkline.child.kill('SIGKILL'));
  return trunkline;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function token(args: readonly string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, [MAIN, 'token', ...args], { encoding: 'utf8' });
}

const SERVE = ['serve', '--port', '0', '--log-format', 'json'];

test('a command prints the address of its control server, and it answers', async () => {
  const port = await freePort();
  const serve = start([...SERVE, '--out', temporaryFolder(), '--control-port', String(port)]);
  await serve.logged(new RegExp(`console, metrics and API: http://127\\.0\\.0\\.1:${port}`));
  const ready = await ask(`http://127.0.0.1:${port}/readyz`);
  expect(ready).toMatchObject({ status: 200, json: { status: 'ok' } });
  const names = (ready.json as { checks: { name: string }[] }).checks.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['node', 'audiohook.server', 'recorder.disk', 'threads.recorder']));
  expect((await serve.end()).code).toBe(0);
});

test('a command whose control port is in use says so and fails; the demo takes another one', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const port = String((taken.address() as AddressInfo).port);
  const serve = start([...SERVE, '--out', temporaryFolder(), '--control-port', port]);
  expect(await serve.exited()).toBe(1);
  expect(serve.stderr).toMatch(/control server cannot listen on 127\.0\.0\.1 port \d+.*--control-port/);
  const args = ['demo', '--streams', '1', '--seconds', '1', '--out', temporaryFolder(), '--control-port', port];
  const demo = start([...args, '--log-format', 'json']);
  await demo.logged(/console, metrics and API: http:/);
  expect(demo.stderr).not.toContain(`API: http://127.0.0.1:${port}`);
  expect(await demo.exited()).toBe(0);
});

test('an address that others reach is refused without tokens', async () => {
  const serve = start([...SERVE, '--out', temporaryFolder(), '--control-port', '9', '--control-host', '0.0.0.0']);
  expect(await serve.exited()).toBe(2);
  expect(serve.stderr).toMatch(/token create/);
});

test('tokens are made, listed and revoked, and a node takes them over at SIGHUP', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'tokens.json');
  const made = token(['create', 'jane', '--role', 'viewer', '--file', file]);
  expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/^trunkline_[\w-]{43}\n$/) });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const jane = made.stdout.trim();
  expect(readFileSync(file, 'utf8')).not.toContain(jane);
  expect(token(['create', 'jane', '--role', 'viewer', '--file', file]).status).toBe(2);
  expect(token(['create', 'root', '--role', 'root', '--file', file]).status).toBe(2);

  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/v1/session`;
  const serve = start([...SERVE, '--out', folder, '--control-port', String(port), '--control-tokens', file]);
  await serve.logged(/console, metrics and API/);
  expect(await ask(url)).toMatchObject({ status: 401 });
  expect(await ask(url, { token: jane })).toMatchObject({ status: 200, json: { name: 'jane', role: 'viewer' } });

  const bob = token(['create', 'bob', '--role', 'operator', '--days', '30', '--file', file]).stdout.trim();
  expect(token(['list', '--file', file]).stdout).toMatch(/^jane +viewer .*never expires\nbob +operator .*expires /);
  expect(token(['revoke', 'jane', '--file', file]).status).toBe(0);
  expect(token(['revoke', 'nobody', '--file', file]).status).toBe(2);
  serve.child.kill('SIGHUP');
  await serve.logged(/have been read again/);
  expect(await ask(url, { token: bob })).toMatchObject({ status: 200, json: { name: 'bob' } });
  expect(await ask(url, { token: jane })).toMatchObject({ status: 401 });
  expect((await serve.end()).code).toBe(0);

  const audit = readFileSync(join(folder, 'audit.jsonl'), 'utf8');
  expect(audit).toMatch(/"action":"control_refused".*"reason":"tokenUnknown".*"remoteAddress":"127\.0\.0\.1"/);
  for (const secret of [jane, bob]) expect(audit + serve.stderr).not.toContain(secret);
});

test('SIGHUP takes over AudioHook keys, and what is broken leaves those that there were', async () => {
  const folder = temporaryFolder();
  const keys = join(folder, 'keys.json');
  writeFileSync(keys, JSON.stringify([{ apiKey: 'one', clientSecret: 'c2VjcmV0LW9uZQ==' }]));
  const serve = start([...SERVE, '--out', folder, '--keys', keys]);
  await serve.ready();
  writeFileSync(keys, '[');
  serve.child.kill('SIGHUP');
  await serve.logged(/keeps its keys and certificate/);
  writeFileSync(keys, JSON.stringify([{ apiKey: 'two', clientSecret: 'c2VjcmV0LXR3bw==' }]));
  const before = serve.stderr.length;
  serve.child.kill('SIGHUP');
  await until(() => /have been read again/.test(serve.stderr.slice(before)), 'the reload');
  expect(serve.stderr.slice(before)).not.toMatch(/keeps its keys/);
  expect((await serve.end()).code).toBe(0);
});

test('SIGTERM lets calls end, and a second one does not', async () => {
  const folder = temporaryFolder();
  const demo = (): TrunklineProcess =>
    start(['demo', '--streams', '2', '--seconds', '4', '--codec', 'pcmu', '--out', folder, '--log-format', 'json']);
  const patient = demo();
  await patient.logged(/stream opened/);
  expect((await patient.end('SIGTERM')).code).toBe(0);
  const [call = ''] = readdirSync(folder).filter((name) => !name.includes('.'));
  const manifest = JSON.parse(readFileSync(join(folder, call, 'session.json'), 'utf8')) as { endReason: string };
  expect(manifest.endReason).toBe('ended');

  const hurried = demo();
  await hurried.logged(/stream opened/);
  hurried.child.kill('SIGTERM');
  await hurried.logged(/draining, then stopping/);
  expect(await hurried.end('SIGTERM')).toMatchObject({ code: 143 });
});

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** Prints each datagram that reaches a socket, as systemd receives them. Node has no datagram sockets of that kind. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1] if sys.argv[1][0] != '@' else '\\0' + sys.argv[1][1:])
print('listening', flush=True)
while True: print(s.recv(4096).decode().split('\\n')[0], flush=True)
`;

test.skipIf(!hasPython).each(['file', 'abstract name'])(
  'systemd is told, by a socket that is a %s, that the node runs, lives and stops',
  async (kind) => {
    const folder = temporaryFolder();
    const socket = kind === 'file' ? join(folder, 'notify') : `@trunkline-test-${process.pid}`;
    const receiver = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void receiver.kill());
    let received = '';
    receiver.stdout.on('data', (chunk) => {
      received += String(chunk);
    });
    await until(() => received.includes('listening'), 'the socket');
    const serve = new TrunklineProcess([...SERVE, '--out', folder], undefined, [], {
      NOTIFY_SOCKET: socket,
      WATCHDOG_USEC: '200000',
    });
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    await until(() => /READY=1\nWATCHDOG=1\nWATCHDOG=1\n/.test(received), 'the start and signs of life');
    expect(received).not.toContain('STOPPING');
    await serve.end();
    await until(() => received.includes('STOPPING=1'), 'the end');
  },
);

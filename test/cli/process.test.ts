import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { RawCall } from '../support/audiohook/raw-call.js';
import { TrunklineProcess } from '../support/cli/trunkline-process.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-process-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const SERVE = ['serve', '--port', '0', '--log-format', 'json', '--metrics-seconds', '0.05'];

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

function start(args: readonly string[], ...rest: [stdio?: ConstructorParameters<typeof TrunklineProcess>[1]]) {
  const child = new TrunklineProcess([...args, '--out', folder], ...rest);
  cleanUps.push(() => child.child.kill('SIGKILL'));
  return child;
}

async function serve(
  args: readonly string[] = [],
  ...rest: Parameters<typeof start> extends [unknown, ...infer R] ? R : never
) {
  const child = start([...SERVE, ...args], ...rest);
  const { url, healthUrl } = JSON.parse(await child.ready()) as { url: string; healthUrl: string };
  return { child, url, healthUrl };
}

function isHealthy(healthUrl: string): Promise<boolean> {
  return fetch(healthUrl).then(
    ({ ok }) => ok,
    () => false,
  );
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server that takes connections and never answers. `sockets` are those that it has taken. */
async function silentServer(): Promise<{ url: string; sockets: readonly Socket[] }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, sockets };
}

describe('what becomes of stdout and stderr does not end the process', () => {
  test.each(['stdout', 'stderr'] as const)('when the pipe of %s is closed', async (stream) => {
    const { child, healthUrl } = await serve(['--json']);
    child.child[stream]?.destroy();
    // Several metrics lines, and a refused request each time.
    for (let i = 0; i < 5; i++) {
      await fetch(healthUrl.replace('/health', '/nowhere'));
      await pause(100);
    }
    expect(await isHealthy(healthUrl)).toBe(true);
    expect((await child.end()).code).toBe(0);
  });

  test.skipIf(process.platform !== 'linux')('when stderr is on a full disk', async () => {
    const full = openSync('/dev/full', 'w');
    const { child, healthUrl } = await serve([], ['ignore', 'pipe', full]);
    closeSync(full);
    await pause(300);
    expect(await isHealthy(healthUrl)).toBe(true);
    expect((await child.end()).code).toBe(0);
  });

  test.skipIf(process.platform !== 'linux')(
    'when stdout is on a full disk: it is said, and the exit code is 1',
    async () => {
      const full = openSync('/dev/full', 'w');
      const child = start(SERVE, ['ignore', full, 'pipe']);
      closeSync(full);
      await child.logged(/\[METRICS\]/);
      const { code } = await child.end();
      expect(code).toBe(1);
      expect(child.stderr).toMatch(/^trunkline: cannot write to stdout: ENOSPC/m);
    },
  );

  test.skipIf(process.platform !== 'linux')(
    'when nobody reads the log: it ends after SIGTERM all the same',
    async () => {
      const fifo = join(folder, 'log');
      spawnSync('mkfifo', [fifo]);
      const both = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
      const fill = Buffer.alloc(1 << 12, 'x');
      try {
        for (;;) writeSync(both, fill);
      } catch {
        // It is full.
      }
      const { child, healthUrl } = await serve(['--log-level', 'trace'], ['ignore', 'pipe', both]);
      await pause(500);
      expect(await isHealthy(healthUrl)).toBe(true);
      const { code, seconds } = await child.end();
      closeSync(both);
      expect(code).toBe(0);
      expect(seconds).toBeLessThan(5);
    },
  );
});

describe('signals', () => {
  test('SIGHUP and SIGUSR2 do not end it', async () => {
    const { child, healthUrl } = await serve();
    child.child.kill('SIGHUP');
    child.child.kill('SIGUSR2');
    await pause(300);
    expect(await isHealthy(healthUrl)).toBe(true);
    expect((await child.end('SIGINT')).code).toBe(0);
  });

  test('SIGHUP does not end a simulator', async () => {
    const child = new TrunklineProcess(['simulate']);
    cleanUps.push(() => child.child.kill('SIGKILL'));
    await child.ready();
    child.child.kill('SIGHUP');
    await pause(300);
    expect(child.isRunning()).toBe(true);
    expect((await child.end()).code).toBe(0);
  });

  test('SIGTERM ends it at once when nothing is open, whatever --seconds says', async () => {
    const { child } = await serve(['--seconds', '60']);
    const { code, seconds } = await child.end();
    expect(code).toBe(0);
    expect(seconds).toBeLessThan(5);
  });

  test('a client that does not leave delays the end by the drain time and no more than a second', async () => {
    const { child, url } = await serve(['--drain-seconds', '1']);
    const call = new RawCall(url);
    await call.open();
    const { code, seconds } = await child.end();
    expect(code).toBe(0);
    expect(seconds).toBeLessThan(2.5);
  });

  test.each([
    ['capture', ['--drain-seconds', '1', '--json'], 2.5],
    ['calibrate', [], 2.5],
  ])('a request that is never answered does not delay the end of %s', async (command, args, limit) => {
    const { url, sockets } = await silentServer();
    const child = new TrunklineProcess([
      ...[command, '--api-url', url, '--media-url', url.replace('http', 'ws'), '--interactions', 'a', ...args],
      ...(command === 'capture' ? ['--out', folder] : []),
    ]);
    cleanUps.push(() => child.child.kill('SIGKILL'));
    await expect.poll(() => sockets.length).toBeGreaterThan(0);
    expect(child.isRunning()).toBe(true);
    const { seconds } = await child.end();
    expect(seconds).toBeLessThan(limit);
    if (command === 'capture') expect(child.lastJson()).toMatchObject({ streams: 0, packetsReceived: 0 });
  });
});

describe('--json', () => {
  test('ends with its object when the start fails', async () => {
    const { healthUrl } = await serve();
    const { port } = new URL(healthUrl);
    const second = new TrunklineProcess(['serve', '--port', port, '--out', join(folder, 'second'), '--json']);
    cleanUps.push(() => second.child.kill('SIGKILL'));
    expect(await second.exited()).toBe(1);
    expect(second.lastJson()).toMatchObject({ streams: 0, error: { code: 'CONNECTION_FAILED' } });
  });

  test('ends with 1 and says why when the time was over before anything had started', async () => {
    const { url } = await silentServer();
    const ids = join(folder, 'ids.txt');
    writeFileSync(ids, '');
    const addresses = ['--api-url', url, '--media-url', url.replace('http', 'ws')];
    const child = start(['capture', ...addresses, '--interactions-file', ids, '--seconds', '1', '--json']);
    expect(await child.exited()).toBe(1);
    expect(child.lastJson()).toMatchObject({ streams: 0, failure: expect.stringContaining('had not succeeded') });
  });

  test.each([
    [['serve', '--json'], 'CONFIG_INVALID'],
    [['capture', '--json', '--shards', '0'], 'CONFIG_INVALID'],
    [['repair', 'nowhere', '--json'], 'FILE_FAILED'],
    [['calibrate', 'nowhere.wav', '--json'], 'FILE_FAILED'],
    [['bench', 'micro', '--only', 'bogus', '--json'], 'CONFIG_INVALID'],
  ])('%j ends with an object that has the error', async (args, code) => {
    const child = new TrunklineProcess(args);
    await child.exited();
    expect(child.lastJson()).toMatchObject({ error: { code } });
  });
});

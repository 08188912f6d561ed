import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AudioHookClientOptions, runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { type AudioHookCallLedger, expectedPcm } from '../../src/simulator/audiohook/ledger.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import {
  API_KEY,
  CLIENT_SECRET,
  expectRecorded,
  KEYS,
  recordedPcm,
  recordingsIn,
  sessionOf,
} from '../support/audiohook/node-rig.js';
import { MAIN, type ServeProcess, serveProcess } from '../support/audiohook/serve-process.js';
import { hasOpenssl, makeCertificate } from '../support/certificate.js';
import { StagedClock } from '../support/staged-clock.js';
import { until } from '../support/until.js';

const PACKAGE = fileURLToPath(new URL('../../package.json', import.meta.url));
const SOUND = AudioHookSound.generated(6);

let out: string;
let server: ServeProcess | undefined;

async function serve(args: readonly string[] = [], keys: readonly string[] = []): Promise<ServeProcess> {
  server = await serveProcess(join(out, 'capture'), args, keys);
  return server;
}

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-serve-'));
});

afterEach(() => {
  server?.child.kill('SIGKILL');
  server = undefined;
  rmSync(out, { recursive: true, force: true });
});

function call({ url }: ServeProcess, options: Partial<AudioHookClientOptions> = {}) {
  return runAudioHookClient({
    url,
    apiKey: API_KEY,
    clientSecret: CLIENT_SECRET,
    sessions: 3,
    seconds: 600,
    sound: SOUND,
    pingSeconds: 0.2,
    ...options,
  });
}

/** The most that a process has had in memory; undefined where the system does not tell. */
function peakMemoryBytes({ pid }: ChildProcess): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const match = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return match === null ? undefined : Number(match[1]) * 1024;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('serve as a process', () => {
  it('at SIGTERM drains: 503, reconnect, disconnect at the deadline, files finished, a summary', async () => {
    const one = await serve(['--drain-seconds', '1']);
    const calls = call(one);
    await pause(1500);
    expect((await fetch(one.healthUrl)).status).toBe(200);
    one.child.kill('SIGTERM');
    await pause(300);
    const health = await fetch(one.healthUrl);
    expect([health.status, await health.json()]).toEqual([503, { status: 'draining', sessions: 3 }]);
    expect((await call(one, { sessions: 1 })).calls[0]).toMatchObject({ outcome: 'refused', status: 503 });
    const ledger = await calls;
    for (const each of ledger.calls) {
      expect(each).toMatchObject({
        outcome: 'closed',
        violations: [],
        received: { reconnect: 1, disconnect: 1, closed: 1 },
        disconnect: { reason: 'completed' },
      });
      expectRecorded(join(out, 'capture'), each, SOUND);
      expect(sessionOf(join(out, 'capture'), each.conversationId).endReason).toBe('stopped');
    }
    expect(await one.exited).toBe(0);
    expect(JSON.parse(one.said.last)).toMatchObject({
      streams: 3,
      packetsDropped: 0,
      sessions: { sessionsOpened: 3, sessionsLive: 0, rejected: { draining: 1 } },
    });
    // At its most talkative, and it has been told every number and secret.
    expect(one.said.log).toContain('session opened');
    expect(one.said.log).not.toMatch(/15550100|15550199|Caller/);
    expect(one.said.log).not.toContain(CLIENT_SECRET);
    expect(one.said.log).not.toContain(API_KEY);
  }, 30_000);

  it('at a second signal ends at once', async () => {
    const one = await serve(['--drain-seconds', '60']);
    const calls = call(one);
    await pause(700);
    one.child.kill('SIGTERM');
    await pause(300);
    one.child.kill('SIGTERM');
    expect(await one.exited).toBe(143);
    expect((await calls).outcomes.lost).toBe(3);
  }, 30_000);

  it('killed outright leaves recordings that repair makes whole but for the last second', async () => {
    const one = await serve();
    // Callers that have come to 3 s send nothing more: it does not matter when the process last had the CPU.
    const clock = new StagedClock(3);
    const calls = call(one, { clock, frameMs: 20, pauses: [{ atSeconds: 1, lastsSeconds: 0.5 }] });
    const capture = join(out, 'capture');
    const isWritten = (id: string): boolean =>
      (statSync(join(capture, id, 'audio.wav'), { throwIfNoEntry: false })?.size ?? 0) > 44 + 1.8 * 8000 * 4;
    await until(
      () => existsSync(capture) && recordingsIn(capture).filter(isWritten).length === 3,
      'all but the last second in the files',
    );
    one.child.kill('SIGKILL');
    const ledger = await calls;
    await one.exited;
    const repair = spawnSync(process.execPath, [MAIN, 'repair', capture], { encoding: 'utf8' });
    expect([repair.status, repair.stderr]).toEqual([0, '']);
    expect(recordingsIn(capture)).toHaveLength(3);
    for (const each of ledger.calls) {
      const session = sessionOf(capture, each.conversationId);
      expect(session.endReason).toBe('interrupted');
      expect(session.spans).toContainEqual({ state: 'paused', channel: 1, startMs: 1000, endMs: 1500 });
      for (const [channel, name] of [
        [0, 'external'],
        [1, 'internal'],
      ] as const) {
        const got = recordedPcm(capture, each.conversationId, channel);
        expect(got.length).toBeGreaterThan(each.positionSamples - 8000);
        expect(
          Buffer.from(got.buffer).equals(Buffer.from(expectedPcm(each, SOUND, name).buffer, 0, got.byteLength)),
        ).toBe(true);
      }
    }
  });

  it('bounds and counts floods and silence from hostile processes, and the calls beside them are recorded to the bit', async () => {
    const one = await serve(['--drain-seconds', '0']);
    const before = peakMemoryBytes(one.child);
    const hostile = ['tinyFrames', 'tinyFrames', 'neverRead', 'neverRead', 'neverOpen'].map((fault) => {
      const child = spawn(process.execPath, [
        ...[MAIN, 'simulate', 'audiohook', '--url', one.url, '--api-key', API_KEY, '--client-secret', CLIENT_SECRET],
        ...['--fault', fault, '--media', 'l16:ei', '--seconds', '600'],
      ]);
      const said = { text: '' };
      child.stdout.on('data', (chunk) => {
        said.text += String(chunk);
      });
      return { child, said, closed: once(child, 'close') };
    });
    const good = await call(one, { sessions: 4, seconds: 12, frameMs: 20 });
    expect(good.calls.map(({ outcome, disconnect }) => [outcome, disconnect?.info])).toEqual(
      Array(4).fill(['closed', undefined]),
    );
    for (const each of good.calls) {
      expect(each.violations).toEqual([]);
      expectRecorded(join(out, 'capture'), each, SOUND);
    }
    const silent = hostile.at(-1);
    await silent?.closed;
    expect(silent?.said.text).toContain("told to disconnect, error: No 'open' in time");
    const after = peakMemoryBytes(one.child);
    if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(128 << 20);
    for (const { child } of hostile) child.kill('SIGKILL');
    await Promise.all(hostile.map(({ closed }) => closed));
    one.child.kill('SIGTERM');
    expect(await one.exited).toBe(0);
    const summary = JSON.parse(one.said.last) as { packetsDropped: number; sessions: Record<string, number> };
    expect(summary).toMatchObject({ packetsDropped: 0, sessions: { sessionsLive: 0, internalErrors: 0 } });
    expect(summary.sessions['throttled']).toBeGreaterThanOrEqual(4);
  }, 60_000);

  it('takes a path and a file of keys from its configuration file, and a caller a key from the command line', async () => {
    const keys = join(out, 'keys.json');
    writeFileSync(keys, JSON.stringify([...KEYS, { apiKey: 'another', clientSecret: 'YW5vdGhlcg==' }]));
    const settings = join(out, 'settings.json');
    writeFileSync(settings, JSON.stringify({ audiohookKeys: keys, audiohookPath: '/hook' }));
    const one = await serve([], ['--config', settings]);
    expect(new URL(one.url).pathname).toBe('/hook');
    const file = join(out, 'books.json');
    const result = await new Promise<string>((resolve) => {
      const caller = spawn(process.execPath, [
        ...[MAIN, 'simulate', 'audiohook', '--url', one.url, '--api-key', 'another', '--client-secret', 'YW5vdGhlcg=='],
        ...['--sessions', '4', '--rate', '50', '--seconds', '1.5', '--frame-ms', '20', '--burst', '0.5', '--seed', '6'],
        ...['--pause', '0.6+0.2', '--discard', '1+0.1', '--books', file, '--media', 'l16:ie'],
      ]);
      let text = '';
      caller.stdout.on('data', (chunk) => {
        text += String(chunk);
      });
      caller.on('close', () => resolve(text));
    });
    expect(result).toMatch(
      /^4 calls: 4 closed; \d+ frames sent, 0 violations by the server\npong p50 .*\nopened p50 .*\n$/,
    );
    const ledger = JSON.parse(readFileSync(file, 'utf8')) as { calls: AudioHookCallLedger[] };
    for (const each of ledger.calls) expectRecorded(join(out, 'capture'), each, SOUND);
    one.child.kill('SIGINT');
    expect(await one.exited).toBe(0);
  }, 30_000);

  it.skipIf(!hasOpenssl)('speaks TLS with a certificate (skipped without openssl)', async () => {
    const { certFile, keyFile } = makeCertificate(out);
    const one = await serve(['--tls-cert', certFile, '--tls-key', keyFile, '--host', '127.0.0.1']);
    expect(one.url).toMatch(/^wss:/);
    const ledger = await call(one, { sessions: 1, seconds: 1, insecure: true });
    expect(ledger.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    expectRecorded(join(out, 'capture'), ledger.calls[0] as AudioHookCallLedger, SOUND);
  });

  it.each<[args: string[], expected: RegExp, audiohook?: Record<string, string>]>([
    [['serve', '--port', '0'], /No API key is set: give a file with --keys/],
    [['serve', '--port', '0', '--client-secret', 'c2VjcmV0'], /A client secret belongs to a key: give --api-key/],
    [['serve', '--port', '0'], /A client secret belongs to a key: give/, { CLIENT_SECRET: 'c2VjcmV0' }],
    [['serve', '--port', '0', '--api-key', 'k', '--client-secret', 'not base64!'], /must be base64/],
    [['serve', '--port', '0'], /key without a client secret/, { API_KEY: 'k' }],
    [['serve', '--port', '0'], /must be base64/, { API_KEY: 'k', CLIENT_SECRET: 'not base64!' }],
    [['serve', '--port', '0', '--keys', '/nonexistent.json'], /Cannot read keys: .*nonexistent/],
    [['serve', '--port', '0', '--keys', MAIN], /is not JSON/],
    [['serve', '--port', '0', '--keys', PACKAGE], /must be a JSON list/],
    [['serve', '--port', '0', '--tls-cert', MAIN], /--tls-cert and --tls-key belong together/],
    [
      [
        ...['serve', '--port', '0', '--api-key', 'k', '--client-secret', 'c2VjcmV0'],
        '--tls-cert',
        MAIN,
        '--tls-key',
        MAIN,
      ],
      /^trunkline: The TLS certificate cannot be read; give a chain in PEM\.\n$/,
    ],
    [['serve', '--port', '0', '--path', '/health'], /--path must be a path that .* is not \/health/],
    [['serve', '--port', '70000'], /--port must be a whole number from 0 to 65535/],
    [['serve'], /TRUNKLINE_AUDIOHOOK_PORT in the environment must be a whole number/, { PORT: 'eighty' }],
    [['serve'], /The port to listen on is missing: give --port, or TRUNKLINE_AUDIOHOOK_PORT/],
    [['simulate', 'audiohook', '--url', 'http://x', '--api-key', 'k'], /is no WebSocket address/],
    [['simulate', 'audiohook', '--url', 'ws://x'], /Give --api-key/],
    [['simulate', 'audiohook', '--url', 'ws://x', '--pause', '3'], /Two numbers of seconds/],
    [['simulate', 'audiohook', '--url', 'ws://x', '--fault', 'kindness'], /Allowed choices are badSignature/],
  ])('%j is a usage error that says what to do', (args, expected, audiohook = {}) => {
    const own = Object.entries(audiohook).map(([name, value]) => [`TRUNKLINE_AUDIOHOOK_${name}`, value]);
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...Object.fromEntries(own) },
      cwd: out,
      timeout: 10_000,
    });
    expect(stderr).toMatch(expected);
    expect(status).toBe(2);
    expect(stderr).not.toContain('c2VjcmV0');
    expect(stderr).not.toContain('not base64!');
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { RawCall } from '../support/audiohook/raw-call.js';
import { TrunklineProcess } from '../support/cli/trunkline-process.js';
import { FakePlatform } from '../support/genesys/fake-platform.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-visible-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

function start(...args: readonly string[]): TrunklineProcess {
  const child = new TrunklineProcess([...args, '--out', folder, '--log-format', 'json', '--metrics-seconds', '0.1']);
  cleanUps.push(() => child.child.kill('SIGKILL'));
  return child;
}

function logOf(child: TrunklineProcess): Record<string, unknown>[] {
  return child.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Sends 100 packets that are all alike to each client that subscribes. */
async function platformThatSends(packet: (interactionId: string, n: number) => object): Promise<FakePlatform> {
  const platform = await FakePlatform.start();
  cleanUps.push(() => platform.stop());
  platform.onMessage = (socket, message) => {
    const { interactions = [] } = message as { interactions?: { interactionId: string }[] };
    for (const { interactionId } of interactions) {
      for (let n = 0; n < 100; n++) socket.send(JSON.stringify(packet(interactionId, n)));
    }
  };
  return platform;
}

const LOUD = Buffer.alloc(160, 0x90).toString('base64');
const HUGE = Buffer.alloc(20_000, 0x90).toString('base64');

describe('what a source refuses', () => {
  test.each([
    ['payloads above the limit', 'genesys.malformed', (id: string, n: number) => rtp(id, n, HUGE)],
    [
      'packets of calls that nobody subscribed to',
      'genesys.unknownInteraction',
      (_: string, n: number) => rtp('other', n, LOUD),
    ],
    ['payloads that are not base64', 'genesys.badBase64', (id: string, n: number) => rtp(id, n, '%%%%')],
  ])('%s: in the log, the metrics line, the summary, and the exit code is 1', async (_, reason, packet) => {
    const platform = await platformThatSends(packet);
    const child = start(
      ...['capture', '--api-url', platform.apiUrl, '--media-url', platform.mediaUrl, '--interactions', 'call-1'],
      '--json',
    );
    await child.logged(new RegExp(`refused: ${reason} 100`));
    expect((await child.end()).code).toBe(1);
    expect(child.lastJson()).toMatchObject({ packetsReceived: 0, refused: { [reason]: 100 } });
    const first = logOf(child).filter((line) => line['reason'] === reason && line['level'] === 40);
    expect(first).toHaveLength(1);
    expect(child.stderr).toMatch(/^trunkline: nothing was captured: .*100/m);
  });

  test('AudioHook requests and frames', async () => {
    const child = start('serve', '--port', '0', '--json');
    const { url } = JSON.parse(await child.ready()) as { url: string };
    for (let i = 0; i < 3; i++) await new RawCall(url, { apiKey: 'unknown' }).connected();
    await child.logged(/rejected\.\w+ 3/);
    expect((await child.end()).code).toBe(0);
    expect(child.lastJson()).toMatchObject({ refused: { 'audiohook.rejected.keyUnknown': 3 } });
  });

  test('calls that were given up are named in the summary', async () => {
    const platform = await FakePlatform.start();
    cleanUps.push(() => platform.stop());
    platform.conversation = (_, response) => {
      response.writeHead(404).end('{}');
    };
    const child = start(
      ...[
        'capture',
        '--api-url',
        platform.apiUrl,
        '--media-url',
        platform.mediaUrl,
        '--interactions',
        'call-1',
        '--json',
      ],
    );
    expect(await child.exited()).toBe(1);
    const { callsGivenUp, givenUp } = child.lastJson() as {
      callsGivenUp: number;
      givenUp: { interactionId: string }[];
    };
    expect(callsGivenUp).toBe(1);
    expect(givenUp[0]?.interactionId).toBe('call-1');
  });
});

describe('the log of a run', () => {
  test('names version, backend, addresses and settings, each stream, and has the figures as fields', async () => {
    const simulator = await startSimulator({ interactions: 1, codec: 'pcmu', seconds: 2 });
    cleanUps.push(() => simulator.close());
    const child = start(
      ...['run', '--api-url', simulator.apiUrl, '--media-url', simulator.mediaUrl],
      ...[
        '--interactions',
        simulator.interactionIds.join(),
        '--audiohook-port',
        '0',
        '--seconds',
        '6',
        '--drain-seconds',
        '1',
        '--json',
      ],
    );
    const { url } = JSON.parse(await child.ready()) as { url: string };
    const call = new RawCall(url);
    await call.open();
    expect(await child.exited()).toBe(0);

    const log = logOf(child);
    const named = (message: string) => log.filter(({ msg }) => msg === message);
    expect(named('trunkline started')).toEqual([
      expect.objectContaining({
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        backend: expect.stringMatching(/^(js|native)$/),
        sources: ['genesys', 'audiohook'],
        url,
      }),
    ]);
    expect(named('settings')[0]).toMatchObject({ playoutDelayMs: 50, clientSecret: '[hidden]', out: folder });
    const [interactionId] = simulator.interactionIds;
    expect(named('stream opened')).toContainEqual(expect.objectContaining({ level: 30, interactionId, codec: 'pcmu' }));
    expect(named('stream ended')).toContainEqual(
      expect.objectContaining({ level: 30, interactionId, endReason: 'ended', packetsReceived: 100, packetsLost: 0 }),
    );
    const metrics = log.filter(({ msg }) => String(msg).startsWith('[METRICS]')).at(-1);
    expect(metrics).toMatchObject({ packetsReceived: 100, packetsLost: 0, latencyMicros: { p50: expect.any(Number) } });
    expect(child.lastJson()).toMatchObject({ streams: expect.any(Number), sessions: { sessionsOpened: 1 } });
  });

  test('says once that it runs on JavaScript, and why', async () => {
    const child = start('serve', '--port', '0', '--native', 'off');
    await child.ready();
    await child.end();
    const lines = logOf(child).filter(({ msg }) => msg === 'decoding with JavaScript');
    expect(lines).toEqual([expect.objectContaining({ level: 30, backend: 'js', reason: 'native is off' })]);
  });

  test('run without any source is a usage error', async () => {
    const child = new TrunklineProcess(['run']);
    expect(await child.exited()).toBe(2);
    expect(child.stderr).toMatch(/There is nothing to capture: .* give --audiohook-port\.$/m);
  });

  test('settings under their former names cause a warning', async () => {
    const child = start('serve', '--port', '0', '--log-level', 'warn');
    await child.ready();
    await child.end();
    expect(child.stderr).not.toContain('is now');
    const former = start('run', '--hold-ms', '30', '--audiohook-port', '0');
    await former.ready();
    await former.end();
    expect(former.stderr).toContain('--hold-ms is now --playout-delay-ms.');
  });

  test('SIGHUP opens the audit again after it was moved away', async () => {
    const { existsSync, renameSync } = await import('node:fs');
    const child = start('serve', '--port', '0');
    await child.ready();
    const file = join(folder, 'audit.jsonl');
    renameSync(file, `${file}.1`);
    child.child.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(existsSync(file)).toBe(true);
    expect((await child.end()).code).toBe(0);
  });
});

function rtp(interactionId: string, n: number, payload: string): object {
  return { interactionId, sequenceNumber: n, timestamp: n * 160, channel: 0, codec: 'pcmu', payload };
}

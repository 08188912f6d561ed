import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { engineOf } from '../../src/node/audio-node.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { busiest, type LoggedRequest } from '../../src/simulator/genesys/request-log.js';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const isFull = process.env['TRUNKLINE_E2E'] === 'full';
const INTERACTIONS = isFull ? 2_000 : 400;
const CONNECTIONS = INTERACTIONS / 50;
const LIMIT_MS = 15_000;
const DOWN_SECONDS = 1;

let simulator: ChildProcess | undefined;
let node: CaptureNode | undefined;

afterEach(async () => {
  await node?.stop();
  simulator?.kill('SIGKILL');
});

// The simulator is a process of its own, as a server is: its restart resets every connection and forgets its tokens.
test.skipIf(!existsSync(main))(
  `${INTERACTIONS} interactions over ${CONNECTIONS} connections, and again after the server was gone`,
  { timeout: 90_000 },
  async () => {
    simulator = spawn(process.execPath, [main, 'simulate', '--interactions', String(INTERACTIONS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (simulator.stdout === null) throw new Error('the simulator has no output');
    const [line] = (await once(createInterface({ input: simulator.stdout }), 'line')) as [string];
    const ready = JSON.parse(line) as { apiUrl: string; mediaUrl: string; interactionIds: string[] };
    const { apiUrl, mediaUrl, interactionIds: interactions } = ready;
    node = new CaptureNode({
      ...{ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl, interactions },
      ...{ record: false, audit: 'off', heartbeatSeconds: 5 },
    });
    const engine = engineOf(node);
    const received = () =>
      new Map(engine.streams().map(({ stream }) => [stream, engine.counts(stream)?.packetsReceived ?? 0]));
    const allReceivedSince = (before: ReadonlyMap<number, number>): boolean => {
      const now = received();
      return now.size === INTERACTIONS && [...now].every(([stream, packets]) => packets > (before.get(stream) ?? 0));
    };
    const sinceUs = (us: number): number => Math.round((systemClock.nowUs() - us) / 1e3);

    const beganUs = systemClock.nowUs();
    await node.start();
    await expect.poll(() => allReceivedSince(new Map()), { timeout: LIMIT_MS, interval: 50 }).toBe(true);
    const subscribedMs = sinceUs(beganUs);
    expect(subscribedMs).toBeLessThan(LIMIT_MS);
    expect(node.status().connections).toHaveLength(CONNECTIONS);

    const down = { fault: 'restart', downSeconds: DOWN_SECONDS, forgetTokens: true };
    await fetch(`${apiUrl}/faults`, { method: 'POST', body: JSON.stringify(down) });
    await expect.poll(() => node?.status().connections.every(({ state }) => state !== 'open')).toBe(true);
    const before = received();
    const requests = async (): Promise<LoggedRequest[]> =>
      ((await (await fetch(`${apiUrl}/requests`)).json()) as { requests: LoggedRequest[] }).requests;
    await expect
      .poll(
        () =>
          requests().then(
            () => true,
            () => false,
          ),
        { interval: 20, timeout: 10_000 },
      )
      .toBe(true);
    const returnedUs = systemClock.nowUs();
    await expect.poll(() => allReceivedSince(before), { timeout: LIMIT_MS, interval: 50 }).toBe(true);
    const returnedMs = sinceUs(returnedUs);
    expect(returnedMs).toBeLessThan(LIMIT_MS);

    const all = await requests();
    const restartMs = all.find(({ path }) => path === '/faults')?.atMs ?? 0;
    const after = all.filter(({ atMs }) => atMs > restartMs);
    const upgraded = after.filter(({ path, status }) => path === '/api/v2/media/streams' && status === 101);
    const tokens = after.filter(({ path }) => path === '/oauth/token');
    process.stdout.write(
      `storm: ${INTERACTIONS} interactions flow after ${subscribedMs} ms, and ${returnedMs} ms after the server came ` +
        `back; at most ${busiest(upgraded, 100)} of ${CONNECTIONS} handshakes in 100 ms, ${tokens.length} sign-ins\n`,
    );
    expect(upgraded).toHaveLength(CONNECTIONS);
    // Those that found it gone wait for something between nothing and 1, 2, 4 … s: never all in one moment.
    expect(busiest(upgraded, 100)).toBeLessThan(CONNECTIONS);
    expect(tokens).toHaveLength(1);
    expect(after.filter(({ path }) => path.startsWith('/api/v2/conversations/'))).toEqual([]);
    expect(node.sourceCounters().reconnects).toBe(CONNECTIONS);
  },
);

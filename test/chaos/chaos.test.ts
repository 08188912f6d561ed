import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import type { StreamSummary } from '../../src/core/events.js';
import { US_PER_MS } from '../../src/core/units.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { busiest } from '../../src/simulator/genesys/request-log.js';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { folderName } from '../../src/sinks/recorder/files/folder.js';
import { repairRecordings } from '../../src/sinks/recorder/repair.js';
import { planChaos } from '../support/genesys/chaos-plan.js';
import { TurnClock } from '../support/turn-clock.js';

const isFull = process.env['TRUNKLINE_E2E'] === 'full';
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? (isFull ? Date.now() % 1_000_000 : 20_26));
const CALLS = 500;
/** Until the node listens: calls that were there before would be found by REST, four a second. */
const LEAD_S = 2;
const ARRIVAL_S = 2;
const CHAOS_S = isFull ? 180 : 10;
/** A handshake that stalls is given up after 10 s; then the streams come back. */
const RECOVERY_S = 13;
/** How many times faster than real time, where the machine can. */
const SPEED = 2;
/** A run takes 20 s; a machine with little time for it takes longer. */
const PATIENCE_MS = 300_000;
const REQUESTS_A_MINUTE = 300;

test(`${CALLS} calls, ${CHAOS_S} s of faults of every kind, seed ${SEED}`, { timeout: 2 * PATIENCE_MS }, async () => {
  process.stdout.write(`chaos: seed ${SEED}; TRUNKLINE_SEED=${SEED} repeats this run\n`);
  // Loading it takes a while, in which calls would come.
  await import('purecloud-platform-client-v2');
  const out = mkdtempSync(join(tmpdir(), 'trunkline-chaos-'));
  // With the system's clock a machine that stalls would make the node give up connections whose packets are under way.
  const clock = new TurnClock(SPEED);
  const simulatorOptions = {
    interactions: CALLS,
    queues: ['a', 'b'],
    users: ['c'],
    leadSeconds: LEAD_S,
    spreadSeconds: ARRIVAL_S,
    seconds: ARRIVAL_S + CHAOS_S + RECOVERY_S,
    securePause: 0.1,
    tokenSeconds: 20,
    seed: SEED,
  };
  const simulator = await startSimulator(simulatorOptions, clock);
  const { apiUrl, mediaUrl } = simulator;
  const settings = {
    record: true,
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    out,
    queues: ['a', 'b'],
    users: ['c'],
    maxStreams: 600,
    leastConnections: 12,
    heartbeatSeconds: 1.5,
    reconnectAttempts: 12,
  };
  const node = new CaptureNode(settings, clock);
  const opened = new Map<string, number>();
  const summaries = new Map<string, StreamSummary>();
  const left: string[] = [];
  node.on('streamOpened', ({ interactionId: id }) => opened.set(id, (opened.get(id) ?? 0) + 1));
  node.on('streamEnded', ({ interactionId }, summary) => summaries.set(interactionId, summary));
  node.on('interactionEnded', ({ interactionId, reason, detail }) => {
    if (reason !== 'ended' && reason !== 'unsubscribed') left.push(`${interactionId}: ${reason} ${detail}`);
  });
  const errors = new Map<string, number>();
  node.on('error', ({ message }) => errors.set(message, (errors.get(message) ?? 0) + 1));

  try {
    // No call comes before the node listens, however long its threads take to start.
    let isStarted = false;
    clock.isBehind = () => !isStarted;
    await node.start();
    isStarted = true;
    const beganUs = clock.nowUs();
    await expect.poll(() => opened.size, { timeout: PATIENCE_MS }).toBe(CALLS);
    expect(node.status().connections.length).toBeGreaterThanOrEqual(10);
    const memory: number[] = [];
    for (const { atMs, fault } of planChaos(
      SEED,
      (LEAD_S + ARRIVAL_S + 1) * 1_000,
      (LEAD_S + ARRIVAL_S + CHAOS_S) * 1_000,
    )) {
      while (clock.nowUs() < beganUs + atMs * US_PER_MS) await delay(1);
      simulator.fault(fault);
      memory.push(process.memoryUsage().rss);
    }
    simulator.fault({ fault: 'clear' });
    await expect.poll(() => summaries.size, { timeout: PATIENCE_MS, interval: 250 }).toBe(CALLS);
    await node.stop();

    const ledger = simulator.ledger().interactions;
    const wrong = Object.entries(ledger).flatMap(([id, { knowable, sent, packets, endReason }]) => {
      const summary = summaries.get(id);
      const due = (summary?.packetsReceived ?? 0) + (summary?.packetsLost ?? 0);
      const isRight = due === knowable && (summary?.packetsReceived ?? 0) <= sent && summary?.packetsDropped === 0;
      return isRight
        ? []
        : [`${id}: due ${due} of ${knowable}, ${packets} packets, ${endReason} ${JSON.stringify(summary)}`];
    });
    const rest = simulator.requests.filter(({ path }) => path.startsWith('/api/v2/') || path === '/oauth/token');
    const asked = rest.filter(({ path }) => !path.startsWith('/api/v2/media/'));
    const total = [...summaries.values()].reduce((sum, { packetsReceived }) => sum + packetsReceived, 0);
    const lost = [...summaries.values()].reduce((sum, { packetsLost }) => sum + packetsLost, 0);
    process.stdout.write(
      `chaos: ${total} packets received, ${lost} lost, ${node.stats().engine.packetsPaused} withheld in pauses; ` +
        `${node.sourceCounters().reconnects} reconnects, ${asked.length} requests, at most ` +
        `${busiest(asked, 60_000)} a minute\n${[...errors].map(([text, count]) => `  ${count} × ${text}`).join('\n')}\n`,
    );
    expect(left, `seed ${SEED}`).toEqual([]);
    expect(wrong.slice(0, 10), `seed ${SEED}, ${wrong.length} of ${CALLS}`).toEqual([]);
    // The same recording through all reconnects.
    expect([...opened.values()].filter((count) => count > 1)).toEqual([]);
    expect(node.sourceCounters().reconnects).toBeGreaterThan(5);
    expect(busiest(asked, 60_000)).toBeLessThanOrEqual(REQUESTS_A_MINUTE);
    for (const id of Object.keys(ledger)) {
      const session = JSON.parse(readFileSync(join(out, folderName(id), 'session.json'), 'utf8')) as object;
      expect(session).toMatchObject({ interactionId: id });
    }
    expect((await repairRecordings(out, { clock: systemClock })).repaired).toEqual([]);
    const half = memory.slice(memory.length >> 2);
    const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
    const growth = median(half.slice(half.length >> 1)) - median(half.slice(0, half.length >> 1));
    expect(growth, `memory grew by ${growth} bytes`).toBeLessThan(64 << 20);
  } finally {
    await node.stop();
    await simulator.close();
    clock.stop();
    rmSync(out, { recursive: true, force: true });
  }
});

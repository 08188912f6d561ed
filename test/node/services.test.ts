import { expect, onTestFinished, test } from 'vitest';
import type { HealthCheck } from '../../src/core/health.js';
import { worstOf } from '../../src/core/health.js';
import type { ThreadState } from '../../src/engine/threads/pool.js';
import { createNode } from '../../src/node/create-node.js';
import { eventLoopCheck, threadChecks } from '../../src/node/parts/node-health.js';
import type { Service, ServiceContext } from '../../src/node/service.js';

const ENGINE = { shards: 1, native: 'off' } as const;

function recording(name: string, calls: string[], more: Partial<Service> = {}): Service {
  return {
    name,
    start: () => void calls.push(`${name} starts`),
    stopping: () => void calls.push(`${name} stopping`),
    close: () => void calls.push(`${name} closes`),
    ...more,
  };
}

test('services start in order before the sources, hear of the end first and close last, in reverse', async () => {
  const calls: string[] = [];
  const source = {
    name: 'source',
    start: async () => void calls.push('source starts'),
    drain: async () => void calls.push('source drains'),
    close: async () => void calls.push('source closes'),
    status: () => ({}),
    pause: () => false,
    resume: () => false,
  };
  const services = [recording('a', calls), recording('b', calls)];
  const sinks = [{ close: () => void calls.push('sink closes') }];
  const node = await createNode({ sources: [source], sinks, services, engine: ENGINE });
  await node.close();
  expect(calls).toEqual([
    ...['a starts', 'b starts', 'source starts'],
    ...['a stopping', 'b stopping', 'source drains', 'source closes', 'sink closes', 'b closes', 'a closes'],
  ]);
});

test('a service that does not start ends the start, and what was started is closed', async () => {
  const calls: string[] = [];
  const broken = recording('broken', calls, { start: () => Promise.reject(new Error('no port')) });
  await expect(createNode({ services: [recording('a', calls), broken], engine: ENGINE })).rejects.toThrow('no port');
  expect(calls).toContain('a closes');
  expect(calls).toContain('broken closes');
});

test('what a service throws at the end is an error event, and costs no other service its end', async () => {
  const calls: string[] = [];
  const errors: string[] = [];
  const fail = (): never => {
    throw new Error('at the end');
  };
  const services = [recording('a', calls), recording('b', calls, { stopping: fail, close: fail })];
  const node = await createNode({ services, engine: ENGINE });
  node.on('error', ({ message }) => errors.push(message));
  await node.close();
  expect(errors).toEqual(['at the end', 'at the end']);
  expect(calls).toContain('a closes');
});

test('a service has its counters, refusals and checks in those of the node', async () => {
  const check: HealthCheck = { name: 'broker', status: 'degraded', reason: 'It is away.', affects: 'ready' };
  const service = recording('mine', [], {
    stats: () => ({ requests: 3 }),
    refusals: () => ({ tooLarge: 2, never: 0 }),
    health: () => [check],
  });
  const node = await createNode({ services: [service], engine: ENGINE });
  onTestFinished(() => node.close());
  expect(node.stats()).toMatchObject({ services: { mine: { requests: 3 } }, refused: { 'mine.tooLarge': 2 } });
  expect(node.health()).toMatchObject({ status: 'degraded', checks: expect.arrayContaining([check]) });
});

test('a service can watch the node, audit and reopen', async () => {
  let context: ServiceContext | undefined;
  let reopened = 0;
  const audited: object[] = [];
  const service = recording('mine', [], {
    start: (given) => {
      context = given;
    },
    reopen: () => {
      reopened++;
    },
  });
  const sink = { auditEntry: (entry: object) => void audited.push(entry) };
  const node = await createNode({ sinks: [sink], services: [service], engine: ENGINE });
  onTestFinished(() => node.close());
  expect(context?.node).toBe(node);
  expect(context?.engineState().shards).toHaveLength(1);
  context?.audit('did_it', { reason: 'asked' }, 'call-1');
  expect(audited).toContainEqual({
    ...{ source: 'mine', action: 'did_it', interactionId: 'call-1' },
    fields: { reason: 'asked' },
  });
  await node.reopen();
  expect(reopened).toBe(1);
});

test('two services of a name are refused', async () => {
  const services = [recording('a', []), recording('a', [])];
  await expect(createNode({ services, engine: ENGINE })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

const THREAD: ThreadState = {
  name: 'shard 0',
  phase: 'running',
  busySeconds: 0,
  heartbeats: 1,
  heartbeatAgeMs: 100,
  restarts: 0,
  restartedMsAgo: undefined,
};
const SHARD = { ...THREAD, streams: 0, records: 0, rings: [] };
const ARENA = { capacityBytes: 0, usedBytes: 0 };

test.each([
  ['running', {}, 'ok', 'ok'],
  ['starting', { phase: 'starting', heartbeatAgeMs: 60_000 }, 'ok', 'ok'],
  ['silent for a moment', { heartbeatAgeMs: 15_000 }, 'ok', 'ok'],
  ['silent for too long', { heartbeatAgeMs: 15_001 }, 'failing', 'degraded'],
  ['replaced a moment ago', { restarts: 1, restartedMsAgo: 5 }, 'degraded', 'degraded'],
  ['given up', { phase: 'failed' }, 'failing', 'failing'],
] as const)('a thread that is %s', (_, state, shard, recorder) => {
  const checks = threadChecks({
    shards: [{ ...SHARD, ...state }],
    recorder: { ...THREAD, name: 'recorder', ...state },
    arena: ARENA,
  });
  expect(checks.map(({ name, status }) => [name, status])).toEqual([
    ['threads.shard0', shard],
    ['threads.recorder', recorder],
  ]);
});

test('an event loop that stood still is degraded, and says for how long', () => {
  expect(eventLoopCheck(999_999)).toMatchObject({ status: 'ok' });
  expect(eventLoopCheck(2_500_000)).toMatchObject({ status: 'degraded', reason: expect.stringContaining('2500 ms') });
});

test('the status of a report is the worst of its checks', () => {
  const check = (status: HealthCheck['status']): HealthCheck => ({ name: 'x', status, affects: 'live' });
  expect(worstOf([])).toBe('ok');
  expect(worstOf([check('ok'), check('degraded')])).toBe('degraded');
  expect(worstOf([check('degraded'), check('failing'), check('ok')])).toBe('failing');
});

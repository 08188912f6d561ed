import { beforeEach, expect, test } from 'vitest';
import { Calls, readCall } from '../../../../src/sources/genesys/discovery/calls.js';
import { groupTopics } from '../../../../src/sources/genesys/discovery/discovery.js';

const SECOND = 1e6;

let done: string[];
let calls: Calls;

beforeEach(() => {
  done = [];
  const note = (what: string) => (id: string) => void done.push(`${what} ${id}`);
  calls = new Calls({
    begin: (id, pausedBy) => done.push(['begin', id, ...pausedBy].join(' ')),
    end: note('end'),
    pause: note('pause'),
    resume: note('resume'),
  });
});

const connected = { id: 'a', phase: 'connected', securePause: false } as const;
const paused = { ...connected, securePause: true } as const;
const over = { ...connected, phase: 'over' } as const;

test('a call begins when it connects and ends when it is over, after a grace for its last packets', () => {
  calls.observe({ ...connected, phase: 'waiting' }, 0);
  expect(done).toEqual([]);
  calls.observe(connected, 1);
  calls.observe(connected, 2);
  calls.observe({ ...connected, phase: 'waiting' }, 3);
  calls.observe(over, 4);
  expect(done).toEqual(['begin a']);
  expect(calls.deadlineUs).toBe(4 + 2 * SECOND);
  calls.tick(4 + 2 * SECOND);
  expect(done).toEqual(['begin a', 'end a']);
  calls.observe(connected, 3 * SECOND);
  expect(done).toHaveLength(2);
});

test('a secure pause is known before its call is subscribed to', () => {
  calls.observe(paused, 0);
  calls.observe(paused, 1);
  calls.observe(connected, 2);
  expect(done).toEqual(['begin a platform', 'resume a']);
});

test('an answer of REST that was asked for before a notification does not undo it', () => {
  calls.observe(connected, 0);
  calls.observe(paused, 10);
  calls.observe(connected, 12, 8);
  calls.observe(over, 13, 9);
  expect(done).toEqual(['begin a', 'pause a']);
  calls.observe(connected, 20, 15);
  expect(done).toEqual(['begin a', 'pause a', 'resume a']);
});

test('a call whose capture was lost may begin again, one that has ended may not', () => {
  calls.observe(connected, 0);
  calls.captureEnded('a', 1, { final: false, pausedBy: [] });
  calls.observe(connected, 2);
  calls.captureEnded('a', 3, { final: true, pausedBy: [] });
  calls.observe(connected, 4);
  expect(done).toEqual(['begin a', 'begin a']);
  calls.tick(61 * SECOND);
  calls.observe(connected, 61 * SECOND);
  expect(done).toHaveLength(3);
});

test('a call whose capture was lost is asked about after 15 s, and keeps the pause of the operator', () => {
  calls.observe(paused, 0);
  calls.captureEnded('a', SECOND, { final: false, pausedBy: ['platform', 'operator'] });
  expect(calls.size).toBe(0);
  expect(calls.tick(15.9 * SECOND)).toEqual([]);
  expect(calls.tick(16 * SECOND)).toEqual(['a']);
  expect(calls.tick(17 * SECOND)).toEqual([]);
  calls.observe(connected, 17 * SECOND, 16 * SECOND);
  expect(done).toEqual(['begin a platform', 'begin a operator']);
});

test('the case of a UUID makes no difference', () => {
  const id = 'AB000000-0000-4000-8000-00000000000F';
  calls.observe({ ...connected, id }, 0);
  calls.observe({ ...paused, id: id.toLowerCase() }, 1);
  expect(calls.has(id)).toBe(true);
  expect(done).toEqual([`begin ${id.toLowerCase()}`, `pause ${id.toLowerCase()}`]);
});

const agent = { purpose: 'agent', state: 'connected' };
const customer = { purpose: 'customer', state: 'connected' };

test.each([
  [
    'nobody has taken it',
    [customer, { purpose: 'acd', state: 'connected' }, { ...agent, state: 'alerting' }],
    'waiting',
    false,
  ],
  ['taken', [customer, agent], 'connected', false],
  ['in a secure pause', [customer, { ...agent, securePause: true }], 'connected', true],
  ['handed on', [customer, { ...agent, state: 'terminated', securePause: true }, agent], 'connected', false],
  ['the caller has gone', [{ ...customer, state: 'terminated' }, agent], 'over', false],
  [
    'everybody has gone',
    [
      { ...customer, endTime: '2026-01-01T00:00:00Z' },
      { ...agent, state: 'disconnected' },
    ],
    'over',
    false,
  ],
  [
    'as a resource',
    [
      { purpose: 'customer', calls: [customer] },
      { purpose: 'agent', calls: [{ state: 'connected', securePause: true }] },
    ],
    'connected',
    true,
  ],
])('%s', (_, participants, phase, securePause) => {
  expect(readCall({ id: 'a', participants })).toEqual({ id: 'a', phase, securePause });
});

test.each<[boolean, string, object, object?]>([
  [true, 'paused, and the flag is absent', { recordingState: 'paused' }],
  [true, 'paused, and the flag is null', { recordingState: 'paused', securePause: null }],
  [true, 'paused in capitals', { recordingState: 'PAUSED' }],
  [true, 'the flag is a text', { securePause: 'true' }],
  [true, 'the flag is a number', { securePause: 1 }],
  [true, 'paused on the call itself', {}, { recordingState: 'paused' }],
  [true, 'the flag is on the call itself, in an unknown form', {}, { securePause: {} }],
  [false, 'paused by an agent, which is no secure pause', { recordingState: 'paused', securePause: false }],
  [false, 'active', { recordingState: 'active', securePause: null }],
  [false, 'none of both', {}],
  [false, 'a state that is no text', { recordingState: 7 }],
  [false, 'paused, on a leg that has ended', { recordingState: 'paused', endTime: '2026-01-01T00:00:00Z' }],
])('protected: %s when %s', (securePause, _name, leg, call = {}) => {
  for (const participants of [
    [customer, agent, { ...agent, ...leg }],
    [customer, { purpose: 'agent', calls: [agent, { ...agent, ...leg }] }],
  ]) {
    expect(readCall({ id: 'a', participants, ...call })?.securePause).toBe(securePause);
  }
});

test('a participant that cannot be read hides no pause', () => {
  for (const bad of [null, 7, 'x', { calls: [null, 3] }]) {
    const participants = [customer, bad, { ...agent, securePause: true }];
    expect(readCall({ id: 'a', participants })?.securePause).toBe(true);
  }
});

test('what is no call is none', () => {
  for (const value of [undefined, null, 'x', {}, { id: '', participants: [] }, { id: 'a', participants: {} }]) {
    expect(readCall(value)).toBeUndefined();
  }
});

test('a thousand topics a channel, twenty channels', () => {
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
  expect(groupTopics({ queues: ids(1_500), users: ids(600) }).map(({ length }) => length)).toEqual([1_000, 1_000, 100]);
  expect(groupTopics({ queues: ['a', 'a'], users: [] })).toEqual([['v2.routing.queues.a.conversations.calls']]);
  expect(() => groupTopics({ queues: ids(20_001), users: [] })).toThrow(/20000 queues and users/);
});

import { expect, test } from 'vitest';
import { Completion } from '../../../src/simulator/genesys/completion.js';

const SECOND = 1e6;

test('nobody came: done half a minute after the calls would have been over', () => {
  const completion = new Completion(10 * SECOND, 0);
  const nothing = { started: 0, live: 0, connections: 0 };
  expect(completion.isDone(nothing, 40 * SECOND)).toBe(false);
  expect(completion.isDone(nothing, 40 * SECOND + 1)).toBe(true);
});

test('calls over and clients gone: done after a second of quiet', () => {
  const completion = new Completion(10 * SECOND, 0);
  expect(completion.isDone({ started: 2, live: 1, connections: 1 }, 5 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 1 }, 10 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 0 }, 11 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 0 }, 11.9 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 0 }, 12 * SECOND)).toBe(true);
});

test('a client that stays is waited for, but not for ever', () => {
  const completion = new Completion(10 * SECOND, 0);
  const staying = { started: 2, live: 0, connections: 1 };
  expect(completion.isDone(staying, 10 * SECOND)).toBe(false);
  expect(completion.isDone(staying, 14.9 * SECOND)).toBe(false);
  expect(completion.isDone(staying, 15 * SECOND)).toBe(true);
});

test('a call that begins in the quiet is waited for', () => {
  const completion = new Completion(10 * SECOND, 0);
  expect(completion.isDone({ started: 1, live: 0, connections: 0 }, 10 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 1, connections: 1 }, 10.5 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 0 }, 20 * SECOND)).toBe(false);
  expect(completion.isDone({ started: 2, live: 0, connections: 0 }, 21 * SECOND)).toBe(true);
});

import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardedEmitter, guard } from '../../src/core/emitter.js';

class Emitter extends GuardedEmitter<{ packet: [number]; error: [Error] }> {}

let uncaught: unknown[];
const catchIt = (thrown: unknown): number => uncaught.push(thrown);
let usual: NodeJS.UncaughtExceptionListener[];

beforeEach(() => {
  uncaught = [];
  usual = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', catchIt);
});

afterEach(() => {
  process.off('uncaughtException', catchIt);
  for (const listener of usual) process.on('uncaughtException', listener);
});

/** What the event loop does until everything that is pending has been reported. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A promise of another library. */
const thenable = {
  // biome-ignore lint/suspicious/noThenProperty: it is one on purpose.
  then: (_resolve: unknown, reject: (error: Error) => void): void => reject(new Error('fault')),
};

const FAULTS: readonly [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('fault');
    },
  ],
  [
    'throws what is no error',
    () => {
      throw 'fault';
    },
  ],
  ['is async and rejects', async () => Promise.reject(new Error('fault'))],
  ['rejects with what is no error', () => Promise.reject('fault')],
  ['returns a thenable that rejects', () => thenable],
];

describe('a listener of a GuardedEmitter that', () => {
  it.each(FAULTS)('%s becomes an error event, and emit() returns', async (_what, listener) => {
    const emitter = new Emitter();
    const errors: string[] = [];
    emitter.on('packet', listener as () => void);
    emitter.on('error', ({ message }) => errors.push(message));
    expect(emitter.emit('packet', 1)).toBe(true);
    await settled();
    expect(errors).toEqual(['fault']);
    expect(uncaught).toEqual([]);
  });

  it.each(FAULTS)('%s is dropped when nobody listens for errors', async (_what, listener) => {
    const emitter = new Emitter();
    emitter.on('packet', listener as () => void);
    expect(emitter.emit('packet', 1)).toBe(true);
    await settled();
    expect(uncaught).toEqual([]);
  });

  it.each(FAULTS)(
    '%s, in a listener for errors, is an uncaught exception and no endless loop',
    async (_what, listener) => {
      const emitter = new Emitter();
      emitter.on('packet', () => {
        throw new Error('first');
      });
      emitter.on('error', listener as () => void);
      emitter.emit('packet', 1);
      await settled();
      expect(uncaught.map((thrown) => (thrown instanceof Error ? thrown.message : thrown))).toEqual(['fault']);
    },
  );

  it('also holds for listeners that are called once', async () => {
    const emitter = new Emitter();
    const errors: string[] = [];
    emitter.once('packet', async () => Promise.reject(new Error('once')));
    emitter.on('error', ({ message }) => errors.push(message));
    emitter.emit('packet', 1);
    emitter.emit('packet', 2);
    await settled();
    expect(errors).toEqual(['once']);
  });
});

it.each(FAULTS)('guard() reports a call that %s', async (_what, call) => {
  const faults: unknown[] = [];
  guard(call, (thrown) => faults.push(thrown instanceof Error ? thrown.message : thrown));
  await settled();
  expect(faults).toEqual(['fault']);
  expect(uncaught).toEqual([]);
});

import { beforeEach, describe, expect, test } from 'vitest';
import { TrunklineError } from '../../../../src/core/errors.js';
import { Interaction } from '../../../../src/sources/genesys/interaction/interaction.js';
import { InteractionTable } from '../../../../src/sources/genesys/interaction-table.js';
import { Connection } from '../../../../src/sources/genesys/media/connection.js';
import type { ConnectionOutput, ConnectionSettings } from '../../../../src/sources/genesys/media/connection-outputs.js';
import { MEDIA_RETRY } from '../../../../src/sources/genesys/rest/retry.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';

const SECOND = 1_000_000;

/** A connection in virtual time, with the longest backoff there can be. */
class Bench {
  nowUs = 0;
  readonly connection: Connection;
  readonly #table = new InteractionTable();
  readonly #interactions = new Map<string, Interaction>();

  constructor(settings: Partial<ConnectionSettings> = {}) {
    this.connection = new Connection({ random: () => 1, ...settings });
  }

  add(id: string): void {
    const interaction = new Interaction(id, {
      ingest: new FakeIngest(),
      formats: { codecPreferences: ['pcmu'], opusSampleRate: 16_000 },
      mediaRetry: MEDIA_RETRY,
      random: () => 1,
      deliver: () => {},
      giveUp: () => {},
      refusedPacket: () => {},
    });
    interaction.answered('active', this.nowUs);
    interaction.attach(this.#table, () => this.connection.mediaFlows(this.nowUs));
    this.#interactions.set(id, interaction);
    this.connection.add(interaction);
  }

  get(id: string): Interaction {
    const interaction = this.#interactions.get(id);
    if (interaction === undefined) throw new Error(`no interaction ${id}`);
    return interaction;
  }

  /** A packet of it arrives. */
  flow(id: string): void {
    const payload = Buffer.alloc(160, 0xff);
    const packet = { codec: 0, channel: -1, sequence: 1, timestamp: 160, arrivalUs: this.nowUs, payload };
    expect(this.get(id).takePacket(packet)).toBe(true);
  }

  drain(): ConnectionOutput[] {
    const outputs: ConnectionOutput[] = [];
    for (let output = this.connection.poll(); output; output = this.connection.poll()) outputs.push(output);
    return outputs;
  }

  kinds(): string[] {
    return this.drain().map(({ kind }) => kind);
  }

  /** Runs the timers up to a time from now; what came out is left to drain. */
  pass(us: number): void {
    const endUs = this.nowUs + us;
    while (this.connection.deadlineUs <= endUs) {
      this.nowUs = Math.max(this.nowUs, this.connection.deadlineUs);
      this.connection.tick(this.nowUs);
    }
    this.nowUs = endUs;
  }

  open(): void {
    this.connection.dialing(this.nowUs);
    this.connection.opened(this.nowUs);
  }

  closed(code = 1006): void {
    this.connection.closed(this.nowUs, code, '');
  }
}

let bench: Bench;
let connection: Connection;

beforeEach(() => {
  bench = new Bench();
  connection = bench.connection;
});

function subscribed(...ids: string[]): void {
  for (const id of ids) bench.add(id);
  bench.open();
  bench.drain();
}

const error = (fields: object) =>
  ({ kind: 'error', status: 400, code: '', interactionId: undefined, message: '', ...fields }) as const;
const sent = (outputs: ConnectionOutput[]) =>
  outputs.filter((output) => output.kind === 'send').map(({ text }) => JSON.parse(text) as Record<string, unknown>);
const left = (outputs: ConnectionOutput[]) =>
  outputs.filter((output) => output.kind === 'ended').map(({ interaction }) => [interaction.id, interaction.endReason]);

describe('opening', () => {
  test('connects at the first interaction and subscribes right after the handshake', () => {
    expect(connection.deadlineUs).toBe(Number.POSITIVE_INFINITY);
    bench.add('a');
    bench.add('b');
    expect(bench.drain()).toEqual([{ kind: 'connect', renewToken: false }]);
    bench.open();
    const outputs = bench.drain();
    expect(outputs[0]).toEqual({ kind: 'connected', again: false });
    expect(sent(outputs)).toMatchObject([{ interactions: [{ interactionId: 'a' }, { interactionId: 'b' }] }]);
  });

  test('a later interaction is added to the subscription', () => {
    subscribed('a');
    bench.add('b');
    connection.add(bench.get('b'));
    expect(sent(bench.drain())).toMatchObject([{ interactions: [{ interactionId: 'b' }] }]);
  });

  test('a handshake that does not end is given up', () => {
    bench.add('a');
    connection.dialing(0);
    bench.drain();
    bench.pass(9.9 * SECOND);
    expect(bench.drain()).toEqual([]);
    bench.pass(0.1 * SECOND);
    expect(bench.drain()).toEqual([{ kind: 'terminate' }]);
    bench.closed();
    expect(bench.drain()).toMatchObject([{ kind: 'error', error: { code: 'CONNECTION_FAILED' } }]);
    expect(connection.lastError).toContain('in time');
    expect(connection.state).toBe('waiting');
  });

  test('wrong credentials end it at once', () => {
    bench.add('a');
    bench.drain();
    connection.unauthorized(0, new TrunklineError('AUTH_FAILED', 'no'));
    expect(bench.kinds()).toEqual(['error', 'ended', 'closed']);
  });

  test('a sign-in that fails otherwise is an attempt', () => {
    bench.add('a');
    connection.unauthorized(0, new TrunklineError('CONNECTION_FAILED', 'no'));
    expect(connection.state).toBe('waiting');
    expect(connection.deadlineUs).toBe(SECOND);
  });
});

describe('heartbeat', () => {
  test('a ping every 30 s, a heartbeat with each pong', () => {
    subscribed('a');
    for (let i = 0; i < 3; i++) {
      bench.pass(30 * SECOND);
      expect(bench.kinds()).toEqual(['ping']);
      connection.pong();
      expect(bench.kinds()).toEqual(['heartbeat']);
    }
  });

  test('no pong by the next ping: dead', () => {
    subscribed('a');
    bench.pass(30 * SECOND);
    expect(bench.kinds()).toEqual(['ping']);
    bench.pass(29 * SECOND);
    expect(bench.kinds()).toEqual([]);
    bench.pass(SECOND);
    expect(bench.kinds()).toEqual(['terminate']);
    bench.closed();
    expect(bench.drain()).toEqual([{ kind: 'disconnected', code: 1006, reason: 'no pong: the connection is dead' }]);
    expect(connection.state).toBe('waiting');
  });

  test('a process that did not run has not read the pong: one more ping decides', () => {
    subscribed('a');
    bench.pass(30 * SECOND);
    expect(bench.kinds()).toEqual(['ping']);
    bench.nowUs += 50 * SECOND;
    connection.tick(bench.nowUs);
    expect(bench.kinds()).toEqual(['ping']);
    bench.pass(30 * SECOND);
    expect(bench.kinds()).toEqual(['terminate']);
  });
});

describe('reconnecting', () => {
  test('after 1, 2, 4, 8 and 16 s at most, then never again', () => {
    subscribed('a', 'b');
    bench.closed();
    expect(bench.kinds()).toEqual(['disconnected']);
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      const beforeUs = bench.nowUs;
      bench.pass(connection.deadlineUs - beforeUs);
      waits.push((bench.nowUs - beforeUs) / SECOND);
      expect(bench.drain()).toEqual([{ kind: 'connect', renewToken: false }]);
      connection.dialing(bench.nowUs);
      connection.closed(bench.nowUs, 1006, '', { message: 'refused' });
      if (i < 4) expect(bench.kinds()).toEqual(['error']);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16]);
    const outputs = bench.drain();
    expect(outputs.map(({ kind }) => kind)).toEqual(['error', 'exhausted', 'ended', 'ended', 'closed']);
    expect(left(outputs)).toEqual([
      ['a', 'lost'],
      ['b', 'lost'],
    ]);
    expect(connection.deadlineUs).toBe(Number.POSITIVE_INFINITY);
  });

  test('the wait is anything from nothing on: full jitter', () => {
    bench = new Bench({ random: () => 0.25 });
    connection = bench.connection;
    subscribed('a');
    bench.closed();
    expect(connection.deadlineUs).toBe(0.25 * SECOND);
  });

  test('subscribes again to everything still wanted', () => {
    subscribed('a', 'b', 'c');
    connection.unsubscribe([bench.get('b')], 0);
    bench.closed(1012);
    bench.pass(SECOND);
    bench.add('d');
    bench.drain();
    bench.open();
    const outputs = bench.drain();
    expect(outputs[0]).toEqual({ kind: 'connected', again: true });
    expect(sent(outputs)).toMatchObject([
      { interactions: [{ interactionId: 'a' }, { interactionId: 'c' }, { interactionId: 'd' }] },
    ]);
  });

  test('the count starts again once media flows, and not before', () => {
    subscribed('a');
    for (let i = 0; i < 3; i++) {
      bench.closed();
      bench.pass(60 * SECOND);
      bench.open();
    }
    expect(connection.attempts).toBe(3);
    bench.flow('a');
    expect(connection.attempts).toBe(0);
    bench.pass(10 * SECOND);
    bench.closed();
    expect(connection.deadlineUs - bench.nowUs).toBe(SECOND);
  });

  test('a server that cuts every connection after one packet is connected to ever more slowly', () => {
    subscribed('a');
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      bench.flow('a');
      bench.closed();
      waits.push((connection.deadlineUs - bench.nowUs) / SECOND);
      bench.pass(connection.deadlineUs - bench.nowUs);
      bench.open();
    }
    // Media came each time, so it is not given up; but only media that lasts makes the waits short again.
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(connection.state).toBe('open');
  });

  test('a server that says when to come back is not asked before', () => {
    bench.add('a');
    connection.dialing(0);
    connection.closed(0, 1006, '', { status: 503, retryAfterUs: 7 * SECOND, message: 'busy' });
    expect(connection.deadlineUs).toBe(7 * SECOND);
  });
});

describe('a refused token', () => {
  test('at the handshake: renewed once without waiting, then with backoff, then given up', () => {
    bench.add('a');
    bench.drain();
    const refuse = () => {
      connection.dialing(bench.nowUs);
      connection.closed(bench.nowUs, 1006, '', { status: 401, message: 'refused' });
    };
    refuse();
    expect(bench.drain()).toEqual([{ kind: 'connect', renewToken: true }]);
    for (let i = 0; i < 5; i++) {
      refuse();
      expect(bench.kinds()).toEqual(['error']);
      bench.pass(60 * SECOND);
      expect(bench.drain()).toEqual([{ kind: 'connect', renewToken: true }]);
    }
    refuse();
    expect(bench.kinds()).toEqual(['error', 'exhausted', 'ended', 'closed']);
  });

  test('in a message: closed, so that what is under way arrives, or dropped when that is not answered', () => {
    subscribed('a');
    connection.control(error({ status: 401, code: 'unauthorized' }), 0);
    expect(bench.drain()).toEqual([{ kind: 'close', code: 3000 }]);
    bench.pass(2 * SECOND);
    expect(bench.kinds()).toEqual(['terminate']);
    bench.closed();
    expect(bench.drain()).toEqual([
      { kind: 'disconnected', code: 1006, reason: 'the token was refused' },
      { kind: 'connect', renewToken: true },
    ]);
  });
});

describe('a token that is refused again and again, with media in between', () => {
  test('is renewed without waiting once in 30 s, and with backoff otherwise', () => {
    subscribed('a');
    const signInsUs: number[] = [];
    while (bench.nowUs < 300 * SECOND) {
      bench.flow('a');
      connection.control(error({ status: 401, code: 'unauthorized' }), bench.nowUs);
      bench.closed(3000);
      if (connection.state === 'waiting') bench.pass(connection.deadlineUs - bench.nowUs);
      expect(bench.drain()).toContainEqual({ kind: 'connect', renewToken: true });
      signInsUs.push(bench.nowUs);
      bench.open();
      bench.drain();
    }
    const waits = signInsUs.map((atUs, i) => (atUs - (signInsUs[i - 1] ?? 0)) / SECOND);
    const round = [0, 1, 2, 4, 8, 16];
    expect(waits.slice(0, 12)).toEqual([...round, ...round]);
    expect(signInsUs.length).toBeLessThanOrEqual(6 * 11);
  });
});

describe('media that is not available', () => {
  const refused = (id: string | undefined) =>
    connection.control(error({ code: 'mediaNotAvailable', interactionId: id }), bench.nowUs);

  test('asks REST after a delay and subscribes again, without holding up the others', () => {
    subscribed('a', 'b');
    refused('a');
    expect(bench.drain()).toEqual([]);
    bench.pass(2 * SECOND);
    expect(bench.drain()).toEqual([{ kind: 'ask', interaction: bench.get('a') }]);
    connection.available(bench.get('a'), 'active', bench.nowUs);
    expect(sent(bench.drain())).toMatchObject([{ interactions: [{ interactionId: 'a' }] }]);
  });

  test.each(['expired', 'notFound'] as const)('%s: given up', (answer) => {
    subscribed('a', 'b');
    refused('a');
    bench.pass(2 * SECOND);
    connection.available(bench.get('a'), answer, bench.nowUs);
    expect(left(bench.drain())).toEqual([['a', 'mediaNotAvailable']]);
    expect(connection.state).toBe('open');
  });

  test('given up after eight more subscriptions', () => {
    subscribed('a', 'b');
    for (let i = 0; i < 8; i++) {
      refused('a');
      bench.pass(20 * SECOND);
      expect(bench.drain().filter(({ kind }) => kind === 'ask')).toHaveLength(1);
      connection.available(bench.get('a'), 'unknown', bench.nowUs);
      connection.pong();
      bench.drain();
    }
    refused('a');
    expect(left(bench.drain())).toEqual([['a', 'mediaNotAvailable']]);
  });

  test('said of nobody: those without media', () => {
    subscribed('a', 'b');
    bench.flow('a');
    refused(undefined);
    bench.pass(2 * SECOND);
    expect(bench.drain()).toEqual([{ kind: 'ask', interaction: bench.get('b') }]);
  });

  test('media that comes all the same settles it', () => {
    subscribed('a');
    refused('a');
    bench.flow('a');
    bench.pass(20 * SECOND);
    expect(bench.drain()).toEqual([]);
  });

  test('another error of one interaction ends it, one of none is only reported', () => {
    subscribed('a', 'b');
    connection.control(error({ status: 403, code: 'forbidden', interactionId: 'a' }), 0);
    connection.control(error({ status: 400, code: 'odd' }), 0);
    const outputs = bench.drain();
    expect(outputs.map(({ kind }) => kind)).toEqual(['error', 'ended', 'error']);
    expect(left(outputs)).toEqual([['a', 'error']]);
  });
});

describe('leaving', () => {
  test('an interaction that the server ends is gone; the last one closes the connection', () => {
    subscribed('a', 'b');
    connection.control({ kind: 'ended', interactionId: 'a', reason: 'hangup' }, 0);
    expect(bench.drain()).toEqual([{ kind: 'ended', interaction: bench.get('a') }]);
    expect(bench.get('a')).toMatchObject({ state: 'ended', endReason: 'ended', endDetail: 'hangup' });
    connection.control({ kind: 'ended', interactionId: 'b', reason: '' }, 0);
    expect(bench.kinds()).toEqual(['ended', 'close']);
    bench.closed(1000);
    expect(bench.kinds()).toEqual(['disconnected', 'closed']);
  });

  test('an unsubscription waits for the server to confirm it', () => {
    subscribed('a', 'b');
    connection.unsubscribe([bench.get('a')], 0);
    const outputs = bench.drain();
    expect(sent(outputs)).toEqual([{ unsubscribe: ['a'] }]);
    expect(left(outputs)).toEqual([]);
    expect(bench.get('a').state).toBe('leaving');
    connection.control({ kind: 'ended', interactionId: 'a', reason: '' }, 0);
    expect(left(bench.drain())).toEqual([['a', 'unsubscribed']]);
  });

  test('but not for ever', () => {
    subscribed('a', 'b');
    connection.unsubscribe([bench.get('a')], 0);
    bench.pass(SECOND);
    expect(left(bench.drain())).toEqual([['a', 'unsubscribed']]);
  });

  test('stop: unsubscribes, waits, closes with 1000', () => {
    subscribed('a', 'b');
    connection.stop(0);
    expect(sent(bench.drain())).toEqual([{ unsubscribe: ['a', 'b'] }]);
    for (const id of ['a', 'b']) connection.control({ kind: 'ended', interactionId: id, reason: '' }, 0);
    const outputs = bench.drain();
    expect(left(outputs)).toEqual([
      ['a', 'stopped'],
      ['b', 'stopped'],
    ]);
    expect(outputs.at(-1)).toEqual({ kind: 'close', code: 1000 });
    bench.closed(1000);
    expect(bench.kinds()).toEqual(['disconnected', 'closed']);
  });

  test('stop: a server that answers neither is left after two seconds', () => {
    subscribed('a');
    connection.stop(0);
    bench.drain();
    bench.pass(SECOND);
    expect(bench.kinds()).toEqual(['ended', 'close']);
    bench.pass(SECOND);
    expect(bench.kinds()).toEqual(['terminate']);
    bench.closed();
    expect(bench.kinds()).toEqual(['disconnected', 'closed']);
  });

  test.each<[string, () => void, string[]]>([
    ['before it has begun', () => {}, ['closed']],
    ['while the token is fetched', () => bench.add('a'), ['connect', 'ended', 'closed']],
    [
      'while waiting',
      () => {
        subscribed('a');
        bench.closed();
      },
      ['disconnected', 'ended', 'closed'],
    ],
    [
      'in the handshake',
      () => {
        bench.add('a');
        connection.dialing(0);
      },
      ['connect', 'ended', 'terminate'],
    ],
  ])('stop %s', (_when, prepare, kinds) => {
    prepare();
    connection.stop(0);
    connection.stop(0);
    expect(bench.kinds()).toEqual(kinds);
    if (connection.state === 'closing') {
      bench.closed();
      expect(bench.kinds()).toEqual(['closed']);
    }
    expect(connection.state).toBe('closed');
    expect(connection.deadlineUs).toBe(Number.POSITIVE_INFINITY);
  });

  test('a connection whose interactions all left during the handshake closes again', () => {
    bench.add('a');
    connection.dialing(0);
    connection.unsubscribe([bench.get('a')], 0);
    connection.opened(0);
    expect(bench.kinds()).toEqual(['connect', 'ended', 'connected', 'close']);
  });
});

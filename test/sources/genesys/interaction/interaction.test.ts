import { beforeEach, describe, expect, test } from 'vitest';
import { TrunklineError } from '../../../../src/core/errors.js';
import { Interaction, type InteractionDependencies } from '../../../../src/sources/genesys/interaction/interaction.js';
import { InteractionTable } from '../../../../src/sources/genesys/interaction-table.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';

const SECOND = 1_000_000;

let ingest: FakeIngest;
let table: InteractionTable;
let interaction: Interaction;
let gaveUp: TrunklineError[];
let refused: number;
let dependencies: InteractionDependencies;

beforeEach(() => {
  ingest = new FakeIngest();
  table = new InteractionTable();
  gaveUp = [];
  refused = 0;
  dependencies = {
    ingest,
    formats: { codecPreferences: ['opus', 'pcmu'], opusSampleRate: 16_000 },
    mediaRetry: { baseUs: SECOND, capUs: 4 * SECOND, maxAttempts: 2 },
    random: () => 1,
    giveUp: (_, why) => gaveUp.push(why),
    refusedPacket: () => refused++,
  };
  interaction = new Interaction('a', dependencies);
});

function attached(): Interaction {
  interaction.answered('active', 0);
  interaction.attach(table, () => {});
  return interaction;
}

function packet(fields: { codec?: number; channel?: number } = {}) {
  const payload = Buffer.alloc(160, 0xff);
  return { codec: 0, channel: -1, sequence: 1, timestamp: 160, arrivalUs: 0, payload, ...fields };
}

const announced = { interactionId: 'a', codec: 'pcmu', channels: 2 } as const;
const row = () => ({
  stream: table.stream[0],
  codec: table.codec[0],
  channels: table.channels[0],
  flowing: table.flowing[0],
});

test('from the question to REST to the end', () => {
  expect(interaction.state).toBe('wanted');
  interaction.answered('active', 0);
  expect(interaction.awaitsSubscription).toBe(true);
  interaction.attach(table, () => {});
  expect(row()).toMatchObject({ stream: -1, flowing: 0 });
  interaction.announced(announced, 0);
  expect(row()).toEqual({ stream: 0, codec: 0, channels: 2, flowing: 0 });
  expect(interaction.takePacket(packet())).toBe(true);
  expect(interaction.state).toBe('flowing');
  expect(row()).toEqual({ stream: 0, codec: 0, channels: 2, flowing: 1 });
  interaction.disconnected(1);
  expect(interaction.state).toBe('interrupted');
  expect(row().flowing).toBe(0);
  expect(ingest.interrupted).toEqual(['a']);
  expect(interaction.takePacket(packet())).toBe(true);
  expect(interaction.state).toBe('flowing');
  expect(interaction.unsubscribe('stopped', SECOND, 2)).toBe(true);
  expect(interaction.state).toBe('leaving');
  expect(row().flowing).toBe(1);
  expect(interaction.due(SECOND)).toBe(false);
  expect(interaction).toMatchObject({ state: 'ended', endReason: 'stopped', dueUs: Number.POSITIVE_INFINITY });
  expect(ingest.ended).toEqual([{ id: 'a', reason: 'stopped' }]);
  expect(table.size).toBe(0);
});

test.each(['expired', 'notFound'] as const)('%s: not subscribed to', (answer) => {
  interaction.answered(answer, 0);
  expect(interaction).toMatchObject({ state: 'ended', endReason: 'mediaNotAvailable' });
});

test('refused: REST is asked after growing waits, and at last it is given up', () => {
  attached();
  for (const waitUs of [SECOND, 2 * SECOND]) {
    interaction.refused(0);
    expect(interaction).toMatchObject({ state: 'wanted', dueUs: waitUs });
    expect(interaction.due(waitUs)).toBe(true);
    interaction.answered('unknown', waitUs);
    expect(interaction.state).toBe('subscribing');
  }
  interaction.refused(0);
  expect(interaction).toMatchObject({ state: 'ended', endDetail: 'no media after 3 subscriptions' });
});

test('media that comes after a refusal settles it', () => {
  attached().refused(0);
  expect(interaction.takePacket(packet())).toBe(true);
  expect(interaction).toMatchObject({ state: 'flowing', dueUs: Number.POSITIVE_INFINITY });
  interaction.answered('notFound', 1);
  expect(interaction.state).toBe('flowing');
});

describe('leaving', () => {
  beforeEach(() => {
    attached().announced(announced, 0);
    interaction.unsubscribe('unsubscribed', SECOND, 0);
  });

  test('packets of the open stream still count, and no stream is opened any more', () => {
    expect(interaction.takePacket(packet({ channel: 1 }))).toBe(true);
    expect(interaction.takePacket(packet({ codec: 1 }))).toBe(false);
    interaction.announced({ interactionId: 'a', codec: 'pcma' }, 0);
    expect(ingest.opened).toHaveLength(1);
    expect(refused).toBe(1);
  });

  test.each<[string, () => void]>([
    ['the server ends it', () => interaction.endedByServer('ended', '', 1)],
    ['the server knows nothing of it', () => interaction.refused(1)],
    ['the connection is lost', () => interaction.disconnected(1)],
    ['it takes too long', () => void interaction.due(1)],
  ])('ends with its own reason when %s', (_, happen) => {
    happen();
    expect(interaction).toMatchObject({ state: 'ended', endReason: 'unsubscribed' });
  });

  test('wanted again in the meantime', () => {
    interaction.subscribe(0);
    expect(interaction.isWantedAgain).toBe(true);
    interaction.unsubscribe('unsubscribed', SECOND, 0);
    expect(interaction.isWantedAgain).toBe(false);
  });
});

describe('pauses', () => {
  test('of operator and platform are independent: audio flows when both are over', () => {
    attached().announced(announced, 0);
    interaction.takePacket(packet());
    expect(interaction.pause('operator', 1)).toBe(true);
    expect(interaction.pause('operator', 1)).toBe(false);
    expect(interaction.state).toBe('paused');
    interaction.pause('platform', 2);
    expect(interaction.resume('operator', 3)).toBe(true);
    expect(interaction.state).toBe('paused');
    expect(ingest.pauses).toEqual([['pause', 'a']]);
    expect(interaction.resume('platform', 4)).toBe(true);
    expect(interaction.state).toBe('flowing');
    expect(interaction.resume('platform', 5)).toBe(false);
    expect(ingest.pauses).toEqual([
      ['pause', 'a'],
      ['resume', 'a'],
    ]);
  });

  test('packets go on to the engine, which counts and withholds them', () => {
    attached().pause('operator', 0);
    expect(interaction.takePacket(packet())).toBe(true);
    expect(interaction.state).toBe('paused');
    expect(row().flowing).toBe(1);
    expect(ingest.pauses).toEqual([['pause', 'a']]);
  });

  test('go on over a reconnect and a change of format', () => {
    attached().pause('operator', 0);
    interaction.announced(announced, 0);
    interaction.takePacket(packet());
    interaction.disconnected(1);
    interaction.takePacket(packet({ codec: 1 }));
    expect(interaction.state).toBe('paused');
    expect(ingest.opened.map(({ format }) => format.codec)).toEqual(['pcmu', 'pcma']);
    expect(ingest.pauses).toEqual([
      ['pause', 'a'],
      ['pause', 'a'],
    ]);
  });

  test('one that began before the interaction is in force at its first packet', () => {
    interaction = new Interaction('a', dependencies, ['platform']);
    attached().takePacket(packet());
    expect(interaction.state).toBe('paused');
    expect(ingest.pauses).toEqual([['pause', 'a']]);
  });
});

test('a stream that the engine refuses is given up', () => {
  ingest.refuse = new TrunklineError('LIMIT_EXCEEDED', 'full');
  expect(attached().takePacket(packet())).toBe(false);
  expect(gaveUp).toMatchObject([{ code: 'LIMIT_EXCEEDED' }]);
  expect(refused).toBe(1);
});

test('nothing changes an interaction that has ended', () => {
  attached().lost('gone', 0);
  interaction.answered('active', 1);
  interaction.announced(announced, 1);
  interaction.refused(1);
  interaction.pause('operator', 1);
  interaction.endedByServer('ended', '', 1);
  expect(interaction.takePacket(packet())).toBe(false);
  expect(interaction).toMatchObject({ state: 'ended', endReason: 'lost', endDetail: 'gone' });
  expect(ingest.opened).toEqual([]);
});

test('a UUID that the server writes in another case than it was asked for is found', () => {
  const id = 'AB000000-0000-4000-8000-00000000000F';
  interaction = new Interaction(id, dependencies);
  attached();
  const bytes = Buffer.from(id.toLowerCase());
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  expect(table.find(view, 0, bytes.length)).toBe(-1);
  expect(table.slotOf(id.toLowerCase())).toBe(0);
  expect(table.find(view, 0, bytes.length)).toBe(0);
  expect(table.id(0)).toBe(id);
  expect(table.slotOf('ab')).toBe(-1);
});

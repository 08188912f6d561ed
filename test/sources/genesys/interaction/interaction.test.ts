import { beforeEach, describe, expect, test } from 'vitest';
import { TrunklineError } from '../../../../src/core/errors.js';
import { Interaction, type InteractionDependencies } from '../../../../src/sources/genesys/interaction/interaction.js';
import { InteractionTable, type UndecidedPacket } from '../../../../src/sources/genesys/interaction-table.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';

const SECOND = 1_000_000;

let ingest: FakeIngest;
let table: InteractionTable;
let interaction: Interaction;
let gaveUp: TrunklineError[];
let refused: string[];
let delivered: UndecidedPacket[];
let dependencies: InteractionDependencies;

beforeEach(() => {
  ingest = new FakeIngest();
  table = new InteractionTable();
  gaveUp = [];
  refused = [];
  delivered = [];
  dependencies = {
    ingest,
    formats: { codecPreferences: ['opus', 'pcmu'], opusSampleRate: 16_000 },
    mediaRetry: { baseUs: SECOND, capUs: 4 * SECOND, maxAttempts: 2 },
    random: () => 1,
    deliver: (_, packet) => delivered.push(packet),
    giveUp: (_, why) => gaveUp.push(why),
    refusedPacket: (_, why) => refused.push(why),
  };
  interaction = new Interaction('a', dependencies);
});

function attached(): Interaction {
  interaction.answered('active', 0);
  interaction.attach(table, () => {});
  return interaction;
}

function packet(fields: Partial<UndecidedPacket> = {}): UndecidedPacket {
  const payload = Buffer.alloc(160, 0xff);
  return { codec: 0, channel: -1, sequence: 1, timestamp: 160, arrivalUs: 0, payload, ...fields };
}

/** The k-th packet of a stream whose packets do not name their codec. */
function unnamed(k: number, ticks: number, fields: Partial<UndecidedPacket> = {}): UndecidedPacket {
  return packet({ codec: -1, sequence: k, timestamp: (k * ticks) % 2 ** 32, arrivalUs: k * 20_000, ...fields });
}

/** Opus that a server has padded to the length of 20 ms of G.711, and that begins in silence: RFC 6716 section 3.2.5. */
function paddedOpus(): Buffer {
  const bytes = Buffer.alloc(160, 0);
  bytes.set([0x0b | 0xf8, 0x41, 155, 0xff, 0xfe]);
  return bytes;
}

const formats = () => ingest.opened.map(({ format }) => `${format.codec} ${format.channels}`);

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
    expect(refused).toEqual(['unknownInteraction']);
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
  expect(refused).toEqual(['unknownInteraction']);
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

describe('a change of format in mid-call', () => {
  const PCMA = 1;
  const OPUS = 3;
  const MS = 1_000;

  beforeEach(() => {
    attached().announced({ interactionId: 'a', codec: 'opus', channels: 1 }, 0);
    expect(interaction.takePacket(packet({ codec: OPUS }))).toBe(true);
  });

  test('goes on in a stream that continues the one before, from its first packet on', () => {
    expect(interaction.takePacket(packet({ codec: 0, arrivalUs: SECOND }))).toBe(true);
    expect(formats()).toEqual(['opus 1', 'pcmu 1']);
    expect(ingest.continued).toEqual([0]);
    expect(ingest.ended).toEqual([{ id: 'a', reason: 'formatChanged' }]);
    expect(row()).toEqual({ stream: 1, codec: 0, channels: 1, flowing: 1 });
    expect(refused).toEqual([]);
  });

  test('a second channel that appears later makes it two', () => {
    expect(interaction.takePacket(packet({ codec: -1, channel: 1, arrivalUs: SECOND }))).toBe(true);
    expect(formats()).toEqual(['opus 1', 'opus 2']);
    expect(interaction.takePacket(packet({ codec: OPUS, channel: 0, arrivalUs: SECOND }))).toBe(true);
    expect(formats()).toHaveLength(2);
  });

  test('both at once', () => {
    expect(interaction.takePacket(packet({ codec: PCMA, channel: 1, arrivalUs: SECOND }))).toBe(true);
    expect(formats()).toEqual(['opus 1', 'pcma 2']);
  });

  test('a late packet of the format before is counted, and does not change it back', () => {
    interaction.takePacket(packet({ codec: 0, arrivalUs: SECOND }));
    expect(interaction.takePacket(packet({ codec: OPUS, arrivalUs: SECOND + 100 * MS }))).toBe(false);
    expect(refused).toEqual(['wrongFormat']);
    expect(interaction.takePacket(packet({ codec: OPUS, arrivalUs: SECOND + 300 * MS }))).toBe(true);
    expect(formats()).toEqual(['opus 1', 'pcmu 1', 'opus 1']);
  });

  test('one that the server repeats without limit is given up', () => {
    for (let k = 1; gaveUp.length === 0 && k < 100; k++) {
      interaction.takePacket(packet({ codec: k % 2 === 0 ? OPUS : 0, arrivalUs: k * SECOND }));
    }
    expect(ingest.opened).toHaveLength(21);
    expect(gaveUp).toMatchObject([{ code: 'PROTOCOL_ERROR' }]);
    expect(interaction.hasStream).toBe(false);
  });
});

describe('a stream that nobody announced', () => {
  test('padded Opus that looks like G.711: the step of the timestamp tells', () => {
    attached();
    for (let k = 1; k <= 3; k++) {
      expect(interaction.takePacket(unnamed(k, 960, { payload: paddedOpus() }))).toBe(false);
    }
    expect(formats()).toEqual(['opus 1']);
    expect(delivered.map(({ sequence, arrivalUs }) => [sequence, arrivalUs])).toEqual([
      [1, 20_000],
      [2, 40_000],
      [3, 60_000],
    ]);
    expect(delivered[0]?.payload).toEqual(paddedOpus());
    expect(interaction.state).toBe('flowing');
    expect(row().flowing).toBe(1);
    expect(refused).toEqual([]);
  });

  test.each<[string, number, number, string]>([
    ['PCMU', 160, 160, 'pcmu 1'],
    ['G.711 of 60 ms', 480, 480, 'pcmu 1'],
    ['Opus of a length of its own', 93, 960, 'opus 1'],
    ['L16 at 16 kHz', 640, 320, 'l16 1'],
  ])('%s: settled at the second packet', (_, bytes, ticks, format) => {
    attached();
    const payload = Buffer.alloc(bytes, 0xff);
    interaction.takePacket(unnamed(1, ticks, { payload }));
    expect(ingest.opened).toEqual([]);
    interaction.takePacket(unnamed(2, ticks, { payload }));
    expect(formats()).toEqual([format]);
    expect(delivered).toHaveLength(2);
  });

  test('across the wrap of the timestamp, and out of order', () => {
    attached();
    const late = { payload: paddedOpus() };
    const wrap = 2 ** 32 - 960;
    for (const [sequence, timestamp] of [
      [7, wrap],
      [6, wrap - 960],
      [8, 0],
      [9, 960],
    ] as const) {
      interaction.takePacket(unnamed(0, 0, { ...late, sequence, timestamp }));
    }
    expect(formats()).toEqual(['opus 1']);
    expect(delivered.map(({ sequence }) => sequence)).toEqual([7, 6, 8, 9]);
  });

  test('two channels, each with a numbering of its own', () => {
    attached();
    for (let k = 1; k <= 2; k++) {
      interaction.takePacket(unnamed(k, 160, { channel: 0 }));
      interaction.takePacket(unnamed(k + 5_000, 160, { channel: 1 }));
    }
    expect(formats()).toEqual(['pcmu 2']);
    expect(delivered.length + Number(interaction.takePacket(unnamed(9, 160)))).toBe(4);
  });

  test('G.711 with silence suppression is no Opus because of one long step', () => {
    attached();
    interaction.takePacket(unnamed(1, 0, { timestamp: 0 }));
    interaction.takePacket(unnamed(2, 0, { timestamp: 960 }));
    interaction.takePacket(unnamed(3, 0, { timestamp: 1_120 }));
    expect(formats()).toEqual(['pcmu 1']);
  });

  test('a single packet goes on by its form after 300 ms, and a wrong guess is revised', () => {
    attached().takePacket(unnamed(0, 960, { payload: paddedOpus() }));
    expect(interaction.dueUs).toBe(300_000);
    interaction.due(300_000);
    expect(formats()).toEqual(['pcmu 1']);
    expect(delivered).toHaveLength(1);
    // Looked at one by one until it is certain.
    expect(row().flowing).toBe(0);
    for (let k = 50; k < 53; k++) interaction.takePacket(unnamed(k, 960, { payload: paddedOpus() }));
    expect(formats()).toEqual(['pcmu 1', 'opus 1']);
    expect(row().flowing).toBe(1);
  });

  test('a right guess becomes certain without a change', () => {
    attached().takePacket(unnamed(0, 160));
    interaction.due(300_000);
    expect(interaction.takePacket(unnamed(1, 160))).toBe(true);
    expect(formats()).toEqual(['pcmu 1']);
    expect(row().flowing).toBe(1);
  });

  test('what is kept is not lost when the call ends first', () => {
    attached().takePacket(unnamed(0, 160));
    interaction.endedByServer('ended', '', 1);
    expect(delivered).toHaveLength(1);
    expect(ingest.ended).toEqual([{ id: 'a', reason: 'ended' }]);
  });

  test('nothing is kept without limit', () => {
    attached();
    for (let k = 0; k < 40; k++) interaction.takePacket(unnamed(k * 100, 960));
    expect(formats()).toEqual(['pcmu 1']);
    expect(delivered).toHaveLength(32);
  });

  test('an announcement or a packet that names its codec settles it', () => {
    attached().takePacket(unnamed(0, 960, { payload: paddedOpus() }));
    expect(interaction.takePacket(packet({ codec: 3 }))).toBe(true);
    expect(formats()).toEqual(['opus 1']);
    expect(delivered).toHaveLength(1);
  });
});

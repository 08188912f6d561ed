import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../../../src/core/clock.js';
import { LIMITS } from '../../../../src/core/limits.js';
import type { PacketBatch } from '../../../../src/engine/input/packet-batch.js';
import { nativeSocketReader } from '../../../../src/native/socket-reader.js';
import { Refusals, type SourceCounters, zeroCounters } from '../../../../src/sources/genesys/counters.js';
import { InteractionTable, type UndecidedPacket } from '../../../../src/sources/genesys/interaction-table.js';
import { PacketIngest, type PacketIngestDependencies } from '../../../../src/sources/genesys/media/packet-ingest.js';
import type { SocketReader } from '../../../../src/sources/genesys/protocol/socket-reader.js';
import type { ControlMessage } from '../../../../src/sources/genesys/protocol/wire.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';
import { textFrame } from '../../../support/genesys/frames.js';
import { rowOwner } from '../../../support/genesys/row-owner.js';

const ID = '3f2b8c1e-9d4a-4c55-8e2f-0123456789ab';
const OTHER = 'sim-7';

class Bench {
  readonly ingest = new FakeIngest(1 << 18);
  readonly table = new InteractionTable();
  readonly counters: SourceCounters = zeroCounters();
  readonly controls: ControlMessage[] = [];
  readonly firsts: { codec: number; channel: number; payload: string }[] = [];
  readonly packetIngest: PacketIngest;

  constructor(makeReader?: (batch: PacketBatch) => SocketReader | undefined) {
    const host: PacketIngestDependencies = {
      control: (_table, message) => this.controls.push(message),
      refusals: new Refusals(this.counters),
    };
    const reader = makeReader?.(this.ingest.batch);
    this.packetIngest = new PacketIngest(this.ingest, new ManualClock(), this.counters, host, reader);
    for (const id of [ID, OTHER]) {
      const slot = this.table.add({ id, takePacket: (packet) => this.#take(slot, id, packet) });
    }
  }

  /** As an interaction does it that takes no other format after its first packet. */
  #take(slot: number, id: string, { codec, channel, payload }: UndecidedPacket): boolean {
    if (this.table.flowing[slot] === 1) {
      this.counters.wrongFormat++;
      return false;
    }
    this.firsts.push({ codec, channel, payload: payload.toString('hex') });
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 } as const;
    const stream = this.ingest.openStream(id, format);
    this.table.set(slot, { stream, codec: Math.max(codec, 0), channels: 2, flowing: true });
    return true;
  }

  result(): unknown {
    this.packetIngest.flush();
    return { packets: this.ingest.packets, counters: this.counters, controls: this.controls, firsts: this.firsts };
  }
}

const isNativeMissing = nativeSocketReader(new FakeIngest().batch) === undefined;
if (isNativeMissing) console.warn('skipped: the native reader of media, for there is no native module');
const READERS = isNativeMissing ? [undefined] : [undefined, nativeSocketReader];

/** By frames, as a socket reads them: what the reader does not take comes one by one. */
function readFrames(bench: Bench, messages: readonly Uint8Array[]): void {
  // Behind other bytes, as a frame seldom begins where the read does.
  let bytes = Buffer.alloc(3, 0x81);
  const messageAt = new Map<number, { message: Uint8Array; end: number }>();
  for (const message of messages) {
    const at = bytes.length;
    bytes = Buffer.concat([bytes, textFrame(message)]);
    messageAt.set(at, { message, end: bytes.length });
  }
  for (let at = 3; at < bytes.length; ) {
    at = bench.packetIngest.read(bytes, at, bytes.length, bench.table);
    if (at === bytes.length) break;
    const stopped = messageAt.get(at);
    if (stopped === undefined) throw new Error('The reader stopped within a frame.');
    bench.packetIngest.message(Buffer.from(stopped.message), bench.table);
    at = stopped.end;
  }
}

/** All readings of the same messages, in the same order, must leave the same behind. */
function expectSame(messages: readonly Uint8Array[]): Bench {
  const fast = new Bench();
  const exact = new Bench();
  for (const bytes of messages) {
    // Somewhere inside of a larger block, as slices of a socket read are.
    const block = Buffer.alloc(bytes.length + 9, '"');
    block.set(bytes, 5);
    fast.packetIngest.message(block.subarray(5, 5 + bytes.length), fast.table);
    exact.packetIngest.messageExact(Buffer.from(bytes), exact.table);
  }
  const expected = exact.result();
  expect(fast.result()).toEqual(expected);
  for (const reader of READERS) {
    const read = new Bench(reader);
    readFrames(read, messages);
    expect(read.result(), reader === undefined ? 'JavaScript' : 'native').toEqual(expected);
  }
  return fast;
}

const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const packet = (fields: object = {}) => ({
  interactionId: ID,
  sequenceNumber: 65535,
  timestamp: 4294967295,
  payload: Buffer.alloc(160, 0x5a).toString('base64'),
  ...fields,
});

function one(message: Uint8Array): Bench {
  return expectSame([message]);
}

describe('PacketIngest', () => {
  test('takes a packet into the arena', () => {
    const { ingest, counters } = one(text(packet({ codec: 'pcma', channel: 1 })));
    expect(ingest.packets).toEqual([
      { stream: 0, channel: 1, sequence: 65535, timestamp: 4294967295, payload: '5a'.repeat(160) },
    ]);
    expect(counters).toEqual({ ...zeroCounters(), messages: 1 });
  });

  test.each([1, 2, 3, 4, 5, 159, 160, 161, 1000])('takes payloads of %i bytes', (length) => {
    const payload = Buffer.from(Array.from({ length }, (_, i) => (i * 73 + 11) & 255));
    const { ingest } = one(text(packet({ payload: payload.toString('base64') })));
    expect(ingest.packets.map((taken) => taken.payload)).toEqual([payload.toString('hex')]);
  });

  test.each<[keyof SourceCounters, string, string]>([
    [
      'malformed',
      'half a message',
      '{"interactionId":"3f2b8c1e-9d4a-4c55-8e2f-0123456789ab","sequenceNumber":1,"timest',
    ],
    ['malformed', 'no JSON', 'hello'],
    ['malformed', 'nothing', ''],
    ['malformed', 'an array', '[1,2]'],
    ['malformed', 'null', 'null'],
    ['malformed', 'text as sequence number', JSON.stringify(packet({ sequenceNumber: '1' }))],
    ['malformed', 'a negative sequence number', JSON.stringify(packet({ sequenceNumber: -1 }))],
    ['malformed', 'a broken timestamp', JSON.stringify(packet({ timestamp: 1.5 }))],
    ['malformed', 'an endless timestamp', JSON.stringify(packet()).replace('4294967295', '1e999')],
    ['malformed', 'a leading zero', JSON.stringify(packet()).replace('65535', '065535')],
    ['malformed', 'a third channel', JSON.stringify(packet({ channel: 2 }))],
    ['malformed', 'an unknown codec', JSON.stringify(packet({ codec: 'g729' }))],
    ['malformed', 'an empty payload', JSON.stringify(packet({ payload: '' }))],
    ['malformed', 'no payload', JSON.stringify(packet({ payload: undefined }))],
    ['malformed', 'a number as id', JSON.stringify(packet({ interactionId: 7 }))],
    ['malformed', 'a quote within the payload', JSON.stringify(packet({ payload: 'AAAA' })).replace('AAAA', 'AA"AA')],
    ['malformed', 'text behind its end', `${JSON.stringify(packet())}}`],
    [
      'malformed',
      'a payload beyond the limit',
      JSON.stringify(packet({ payload: 'A'.repeat((LIMITS.maxPayloadBytes / 3) * 4 + 4) })),
    ],
    ['unknownInteraction', 'an unknown id', JSON.stringify(packet({ interactionId: `${ID.slice(0, -1)}c` }))],
    ['badBase64', 'garbage as payload', JSON.stringify(packet({ payload: '!!!!' }))],
    ['badBase64', 'a character that Buffer skips', JSON.stringify(packet({ payload: 'AAA AAAA' }))],
    ['badBase64', 'missing padding', JSON.stringify(packet({ payload: 'AAAAA' }))],
    ['badBase64', 'padding in the middle', JSON.stringify(packet({ payload: 'AA==AAAA' }))],
    ['badBase64', 'padding alone', JSON.stringify(packet({ payload: 'A===' }))],
    ['badBase64', 'the alphabet for URLs', JSON.stringify(packet({ payload: 'AA-_' }))],
    ['badBase64', 'letters beyond Latin-1', JSON.stringify(packet({ payload: 'ŁŁŁŁ' }))],
    ['unknownMessages', 'a kind of message from the future', '{"type":"news","text":"x"}'],
  ])('counts as %s: %s', (counter, _what, message) => {
    const { counters, ingest } = one(text(message));
    expect(ingest.packets).toEqual([]);
    expect(counters).toEqual({ ...zeroCounters(), messages: 1, [counter]: 1 });
  });

  test('reads what is unusual but right', () => {
    const unusual = [
      JSON.stringify(packet(), null, 2),
      JSON.stringify(packet({ extra: { deep: [1, 2] } })),
      JSON.stringify(packet({ codec: null, channel: null })),
      JSON.stringify(packet()).replace('3f2b', '\\u0033f2b'),
      JSON.stringify(packet()).replace('65535', '6.5535e4'),
      JSON.stringify(packet({ codec: 'PCMU' })),
      `{"sequenceNumber":1,${JSON.stringify(packet()).slice(1)}`,
      `{"interactionId":"${OTHER}","channel":1,${JSON.stringify(packet({ channel: null })).slice(1)}`,
    ];
    const { ingest } = expectSame(unusual.map(text));
    expect(ingest.packets.map(({ sequence }) => sequence)).toEqual(unusual.map(() => 65535));
  });

  test('a codec or channel behind the payload is found, time and again', () => {
    const { payload, ...rest } = packet();
    const messages = [
      { ...rest, payload, codec: 'pcmu' },
      { ...rest, payload, channel: 1 },
      { ...rest, payload },
      { ...rest, payload, codec: 'pcmu' },
    ];
    const { ingest } = expectSame(messages.map(text));
    expect(ingest.packets.map(({ channel }) => channel)).toEqual([0, 1, 0, 0]);
  });

  test('another codec or channel than the stream has is counted', () => {
    const bench = new Bench();
    bench.packetIngest.message(text(packet({ codec: 'pcmu' })), bench.table);
    bench.table.channels.fill(1);
    bench.packetIngest.message(text(packet({ codec: 'pcma' })), bench.table);
    bench.packetIngest.message(text(packet({ channel: 1 })), bench.table);
    expect(bench.counters.wrongFormat).toBe(2);
  });

  test('a packet for which the arena has no space is counted', () => {
    const ingest = new FakeIngest(256);
    const counters = zeroCounters();
    const table = new InteractionTable();
    const slot = table.add(rowOwner(ID));
    table.stream[slot] = 0;
    table.channels[slot] = 1;
    table.flowing[slot] = 1;
    const host = { control: () => {}, refusals: new Refusals(counters) };
    const packetIngest = new PacketIngest(ingest, new ManualClock(), counters, host);
    for (let i = 0; i < 3; i++) packetIngest.message(text(packet()), table);
    expect(counters.arenaFull).toBe(2);
  });

  test('hands over once a turn', async () => {
    const bench = new Bench();
    for (let turn = 0; turn < 3; turn++) {
      for (let i = 0; i < 10; i++) bench.packetIngest.message(text(packet({ sequenceNumber: i })), bench.table);
      await Promise.resolve();
    }
    expect(bench.ingest.packets).toHaveLength(30);
    expect(bench.ingest.submits).toBe(3);
  });

  test.each(READERS)('reads many packets in one go, up to what is no packet of the usual form', (reader) => {
    const bench = new Bench(reader);
    const usual = Array.from({ length: 700 }, (_, i) =>
      text(packet({ sequenceNumber: i, interactionId: [ID, OTHER][i % 2] })),
    );
    const frames = Buffer.concat(usual.map((message) => textFrame(message)));
    for (const [what, other] of [
      ['nothing', Buffer.alloc(0)],
      ['a control message', textFrame(text('{"type":"subscribed","interactions":[]}'))],
      ['a ping', Buffer.from([0x89, 0])],
      ['half a frame', textFrame(text(packet())).subarray(0, 100)],
      ['a masked frame', Buffer.from([0x81, 0xfe, 0, 126, ...Buffer.alloc(130)])],
    ] as const) {
      const bytes = Buffer.concat([frames, other]);
      const at = bench.packetIngest.read(bytes, 0, bytes.length, bench.table);
      // The batch takes 512 at a time.
      expect(at, what).toBe(frames.length);
    }
    bench.packetIngest.flush();
    expect(bench.ingest.packets.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 5 }, () => usual.map((_, i) => i)).flat(),
    );
  });

  test.each(READERS)('takes packets one by one when the arena is nearly full', (reader) => {
    const ingest = new FakeIngest(1024);
    const table = new InteractionTable();
    const slot = table.add(rowOwner(ID));
    table.channels[slot] = 1;
    table.flowing[slot] = 1;
    table.stream[slot] = 0;
    const counters = zeroCounters();
    const host = { control: () => {}, refusals: new Refusals(counters) };
    const packetIngest = new PacketIngest(ingest, new ManualClock(), counters, host, reader?.(ingest.batch));
    const frames = Buffer.concat(Array.from({ length: 8 }, () => textFrame(text(packet()))));
    expect(packetIngest.read(frames, 0, frames.length, table)).toBe(frames.length);
    // Eight times 162 bytes, claimed; six of 160 fit, and the arena is never filled to its last byte.
    expect(counters).toEqual({ ...zeroCounters(), messages: 8, arenaFull: 2 });
    expect(ingest.refused).toBe(2);
    packetIngest.flush();
    expect(ingest.packets).toHaveLength(6);
  });

  // Values of the right kind and of others, in any order, with white space of any kind.
  const base64 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64'));
  const rightField = {
    interactionId: fc.constantFrom(ID, OTHER),
    sequenceNumber: fc.nat(),
    timestamp: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    payload: base64,
    codec: fc.constantFrom('pcmu', 'pcma', 'opus', 'l16'),
    channel: fc.constantFrom(0, 1),
  };
  const anyField = (right: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 20, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });
  const object = fc
    .record(Object.fromEntries(Object.entries(rightField).map(([key, right]) => [key, anyField(right)])), {
      requiredKeys: ['interactionId', 'sequenceNumber', 'timestamp', 'payload'],
    })
    .chain((fields) => fc.shuffledSubarray(Object.entries(fields), { minLength: Object.keys(fields).length }));
  const message = fc.tuple(object, fc.constantFrom(undefined, 0, 0, 0, 1, '\t')).map(([entries, space]) => {
    return JSON.stringify(Object.fromEntries(entries), undefined, space);
  });

  test('property: fast and exact reading agree on any object in any form', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), (messages) => {
        expectSame(messages.map(text));
      }),
      { numRuns: 800, seed: 7 },
    );
  });

  test('property: both agree on a damaged message, and neither throws', () => {
    const damage = fc.array(fc.tuple(fc.nat(400), fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x5c, 0x2c, 0x7d))), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(message, damage, fc.nat(400), (original, changes, cut) => {
        const bytes = text(original);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        expectSame([bytes, bytes.subarray(0, cut), text(original)]);
      }),
      { numRuns: 1500, seed: 8 },
    );
  });

  test('property: any bytes are counted, never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const { counters } = one(bytes);
        expect(counters.messages).toBe(1);
      }),
      { numRuns: 1000, seed: 9 },
    );
  });
});

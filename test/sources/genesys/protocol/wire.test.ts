import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkInteractionId, InteractionTable } from '../../../../src/sources/genesys/interaction-table.js';
import { decodeBase64, maxDecodedBytes } from '../../../../src/sources/genesys/protocol/base64.js';
import { buildSubscription, buildUnsubscribe, parseMessage } from '../../../../src/sources/genesys/protocol/wire.js';
import { rowOwner } from '../../../support/genesys/row-owner.js';

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe('builders', () => {
  test('subscription', () => {
    expect(JSON.parse(buildSubscription(['a', 'b'], { codecPreferences: ['pcmu'] }))).toEqual({
      interactions: [
        { interactionId: 'a', mediaType: 'voice', codecPreferences: ['pcmu'] },
        { interactionId: 'b', mediaType: 'voice', codecPreferences: ['pcmu'] },
      ],
    });
    expect(JSON.parse(buildSubscription(['a']))).toEqual({
      interactions: [{ interactionId: 'a', mediaType: 'voice', codecPreferences: ['opus', 'pcmu'] }],
    });
  });

  test('fifty interactions and no more', () => {
    const ids = Array.from({ length: 51 }, (_, i) => `call-${i}`);
    expect(JSON.parse(buildSubscription(ids.slice(1))).interactions).toHaveLength(50);
    expect(() => buildSubscription(ids)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });

  test('unsubscription', () => {
    expect(JSON.parse(buildUnsubscribe(['a', 'b']))).toEqual({ unsubscribe: ['a', 'b'] });
  });
});

describe('parseMessage', () => {
  test('subscribed', () => {
    const interactions = [
      { interactionId: 'a', codec: 'OPUS', clockRate: 48000, sampleRate: 16000, channels: 2 },
      { interactionId: 'b' },
    ];
    expect(parseMessage(JSON.stringify({ type: 'subscribed', interactions, more: 1 }))).toEqual({
      kind: 'subscribed',
      interactions: [
        { interactionId: 'a', codec: 'opus', clockRate: 48000, sampleRate: 16000, channels: 2 },
        { interactionId: 'b' },
      ],
    });
  });

  test('ended', () => {
    expect(parseMessage('{"type":"ended","interactionId":"a"}')).toEqual({
      kind: 'ended',
      interactionId: 'a',
      reason: '',
    });
  });

  test('error', () => {
    expect(parseMessage('{"status":400,"code":"mediaNotAvailable","interactionId":"a"}')).toEqual({
      kind: 'error',
      status: 400,
      code: 'mediaNotAvailable',
      interactionId: 'a',
      message: '',
    });
  });

  test('a long text of the server is cut and made printable', () => {
    const read = parseMessage(JSON.stringify({ status: 500, code: 'x', message: `\u001b[31m${'y'.repeat(9999)}` }));
    expect(read).toMatchObject({ kind: 'error', message: ` [31m${'y'.repeat(123)}` });
  });

  test.each([
    '{"type":"subscribed"}',
    '{"type":"subscribed","interactions":[{"interactionId":"a","channels":3}]}',
    '{"type":"ended"}',
    '{"type":7}',
    '{"status":"400"}',
    '{"interactionId":"a"}',
  ])('malformed: %s', (text) => {
    expect(parseMessage(text)).toEqual({ kind: 'malformed' });
  });

  test('property: any text is a message of some kind, and nothing throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseMessage(text)).toHaveProperty('kind');
      }),
      { seed: 3 },
    );
  });
});

describe('decodeBase64', () => {
  test('property: decodes what Buffer encodes, and writes nothing beyond its end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(7), fc.nat(7), (bytes, from, to) => {
        const encoded = Buffer.from(bytes).toString('base64');
        const source = Buffer.from(' '.repeat(from) + encoded);
        const target = Buffer.alloc(to + maxDecodedBytes(encoded.length) + 4, 0xee);
        expect(decodeBase64(viewOf(source), from, encoded.length, viewOf(target), to)).toBe(bytes.length);
        expect(target.subarray(to, to + bytes.length).equals(bytes)).toBe(true);
        expect(target.subarray(0, to).every((byte) => byte === 0xee)).toBe(true);
        expect(target.subarray(to + maxDecodedBytes(encoded.length)).every((byte) => byte === 0xee)).toBe(true);
      }),
      { seed: 4 },
    );
  });

  test('every byte outside the alphabet is refused, in every place', () => {
    const alphabet = /[A-Za-z0-9+/]/;
    // Sixteen characters at a time, then four, then the last four.
    const length = 24;
    const target = viewOf(Buffer.alloc(maxDecodedBytes(length)));
    for (let byte = 0; byte < 256; byte++) {
      for (let place = 0; place < length; place++) {
        const source = Buffer.alloc(length, 'A');
        source[place] = byte;
        const isLegal = alphabet.test(String.fromCharCode(byte)) || (byte === 0x3d && place === length - 1);
        expect(decodeBase64(viewOf(source), 0, length, target, 0) >= 0, `${byte} at ${place}`).toBe(isLegal);
      }
    }
  });
});

describe('InteractionTable', () => {
  const find = (table: InteractionTable, id: string) => table.find(viewOf(Buffer.from(id)), 0, Buffer.byteLength(id));

  test('property: finds what it holds, through adding and removing', () => {
    const name = fc.oneof(
      fc.integer({ min: 0, max: 80 }).map((i) => `call-${i}`),
      fc.stringMatching(/^[a-c]{1,5}$/),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), name), { maxLength: 200 }), (steps) => {
        const table = new InteractionTable();
        const model = new Map<string, number>();
        for (const [adds, id] of steps) {
          const slot = model.get(id);
          if (adds && slot === undefined) {
            const given = table.add(rowOwner(id));
            expect(given < 0).toBe(model.size === InteractionTable.CAPACITY);
            if (given >= 0) model.set(id, given);
          } else if (!adds && slot !== undefined) {
            table.remove(slot);
            model.delete(id);
          }
        }
        expect(table.size).toBe(model.size);
        for (const [, id] of steps) expect(find(table, id)).toBe(model.get(id) ?? -1);
      }),
      { seed: 5 },
    );
  });

  test('ids that could stand in JSON in two ways are refused', () => {
    for (const id of ['', 'a"b', 'a\\b', 'a b', 'ä', 'x'.repeat(129)]) {
      expect(() => checkInteractionId(id), id).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
    checkInteractionId('3f2b8c1e-9d4a-4c55-8e2f-0123456789ab');
  });
});

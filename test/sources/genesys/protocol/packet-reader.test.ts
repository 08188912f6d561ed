import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { CODEC_ID } from '../../../../src/core/codec.js';
import { InteractionTable } from '../../../../src/sources/genesys/interaction-table.js';
import { PacketReader } from '../../../../src/sources/genesys/protocol/packet-reader.js';
import { rowOwner } from '../../../support/genesys/row-owner.js';

// That scan and readExact agree is tested through the packetIngest; here, that scan does take what servers send.
const fields = ['"interactionId":"call-1"', '"sequenceNumber":70000', '"timestamp":4294967295', '"payload":"AAECAwQF"'];
const more = [...fields, '"codec":"l16"', '"channel":1'];

function orders<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

function readers(): { reader: PacketReader; table: InteractionTable } {
  const table = new InteractionTable();
  table.add(rowOwner('call-0'));
  table.add(rowOwner('call-1'));
  return { reader: new PacketReader(), table };
}

describe('PacketReader.scan', () => {
  test.each([
    ['four', fields, -1, -1],
    ['six', more, CODEC_ID.L16, 1],
  ])('takes all orders of %s keys', (_name, keys, codec, channel) => {
    for (const order of orders(keys)) {
      const { reader, table } = readers();
      const message = Buffer.from(`{${order.join(',')}}`);
      // The end of the payload is guessed; after one wrong guess it is searched for.
      const taken = reader.scan(message, 0, message.length, table) && reader.payloadLength === 8;
      if (!taken) {
        reader.readExact(message, table);
        expect(reader.scan(message, 0, message.length, table), order.join()).toBe(true);
      }
      const { slot, sequenceNumber, timestamp, payloadStart, payloadLength, view } = reader;
      const payload = Buffer.from(view.buffer, payloadStart, payloadLength).toString();
      expect({ slot, sequenceNumber, timestamp, payload, codec: reader.codec, channel: reader.channel }).toEqual({
        slot: 1,
        sequenceNumber: 70000,
        timestamp: 4294967295,
        payload: 'AAECAwQF',
        codec,
        channel,
      });
    }
  });

  test('leaves numbers of more than fifteen digits to the exact reading', () => {
    const { reader, table } = readers();
    const message = (digits: number) => Buffer.from(`{${fields.join(',').replace('70000', '9'.repeat(digits))}}`);
    expect(reader.scan(message(15), 0, message(15).length, table)).toBe(true);
    expect(reader.sequenceNumber).toBe(999_999_999_999_999);
    expect(reader.scan(message(16), 0, message(16).length, table)).toBe(false);
  });

  test('takes digits for a number, and nothing else, in every place of it', () => {
    const { reader, table } = readers();
    for (const digits of ['7', '70', '7001', '70012', '70012345', '7001234567', '700123456789012']) {
      const message = Buffer.from(`{${fields.join(',').replace('70000', digits)}}`);
      const start = message.indexOf(digits);
      for (let place = 0; place < digits.length; place++) {
        const right = message[start + place] as number;
        for (let byte = 0; byte < 256; byte++) {
          message[start + place] = byte;
          const text = message.toString('latin1', start, start + digits.length);
          const isNumber = /^(0|[1-9][0-9]*)$/.test(text);
          expect(reader.scan(message, 0, message.length, table), text).toBe(isNumber);
          if (isNumber) expect(reader.sequenceNumber).toBe(Number(text));
        }
        message[start + place] = right;
      }
    }
  });

  test.each(['pcmu', 'pcma', 'opus', 'l16'] as const)('knows the codec %s', (name) => {
    const { reader, table } = readers();
    const message = Buffer.from(`{"codec":"${name}",${fields.join(',')}}`);
    expect(reader.scan(message, 0, message.length, table)).toBe(true);
    expect(reader.codec).toBe(CODEC_ID[name.toUpperCase() as 'PCMU']);
  });
});

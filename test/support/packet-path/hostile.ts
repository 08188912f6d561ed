import { Buffer } from 'node:buffer';
import { below, type Random } from '../random.js';

/** Bytes that decide something in JSON, base64 and UTF-8. */
const TELLING = Buffer.from('"\\{}[],:=+/-_ 0\u00e9\n');

/** A message that no sender should send, made of a right one. */
export function damaged(random: Random, message: Buffer): { bytes: Buffer; what: string } {
  const made = Buffer.from(message);
  switch (below(random, 9)) {
    case 0:
      return { bytes: made.subarray(0, below(random, made.length)), what: 'a message that ends early' };
    case 1:
      return {
        bytes: Buffer.concat([made, made.subarray(-1 - below(random, 9))]),
        what: 'a message with more behind it',
      };
    case 2:
      return { bytes: anyBytes(random, below(random, 300)), what: 'bytes that are no message' };
    case 3:
      return { bytes: replaced(made, '"payload":"', '"payload":"!'), what: 'a payload that is not base64' };
    case 4:
      return { bytes: replaced(made, '"interactionId":"', '"interactionId":"x'), what: 'a packet of an unknown call' };
    case 5:
      return random() < 0.5
        ? { bytes: Buffer.from('{"type":"subscribed","interactions":[]}'), what: 'a control message' }
        : { bytes: Buffer.from('{"type":"news","text":"x"}'), what: 'a message of an unknown kind' };
    case 6:
      return { bytes: replaced(made, '"payload":"', '"channel":1,"payload":"'), what: 'a packet of channel 1' };
    default: {
      for (let changes = 1 + below(random, 4); changes > 0; changes--) {
        const telling = TELLING[below(random, TELLING.length)] as number;
        made[below(random, made.length)] = random() < 0.5 ? telling : below(random, 256);
      }
      return { bytes: made, what: `a damaged message: ${made.subarray(0, 160).toString('latin1')}` };
    }
  }
}

function anyBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)));
}

function replaced(message: Buffer, text: string, by: string): Buffer {
  return Buffer.from(message.toString('latin1').replace(text, by), 'latin1');
}

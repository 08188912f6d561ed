import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChannelLedger, type SentPacket } from '../../../src/simulator/genesys/ledger.js';

const PAYLOAD = 'AAECAw==';

function account(indices: readonly number[]) {
  const log: SentPacket[] = [];
  const ledger = new ChannelLedger(0, log);
  const marks = indices.map((index) => ledger.record(index, index & 0xffff, index * 160, PAYLOAD));
  return { ledger, marks, log };
}

function totals({ sent, duplicated, reordered, payloadBytes, highest }: ChannelLedger) {
  return { sent, duplicated, reordered, payloadBytes, highest };
}

test('copies are not reordered packets, and a packet is reordered once at most', () => {
  const { ledger } = account([0, 2, 1, 1, 3, 2, 0, 5]);
  expect(totals(ledger)).toEqual({ sent: 5, duplicated: 3, reordered: 1, payloadBytes: 20, highest: 5 });
});

test('payload bytes are those of the decoded payload', () => {
  for (const bytes of [1, 2, 3, 160, 161, 162]) {
    const ledger = new ChannelLedger(0);
    ledger.record(0, 0, 0, Buffer.alloc(bytes).toString('base64'));
    expect(ledger.payloadBytes).toBe(bytes);
  }
});

test('taking packets back, last first, leaves the ledger as if they had never been sent', () => {
  const indices = fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 60 });
  fc.assert(
    fc.property(indices, indices, (kept, takenBack) => {
      const { ledger, marks, log } = account([...kept, ...takenBack]);
      takenBack.forEach((_, fromEnd) => {
        const at = kept.length + takenBack.length - 1 - fromEnd;
        const index = takenBack[takenBack.length - 1 - fromEnd] ?? 0;
        ledger.undo(index, index & 0xffff, PAYLOAD, marks[at] ?? 0);
      });
      const never = account(kept);
      expect(totals(ledger)).toEqual(totals(never.ledger));
      expect(log).toEqual(never.log);
      // What was taken back can be sent after all.
      for (const index of takenBack) ledger.record(index, index, 0, PAYLOAD);
      expect(ledger.sent).toBe(new Set([...kept, ...takenBack]).size);
    }),
  );
});

import { expect, test } from 'vitest';
import { formatOf, parseTrace } from '../../src/evaluation/trace.js';

const HEADER = '{"clockHz":8000,"source":"here"}';
const PACKET = '{"arrivalUs":10,"seq":7,"ts":160,"pt":0,"marker":true,"payload":"/38="}';

test('a trace is read line by line', () => {
  const trace = parseTrace(`${HEADER}\n${PACKET}\n\n`, 'call.jsonl');
  expect(trace).toMatchObject({ source: 'here', clockRate: 8000 });
  expect(trace.packets).toEqual([
    {
      ...{ arrivalUs: 10, sequence: 7, timestamp: 160, payloadType: 0, marker: true },
      payload: Buffer.from([0xff, 0x7f]),
    },
  ]);
});

test.each([
  ['no JSON', '{"arrivalUs":', 'Line 3: it is not a JSON object.'],
  ['a list', '[]', 'Line 3: it is not a JSON object.'],
  ['no number', '{"arrivalUs":20,"ts":0}', 'Line 3: "seq" must be a number from 0 to 65535.'],
  [
    'a sequence number of 17 bits',
    '{"arrivalUs":20,"seq":65536,"ts":0}',
    'Line 3: "seq" must be a number from 0 to 65535.',
  ],
  [
    'half a timestamp',
    '{"arrivalUs":20,"seq":8,"ts":0.5}',
    'Line 3: "ts" must be a whole number from 0 to 4294967295.',
  ],
  [
    'a payload that is a number',
    '{"arrivalUs":20,"seq":8,"ts":0,"payload":5}',
    'Line 3: "payload" is not a text in base64.',
  ],
  [
    'the time of day, not of the trace',
    '{"arrivalUs":1700000000000000,"seq":8,"ts":0}',
    'Line 3: "arrivalUs" must be a number from 0 to 86400000000.',
  ],
  ['time that goes back', '{"arrivalUs":9,"seq":8,"ts":0}', 'Line 3: "arrivalUs" is lower than in the line before'],
])('%s is refused with its line', (_, line, message) => {
  expect(() => parseTrace(`${HEADER}\n${PACKET}\n${line}\n`, 'call.jsonl')).toThrow(message);
});

test('a trace without a clock or without packets is refused', () => {
  expect(() => parseTrace('{"packets":3}\n', 'call.jsonl')).toThrow('Line 1: "clockHz" must be a number');
  expect(() => parseTrace(`${HEADER}\n`, 'call.jsonl')).toThrow('call.jsonl has no packets after its first line.');
});

test.each([
  ['the payload type that most packets have', 8000, [8, 8, 0], 'pcma'],
  ['audio, even among more comfort noise', 8000, [13, 13, 13, 8], 'pcma'],
  ['the clock of Opus', 48_000, [111], 'opus'],
  ['G.711, where only the clock is known', 8000, [-1], 'pcmu'],
  ['L16 otherwise', 16_000, [100], 'l16'],
] as const)('the codec is that of %s', (_, clockHz, payloadTypes, codec) => {
  const lines = payloadTypes.map((pt, seq) => JSON.stringify({ arrivalUs: 0, seq, ts: 0, ...(pt >= 0 && { pt }) }));
  expect(formatOf(parseTrace(`{"clockHz":${clockHz}}\n${lines.join('\n')}`, 'call.jsonl')).codec).toBe(codec);
});

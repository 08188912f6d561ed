import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTrace, parseTrace, TraceTrack } from '../../../src/simulator/sound/trace.js';
import { Listener } from '../../support/genesys/listener.js';
import { booked, start } from '../../support/genesys/running.js';
import { readTrace, TRACES, titleOf } from '../../support/traces.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-trace-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Line {
  arrivalUs: number;
  seq: number;
  ts: number;
  pt?: number;
  payload?: string;
}

function traceText(clockHz: number, lines: readonly Line[]): string {
  const packets = lines.map((line) => JSON.stringify({ pt: 0, marker: 0, payload: 'AAEC', ...line }));
  return `${[JSON.stringify({ source: 'test', clockHz, packets: packets.length }), ...packets].join('\n')}\n`;
}

// Across the wrap: 65534, 0, 65535 (reordered), 0 again (copy), 3; so 1 and 2 are missing.
const IMPAIRED: readonly Line[] = [
  { arrivalUs: 0, seq: 65_534, ts: 2 ** 32 - 160 },
  { arrivalUs: 41_000, seq: 0, ts: 160 },
  { arrivalUs: 41_500, seq: 65_535, ts: 0 },
  { arrivalUs: 60_000, seq: 0, ts: 160 },
  { arrivalUs: 102_000, seq: 3, ts: 640, payload: 'AAECAw==' },
];

test('a trace is replayed in its order, with its own timing and numbers', () => {
  const track = new TraceTrack(parseTrace(traceText(8000, IMPAIRED), 'test'));
  const sent: number[][] = [];
  const run = (us: number) => track.run(us, (index, sequence, timestamp) => sent.push([index, sequence, timestamp]));
  run(0);
  expect(sent).toEqual([[0, 65_534, 2 ** 32 - 160]]);
  expect([track.nextUs, track.due]).toEqual([41_000, 1]);
  run(41_499);
  expect([track.nextUs, track.due]).toEqual([41_500, 3]);
  run(101_999);
  expect(sent).toHaveLength(4);
  run(102_000);
  expect(sent.map(([index]) => index)).toEqual([0, 2, 1, 2, 5]);
  expect([track.nextUs, track.due]).toEqual([Infinity, 6]);
});

test('the ledger of a replay has the counts that the file implies', async () => {
  const path = join(folder, 'impaired.jsonl');
  writeFileSync(path, traceText(8000, IMPAIRED));
  const simulator = await start({ interactions: 3, trace: path });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.ended(simulator.interactionIds);
  for (const id of simulator.interactionIds) {
    expect(booked(simulator, id)).toEqual({
      packets: 6,
      received: 4,
      lost: 2,
      duplicates: 1,
      reordered: 1,
      payloadBytes: 13,
    });
    expect(listener.counts(id)).toEqual(booked(simulator, id));
    const received = listener.packets.filter(({ interactionId }) => interactionId === id);
    expect(received.map(({ sequence, timestamp }) => [sequence, timestamp])).toEqual(
      IMPAIRED.map(({ seq, ts }) => [seq, ts]),
    );
  }
});

test('payload types name their codecs, and Opus packets their bandwidth', () => {
  const format = (clockHz: number, pt: number, payload: Buffer) =>
    parseTrace(traceText(clockHz, [{ arrivalUs: 0, seq: 0, ts: 0, pt, payload: payload.toString('base64') }]), 'test')
      .format;
  expect(format(8000, 0, Buffer.alloc(160))).toMatchObject({ codec: 'pcmu', clockRate: 8000, sampleRate: 8000 });
  expect(format(8000, 8, Buffer.alloc(160))).toMatchObject({ codec: 'pcma', clockRate: 8000, sampleRate: 8000 });
  // RFC 6716, table 2: configuration and rate of its bandwidth.
  const rates = [
    [1, 8000],
    [5, 12_000],
    [9, 16_000],
    [13, 24_000],
    [15, 48_000],
    [16, 8000],
    [20, 16_000],
    [24, 24_000],
    [31, 48_000],
  ] as const;
  for (const [configuration, sampleRate] of rates) {
    const opus = format(48_000, 111, Buffer.from([configuration << 3, 0, 0]));
    expect(opus, `configuration ${configuration}`).toMatchObject({ codec: 'opus', clockRate: 48_000, sampleRate });
  }
  expect(() => format(90_000, 96, Buffer.alloc(10))).toThrow(
    expect.objectContaining({ code: 'CODEC_UNSUPPORTED' }) as Error,
  );
});

test('a file that is no trace is refused with the line that is wrong', async () => {
  const good = traceText(8000, IMPAIRED);
  const wrong = [
    '',
    '{"clockHz":8000}',
    'nonsense',
    good.replace('"seq":3', '"seq":70000'),
    good.replace('"AAEC"', '"A-EC"'),
  ];
  for (const text of wrong) {
    expect(() => parseTrace(text, 'bad.jsonl'), text).toThrow(
      expect.objectContaining({ code: 'FILE_INVALID' }) as Error,
    );
  }
  expect(() => parseTrace(good.replace('"seq":3', '"seq":70000'), 'bad.jsonl')).toThrow(
    /Line 6 of the trace bad\.jsonl/,
  );
  await expect(start({ trace: join(folder, 'missing.jsonl') })).rejects.toMatchObject({ code: 'FILE_FAILED' });
});

// Packets lost by unwrapping the numbers of each file.
describe.each(TRACES.map((file) => [titleOf(file), file] as const))('%s', (_, file) => {
  test.skipIf(!file.present)('is read whole', () => {
    const { packets } = readTrace(file);
    const trace = loadTrace(file.path);
    const track = new TraceTrack(trace);
    const indices = new Set<number>();
    track.run(1e12, (index) => indices.add(index));
    expect(trace.format.codec).toBe(file.codec);
    expect(packets).toHaveLength(file.packets);
    expect(track.due - indices.size).toBe(file.lost);
    expect(indices.size).toBe(new Set(packets.map(({ seq }) => seq)).size);
  });
});

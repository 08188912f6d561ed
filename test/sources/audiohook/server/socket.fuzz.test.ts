import { connect } from 'node:net';
import process from 'node:process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { requestHeaders } from '../../../../src/simulator/audiohook/protocol-faults.js';
import { STEREO, uuid } from '../../../support/audiohook/raw-call.js';
import { expectRecorded } from '../../../support/audiohook/recorded.js';
import { type Rig, rig, SECRET } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

/** One WebSocket frame, or what looks like one (RFC 6455 section 5.2). */
interface Frame {
  readonly fin: boolean;
  readonly reserved: number;
  readonly opcode: number;
  readonly isMasked: boolean;
  /** What the header claims beyond the payload that follows. */
  readonly lie: number;
  /** Bytes of the length field, which may be more than are needed. */
  readonly width: 0 | 2 | 8;
  readonly payload: Uint8Array;
}

interface Visit {
  /** Says a proper open first, so that the session is a call. */
  readonly opens: boolean;
  readonly parts: readonly (Frame | Uint8Array)[];
  /** Where the bytes are cut into writes. */
  readonly cut: number;
  /** Hangs up without a word, or waits for the server to. */
  readonly leaves: boolean;
}

// The seed of a failure is in its message.
const RUNS = Number(process.env['TRUNKLINE_FUZZ_RUNS'] ?? 300);
/** At a time: most of what a round takes is waiting for visitors who never answer. */
const VISITORS = 50;

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom('{}', '{"version":"2"', '[]', '\ud800').map((text) => new Uint8Array(Buffer.from(text))),
  fc.constantFrom(125, 126, 65_535, 65_536).map((length) => new Uint8Array(length)),
);
const frame: fc.Arbitrary<Frame> = fc.record({
  fin: fc.boolean(),
  reserved: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 7 }) }),
  opcode: fc.oneof(fc.constantFrom(0, 1, 2, 8, 9, 10), fc.nat({ max: 15 })),
  isMasked: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  lie: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(1, 2 ** 20, 2 ** 40) },
  ),
  width: fc.constantFrom<0 | 2 | 8>(0, 0, 2, 8),
  payload,
});
const visit: fc.Arbitrary<Visit> = fc.record({
  opens: fc.boolean(),
  parts: fc.array(
    fc.oneof({ weight: 8, arbitrary: frame }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) }),
    { maxLength: 12 },
  ),
  cut: fc.constantFrom(1, 7, 1_000, 1_000_000),
  leaves: fc.boolean(),
});

function written({ fin, reserved, opcode, isMasked, lie, width, payload }: Frame): Buffer {
  const length = payload.length + lie;
  const needed = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const bytes = Math.max(width, needed);
  const header = Buffer.alloc(2 + bytes + (isMasked ? 4 : 0));
  header[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  header[1] = (isMasked ? 0x80 : 0) | (bytes === 8 ? 127 : bytes === 2 ? 126 : length);
  if (bytes === 2) header.writeUInt16BE(length, 2);
  if (bytes === 8) header.writeBigUInt64BE(BigInt(length), 2);
  if (!isMasked) return Buffer.concat([header, payload]);
  const mask = [0x12, 0x34, 0x56, 0x78];
  header.set(mask, header.length - 4);
  return Buffer.concat([header, payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

function textFrame(text: string): Buffer {
  const payload = new Uint8Array(Buffer.from(text));
  return written({ fin: true, reserved: 0, opcode: 1, isMasked: true, lie: 0, width: 0, payload });
}

/** Connects properly, then sends what it is told; resolves when the connection is over. */
function pay({ port, url }: Rig, { opens, parts, cut, leaves }: Visit): Promise<void> {
  const [sessionId, organizationId] = [uuid(), uuid()];
  const identity = { url: new URL(url), organizationId, sessionId, correlationId: uuid(), apiKey: 'key' };
  const headers = Object.entries(requestHeaders({ ...identity, clientSecret: SECRET }, Date.now()));
  const request = [
    `GET /audiohook/ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket`,
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13',
    ...headers.map(([name, value]) => `${name}: ${String(value)}`),
  ];
  const parameters = { organizationId, conversationId: uuid(), participant: { id: uuid() }, media: [STEREO] };
  const open = { version: '2', id: sessionId, type: 'open', seq: 1, serverseq: 0, position: 'PT0S', parameters };
  const bytes = Buffer.concat([
    ...(opens ? [textFrame(JSON.stringify(open))] : []),
    ...parts.map((part) => ('opcode' in part ? written(part) : part)),
  ]);
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${request.join('\r\n')}\r\n\r\n`));
    socket.setNoDelay(true);
    socket.once('data', () => {
      // Many writes of one byte are one segment all the same, unless there are turns in between.
      const writes = cut === 1 ? 200 : Math.ceil(bytes.length / cut);
      const size = Math.max(1, Math.ceil(bytes.length / Math.max(1, writes)));
      let at = 0;
      const next = (): void => {
        if (socket.destroyed) return;
        if (at >= bytes.length) {
          if (leaves) socket.destroy();
          return;
        }
        socket.write(bytes.subarray(at, at + size));
        at += size;
        setImmediate(next);
      };
      next();
    });
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}

it('whatever bytes come over a socket: no exception, every connection ends, and the call beside them is whole', async () => {
  const timing = { openWaitUs: 1_500_000, pingWaitUs: 1_500_000, closeWaitUs: 500_000, hangUpWaitUs: 500_000 };
  const one = await rig({ timing, lossWindowMs: 50, limits: { messageBytes: 1 << 17 } });
  const stop = new AbortController();
  const good = one.call({ seconds: 600, frameMs: 20, speed: 1, pingSeconds: 0.05, signal: stop.signal });
  await until(() => one.server.counters().totals.pings > 0, 'the good call');
  const visits = fc.array(visit, { minLength: VISITORS, maxLength: VISITORS });
  await fc.assert(
    fc.asyncProperty(visits, async (several) => {
      await Promise.all(several.map((each) => pay(one, each)));
      expect(one.errors).toEqual([]);
      expect(one.server.counters()).toMatchObject({ internalErrors: 0, rejected: {} });
    }),
    { numRuns: Math.ceil(RUNS / VISITORS), endOnFailure: true },
  );
  await until(() => one.server.counters().sessionsLive === 1, 'all visitors to be gone');
  stop.abort();
  const [book] = (await good).calls;
  expect(book).toMatchObject({ outcome: 'closed', violations: [], sessionIds: [expect.any(String)] });
  if (book !== undefined) expectRecorded(one.ingest, book);
  expect(book?.disconnect).toBeUndefined();
  await until(() => one.server.counters().sessionsLive === 0, 'the last summary');
  expect(one.ended.filter(({ fault }) => fault?.kind === 'protocol').length).toBeGreaterThan(RUNS / 10);
  expect(one.ended.every(({ endReason, fault }) => fault === undefined || endReason !== 'ended')).toBe(true);
}, 90_000);

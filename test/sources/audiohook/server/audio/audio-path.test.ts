import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ManualClock } from '../../../../../src/core/clock.js';
import { nativeDeinterleaver } from '../../../../../src/native/deinterleaver.js';
import { requestHeaders } from '../../../../../src/simulator/audiohook/protocol-faults.js';
import { AudioHookSession } from '../../../../../src/sources/audiohook/session/session.js';
import { STEREO, uuid } from '../../../../support/audiohook/raw-call.js';
import { type Rig, rig, SECRET } from '../../../../support/audiohook/server-rig.js';
import { hasOpenssl, makeCertificate } from '../../../../support/certificate.js';
import { type FrameForm, frame, OPCODE } from '../../../../support/genesys/frames.js';
import { until } from '../../../../support/until.js';

const NOW_MS = 1_700_000_000_000;
const MESSAGE_BYTES = 100_000;
const TURNS = 3;
const RUNS = Number(process.env['TRUNKLINE_FUZZ_RUNS'] ?? 30);
const FRAME_BYTES = 3_200;

/** What a client sends: a message names its session, and is numbered. */
type Part = (sessionId: string, nextSeq: () => number) => Buffer;

interface Script {
  readonly parts: readonly Part[];
  readonly media?: object;
  /** Where the bytes of all parts are cut into writes. */
  readonly cuts: readonly number[];
  /** The connection ends with them, without a word. */
  readonly isBroken?: boolean;
}

const folder = mkdtempSync(join(tmpdir(), 'trunkline-audio-path-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Frames that went past ws since the test began. */
const wholeBinary = vi.spyOn(AudioHookSession.prototype, 'wholeBinary');
const taken = (): number => wholeBinary.mock.results.filter(({ value }) => value === true).length;
beforeEach(() => {
  wholeBinary.mockClear();
});

const NATIVE = nativeDeinterleaver({ bytes: Buffer.from(new SharedArrayBuffer(8)) }) !== undefined;

/** Servers that are to make the same of the same bytes: by ws alone, and by the audio path with either backend. */
async function servers(isSecure = false): Promise<Rig[]> {
  const pair = isSecure ? makeCertificate(folder) : undefined;
  // The length of a pause at the end is that of the clock.
  const clock = new ManualClock(0, NOW_MS);
  const options = {
    clock,
    limits: { messageBytes: MESSAGE_BYTES },
    ...(pair && { tls: { cert: pair.cert, key: pair.key } }),
  };
  return await Promise.all([
    rig(options, () => ({ audioByWs: true })),
    rig(options),
    ...(NATIVE ? [rig(options, ({ ordered }) => ({ deinterleaver: nativeDeinterleaver(ordered) }))] : []),
  ]);
}

/** A frame as a client sends it, masked unless the form says otherwise. */
function masked(payload: Uint8Array, form: FrameForm, mask = [0x12, 0x00, 0xf7, 0x80]): Buffer {
  const isMasked = form.masked ?? true;
  const bytes = frame(payload, { ...form, masked: isMasked });
  if (!isMasked) return bytes;
  const at = bytes.length - payload.length;
  bytes.set(mask, at - 4);
  for (let i = 0; i < payload.length; i++) bytes[at + i] = (payload[i] as number) ^ (mask[i & 3] as number);
  return bytes;
}

function samples(length: number, n = 0): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + n * 7 + (i >> 8)) & 0xff));
}

const audio =
  (length = FRAME_BYTES, n = 0): Part =>
  () =>
    masked(samples(length, n), { opcode: OPCODE.BINARY }, [n, 0x80, 0x7f, length & 0xff]);

const message =
  (type: string, parameters: object = {}): Part =>
  (id, nextSeq) =>
    masked(
      Buffer.from(
        JSON.stringify({ version: '2', id, type, seq: nextSeq(), serverseq: 0, position: 'PT0S', parameters }),
      ),
      { opcode: OPCODE.TEXT },
    );

/** Connects, opens a session and plays the script; what became of it, without what differs from call to call. */
async function play(one: Rig, { parts, cuts, media = STEREO, isBroken = false }: Script): Promise<object> {
  const [sessionId, organizationId, conversationId] = [uuid(), uuid(), uuid()];
  const url = new URL(one.url);
  const isSecure = url.protocol === 'wss:';
  const identity = { url, organizationId, sessionId, correlationId: uuid(), apiKey: 'key' };
  const headers = Object.entries(requestHeaders({ ...identity, clientSecret: SECRET }, NOW_MS));
  const request = [
    `GET /audiohook/ws HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket`,
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13',
    ...headers.map(([name, value]) => `${name}: ${String(value)}`),
  ];
  const parameters = { organizationId, conversationId, participant: { id: uuid() }, media: [media] };
  let seq = 0;
  const nextSeq = (): number => ++seq;
  const open = message('open', parameters)(sessionId, nextSeq);
  const bytes = Buffer.concat(parts.map((part) => part(sessionId, nextSeq)));
  const before = one.ended.length;
  const answers: Buffer[] = [];
  const socket: Socket = isSecure
    ? tlsConnect({ port: one.port, host: '127.0.0.1', rejectUnauthorized: false })
    : connect(one.port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('data', (part: Buffer) => answers.push(part));
  socket.on('error', () => {});
  socket.write(`${request.join('\r\n')}\r\n\r\n`);
  await until(() => answers.length > 0, 'the upgrade');
  answers.length = 0;
  socket.write(open);
  await until(() => answers.length > 0, 'opened');
  answers.length = 0;
  let at = 0;
  for (const cut of [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]) {
    if (socket.destroyed) break;
    if (cut > at) socket.write(bytes.subarray(at, cut));
    at = Math.max(at, cut);
    // Client and server share one event loop: a few turns later this has been read.
    for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
  }
  if (isBroken) socket.destroy();
  else socket.end();
  await until(() => one.ended.length > before, 'the end');
  const { endReason, fault, positionSamples, counts, droppedSamples, throttled, stalls, closeReason } = one.ended.at(
    -1,
  ) as Rig['ended'][0];
  const { channels, marks, problems } = one.ingest.streams.at(-1) as Rig['ingest']['streams'][0];
  return {
    ...{ endReason, fault, positionSamples, counts, droppedSamples, throttled, stalls, closeReason },
    ...{ channels: [...channels], marks, problems, errors: [...one.errors] },
    // What answers a broken connection may be lost with it.
    answers: isBroken ? '' : Buffer.concat(answers).toString('latin1').replaceAll(sessionId, 'session'),
  };
}

async function expectSame(rigs: readonly Rig[], script: Script): Promise<{ counts: { samplesKept: number } }> {
  const [byWs, ...others] = await Promise.all(rigs.map((one) => play(one, script)));
  for (const other of others) expect(other).toEqual(byWs);
  return byWs as { counts: { samplesKept: number } };
}

const eight: Part[] = Array.from({ length: 8 }, (_, n) => audio(FRAME_BYTES, n));

test('audio goes past ws, wherever reads cut it', async () => {
  const rigs = await servers();
  const size = FRAME_BYTES + 8;
  const byte = Array.from({ length: 20 }, (_, at) => at);
  for (const cuts of [[], [1], [2], [3], [4], [7], [8], [9], [size], [size - 1, size + 1], [100, 101, 7_000], byte]) {
    wholeBinary.mockClear();
    const { counts } = await expectSame(rigs, { parts: eight, cuts });
    expect(counts.samplesKept).toBe(8 * (FRAME_BYTES / 2));
    expect(taken(), `cut at ${cuts}`).toBe(8 * (rigs.length - 1));
  }
});

test('what ends a connection does so all the same, and nothing behind it counts', async () => {
  const rigs = await servers();
  const bad: Record<string, Part> = {
    'a close': () => masked(Buffer.from([0x03, 0xe8, 0x62]), { opcode: OPCODE.CLOSE }),
    'a frame without a mask': () => masked(samples(320), { opcode: OPCODE.BINARY, masked: false }),
    'a reserved bit': () => masked(samples(320), { opcode: OPCODE.BINARY, reserved: 0x40 }),
    'an unknown opcode': () => masked(samples(320), { opcode: 3 }),
    'a continuation of nothing': () => masked(samples(320), { opcode: OPCODE.CONTINUATION }),
    'a fragmented ping': () => masked(samples(2), { opcode: OPCODE.PING, fin: false }),
    'a message beyond the limit': () => masked(samples(MESSAGE_BYTES + 1), { opcode: OPCODE.BINARY }),
    'a length that no memory has': () => Buffer.from([0x82, 0xff, ...Array.from({ length: 12 }, () => 0xff)]),
    'fragments beyond it': () =>
      Buffer.concat([
        masked(samples(60_000), { opcode: OPCODE.BINARY, fin: false }),
        masked(samples(60_000), { opcode: OPCODE.CONTINUATION }),
      ]),
    'a whole message within a fragmented one': () =>
      Buffer.concat([
        masked(samples(320), { opcode: OPCODE.BINARY, fin: false }),
        masked(samples(320), { opcode: OPCODE.BINARY }),
      ]),
    'a message out of sequence': (id) => message('ping')(id, () => 9),
    'no message': () => masked(samples(20), { opcode: OPCODE.TEXT }),
  };
  for (const [what, part] of Object.entries(bad)) {
    const parts = [audio(), audio(), part, audio(), audio()];
    for (const cuts of [[], [2 * (FRAME_BYTES + 8) + 1]]) {
      const { counts } = await expectSame(rigs, { parts, cuts });
      expect(counts.samplesKept, what).toBe(FRAME_BYTES);
    }
  }
});

const L16 = { ...STEREO, format: 'L16', rate: 16_000 };
const media = fc.constantFrom(
  STEREO,
  { ...STEREO, channels: ['internal', 'external'] },
  { ...STEREO, channels: ['external'] },
  L16,
  { ...L16, channels: ['internal'] },
);
const part: fc.Arbitrary<Part> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.constantFrom(320, 640, 1_280, 1_600, FRAME_BYTES, 3_202, 12_800), fc.nat(99))
      .map(([length, n]) => audio(length, n)),
  },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 90, 6_400, 70_000).map((length) => audio(length)) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('ping', 'paused', 'resumed', 'discarded', 'update', 'nothing')
      .map((type) => message(type, { start: 'PT0S', discarded: 'PT0.5S', language: 'en' })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(OPCODE.PING, OPCODE.PONG).map((opcode) => () => masked(samples(3), { opcode })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<8 | 2>(2, 8)
      .map((lengthBytes) => () => masked(samples(400), { opcode: OPCODE.BINARY, lengthBytes })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(3_000), fc.boolean()).map(
      ([at, hasPing]) =>
        () =>
          Buffer.concat([
            masked(samples(FRAME_BYTES).subarray(0, at), { opcode: OPCODE.BINARY, fin: false }),
            hasPing ? masked(Buffer.alloc(0), { opcode: OPCODE.PING }) : Buffer.alloc(0),
            masked(samples(FRAME_BYTES).subarray(at), { opcode: OPCODE.CONTINUATION }),
          ]),
    ),
  },
);
const cuts = fc.array(fc.nat(30_000), { maxLength: 6 });

async function expectAlways(rigs: readonly Rig[], runs: number, seed: number): Promise<void> {
  const parts = fc.array(part, { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(parts, media, cuts, fc.boolean(), async (given, format, at, isBroken) => {
      await expectSame(rigs, { parts: given, media: format, cuts: at, isBroken });
    }),
    { numRuns: runs, seed },
  );
  expect(taken()).toBeGreaterThan(runs);
}

test('property: the same comes of any frames, cut anywhere', async () => {
  await expectAlways(await servers(), RUNS, 31);
});

test('property: and of damaged ones', async () => {
  const rigs = await servers();
  const damage = fc.array(fc.tuple(fc.nat(8_000), fc.nat(255)), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), damage, cuts, async (given, changes, at) => {
      const damaged: Part = (id, nextSeq) => {
        const bytes = Buffer.concat(given.map((one) => one(id, nextSeq)));
        for (const [place, value] of changes) bytes[place % bytes.length] = value;
        return bytes;
      };
      await expectSame(rigs, { parts: [damaged], cuts: at });
    }),
    { numRuns: RUNS, seed: 32 },
  );
});

describe.skipIf(!hasOpenssl)('over TLS', () => {
  test('property: the same comes of any frames, in records that begin and end anywhere', async () => {
    const rigs = await servers(true);
    await expectAlways(
      rigs.map((one) => ({ ...one, url: one.url.replace('ws:', 'wss:') })),
      Math.ceil(RUNS / 4),
      33,
    );
  });
});

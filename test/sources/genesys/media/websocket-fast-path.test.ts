import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ManualClock } from '../../../../src/core/clock.js';
import { LIMITS } from '../../../../src/core/limits.js';
import { Refusals, zeroCounters } from '../../../../src/sources/genesys/counters.js';
import { InteractionTable } from '../../../../src/sources/genesys/interaction-table.js';
import { PacketIngest } from '../../../../src/sources/genesys/media/packet-ingest.js';
import { WebSocketFastPath } from '../../../../src/sources/genesys/media/websocket-fast-path.js';
import { hasOpenssl, makeCertificate } from '../../../support/certificate.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';
import { frame, OPCODE, textFrame } from '../../../support/genesys/frames.js';

const IDS = ['3f2b8c1e-9d4a-4c55-8e2f-0123456789ab', 'call-7'];
/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TURNS = 3;

interface Script {
  readonly bytes: Buffer;
  readonly cuts: readonly number[];
  /** The connection ends with them, without a word. */
  readonly isBroken?: boolean;
}

const folder = mkdtempSync(join(tmpdir(), 'trunkline-fast-path-'));
const pair = hasOpenssl ? makeCertificate(folder) : undefined;
/** The secure one is left alone without openssl. */
const servers = { ws: createServer(), wss: createTlsServer(pair ?? {}) };
/** How the next client connects. */
let scheme: keyof typeof servers = 'ws';
/** What the next client is sent behind the handshake, and how it is cut up. */
let script: Script;

beforeAll(async () => {
  for (const server of [servers.ws, servers.wss]) {
    server.on('upgrade', (request, socket) => void serve(request, socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
});

afterAll(() => {
  for (const server of [servers.ws, servers.wss]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

async function serve(request: IncomingMessage, socket: Duplex): Promise<void> {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64');
  socket.on('error', () => {});
  socket.resume();
  const { bytes, cuts, isBroken = false } = script;
  const [first = 0, ...others] = cuts;
  const answer = `HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
  let at = 0;
  // What comes up to the first cut comes in one read with the answer.
  for (const cut of [first, ...others, bytes.length]) {
    const part = bytes.subarray(at, Math.max(at, cut));
    socket.write(at === 0 && cut === first ? Buffer.concat([Buffer.from(answer), part]) : part);
    at = Math.max(at, cut);
    // Client and server share one event loop: a few turns later this has been read.
    for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
  }
  if (isBroken) socket.destroy();
  else socket.end();
}

/** What a client makes of the script, by way of the fast path or of ws alone. */
async function outcome(hasFastPath: boolean): Promise<object> {
  const ingest = new FakeIngest(1 << 19);
  const table = new InteractionTable();
  const counters = zeroCounters();
  const seen: unknown[] = [];
  const packetIngest = new PacketIngest(ingest, new ManualClock(), counters, {
    control: (_table, message) => seen.push(message),
    refusals: new Refusals(counters),
  });
  for (const id of IDS) {
    const slot = table.add({
      id,
      takePacket: () => {
        table.set(slot, { stream: slot, codec: 0, channels: 2, flowing: true });
        return true;
      },
    });
  }
  const fastPath = new WebSocketFastPath(packetIngest, table);
  const { port } = servers[scheme].address() as AddressInfo;
  const socket = new WebSocket(`${scheme}://127.0.0.1:${port}`, {
    ...(pair && { ca: pair.cert }),
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: LIMITS.maxMessageBytes,
    ...(hasFastPath && { createConnection: fastPath.connector(scheme === 'wss') }),
  });
  let byWs = 0;
  socket.on('open', () => fastPath.open());
  socket.on('message', (data, isBinary) => {
    byWs++;
    if (isBinary) seen.push(`binary ${(data as Buffer).length}`);
    else packetIngest.message(data as Buffer, table);
  });
  socket.on('ping', (data: Buffer) => seen.push(`ping ${data.toString('latin1')}`));
  socket.on('error', (error) => {
    seen.push((error as NodeJS.ErrnoException).code);
    fastPath.close();
  });
  const { code, reason } = await new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  packetIngest.flush();
  shortened = hasFastPath ? ingest.packets.length > 0 && byWs < ingest.packets.length : shortened;
  return { packets: ingest.packets, counters, seen, code, reason };
}

/** Whether the last client with a fast path got packets by it. */
let shortened = false;

async function expectSame(bytes: Buffer, cuts: readonly number[], isBroken = false): Promise<object> {
  script = { isBroken, bytes, cuts: cuts.filter((cut) => cut <= bytes.length).toSorted((a, b) => a - b) };
  const byWs = await outcome(false);
  expect(await outcome(true)).toEqual(byWs);
  return byWs;
}

function packet(n: number, id = IDS[n % 2], bytes = 160): Buffer {
  const payload = Buffer.alloc(bytes, n).toString('base64');
  return Buffer.from(JSON.stringify({ interactionId: id, sequenceNumber: n, timestamp: n * 160, payload }));
}

const packets = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, n) => textFrame(packet(n))));
const SUBSCRIBED = Buffer.from('{"type":"subscribed","interactions":[]}');

test('takes packets past ws, wherever reads cut them', async () => {
  const bytes = packets(8);
  const one = bytes.length / 8;
  for (const cuts of [[0], [0, 1], [0, 2], [0, 3], [0, 4], [0, one], [0, one - 1, one + 1], [0, 100, 101, 102, 700]]) {
    const { packets: taken } = (await expectSame(bytes, cuts)) as { packets: unknown[] };
    expect(taken).toHaveLength(8);
    expect(shortened, `cut at ${cuts}`).toBe(true);
  }
});

test('byte by byte', async () => {
  await expectSame(
    packets(2),
    Array.from({ length: 700 }, (_, at) => at),
  );
  expect(shortened).toBe(true);
});

test('leaves all to ws when frames come together with the answer to the handshake', async () => {
  await expectSame(packets(4), [50, 400]);
  expect(shortened).toBe(false);
});

test('the order of packets and messages stands', async () => {
  const parts = [
    textFrame(packet(0)),
    textFrame(SUBSCRIBED),
    textFrame(packet(1)),
    frame(Buffer.from('x'), { opcode: OPCODE.PING }),
  ];
  const { seen } = (await expectSame(Buffer.concat([...parts, ...parts]), [0])) as { seen: unknown[] };
  expect(seen).toEqual([
    { kind: 'subscribed', interactions: [] },
    'ping x',
    { kind: 'subscribed', interactions: [] },
    'ping x',
  ]);
});

test.each<[string, Buffer]>([
  ['a close', frame(Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65]), { opcode: OPCODE.CLOSE })],
  ['a masked frame', frame(packet(2), { opcode: OPCODE.TEXT, masked: true })],
  ['a reserved bit', frame(packet(2), { opcode: OPCODE.TEXT, reserved: 0x40 })],
  ['an unknown opcode', frame(packet(2), { opcode: 3 })],
  ['a continuation of nothing', frame(packet(2), { opcode: OPCODE.CONTINUATION })],
  ['a fragmented ping', frame(Buffer.alloc(0), { opcode: OPCODE.PING, fin: false })],
  ['a ping longer than any may be', frame(Buffer.alloc(126), { opcode: OPCODE.PING })],
  ['a message beyond the limit', frame(Buffer.alloc(LIMITS.maxMessageBytes + 1, 0x20), { opcode: OPCODE.TEXT })],
  ['a length that no memory has', Buffer.from([0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  [
    'a whole message within a fragmented one',
    Buffer.concat([frame(packet(2), { opcode: OPCODE.TEXT, fin: false }), textFrame(packet(3))]),
  ],
])('what ends a connection does so all the same, and nothing behind it counts: %s', async (_what, bad) => {
  const bytes = Buffer.concat([packets(2), bad, packets(3)]);
  for (const cuts of [[0], [0, packets(2).length + 1], [0, 40, packets(2).length + bad.length]]) {
    const { packets: taken } = (await expectSame(bytes, cuts)) as { packets: unknown[] };
    expect(taken).toHaveLength(2);
  }
});

const part = fc.oneof(
  { weight: 6, arbitrary: fc.nat(99).map((n) => textFrame(packet(n))) },
  { weight: 1, arbitrary: fc.nat(99).map((n) => textFrame(packet(n, 'nobody'))) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 5_000).map((n) => textFrame(packet(n, IDS[0], n))) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(SUBSCRIBED, Buffer.from('{}'), Buffer.from('')).map((text) => textFrame(text)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(OPCODE.PING, OPCODE.PONG).map((opcode) => frame(Buffer.from('p'), { opcode })),
  },
  { weight: 1, arbitrary: fc.constant(frame(Buffer.alloc(200, 7), { opcode: OPCODE.BINARY })) },
  { weight: 1, arbitrary: fc.nat(99).map((n) => frame(packet(n), { opcode: OPCODE.TEXT, lengthBytes: 8 })) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(99), fc.nat(200), fc.boolean()).map(([n, at, hasPing]) => {
      const whole = packet(n);
      return Buffer.concat([
        frame(whole.subarray(0, at), { opcode: OPCODE.TEXT, fin: false }),
        hasPing ? frame(Buffer.alloc(0), { opcode: OPCODE.PING }) : Buffer.alloc(0),
        frame(whole.subarray(at), { opcode: OPCODE.CONTINUATION }),
      ]);
    }),
  },
);

test('property: with the fast path or without, the same comes of any frames, cut anywhere', async () => {
  const cuts = fc.array(fc.nat(4_000), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 12 }), cuts, async (parts, at) => {
      await expectSame(Buffer.concat(parts), [0, ...at]);
    }),
    { numRuns: 150, seed: 11 },
  );
});

test('property: so it does of damaged ones', async () => {
  const damage = fc.array(fc.tuple(fc.nat(3_000), fc.nat(255)), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 8 }),
      damage,
      fc.nat(3_000),
      async (parts, changes, cut) => {
        const bytes = Buffer.concat(parts);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        await expectSame(bytes, [0, cut]);
      },
    ),
    { numRuns: 150, seed: 12 },
  );
});

test('property: and of connections that end within a frame', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 6 }),
      fc.nat(3_000),
      fc.nat(3_000),
      async (parts, end, cut) => {
        const bytes = Buffer.concat(parts);
        await expectSame(bytes.subarray(0, end % bytes.length), [0, cut], true);
      },
    ),
    { numRuns: 60, seed: 13 },
  );
});

describe.skipIf(pair === undefined)('over TLS', () => {
  beforeAll(() => {
    scheme = 'wss';
  });
  afterAll(() => {
    scheme = 'ws';
  });

  test('takes packets past ws as well', async () => {
    const bytes = packets(8);
    for (const cuts of [[0], [0, 1], [0, 3], [0, 100, 101, 102, 700]]) {
      const { packets: taken } = (await expectSame(bytes, cuts)) as { packets: unknown[] };
      expect(taken).toHaveLength(8);
      expect(shortened, `cut at ${cuts}`).toBe(true);
    }
  });

  test('leaves to ws what comes in one record with the answer to the handshake', async () => {
    for (const first of [1, 50, packets(4).length]) {
      const { packets: taken } = (await expectSame(packets(4), [first])) as { packets: unknown[] };
      expect(taken).toHaveLength(4);
      expect(shortened).toBe(false);
    }
  });

  test('takes frames that fill records and reads to the brim', async () => {
    const bytes = packets(600);
    expect(((await expectSame(bytes, [0])) as { packets: unknown[] }).packets).toHaveLength(600);
  });

  test('property: the same comes of any frames, in records that begin and end anywhere', async () => {
    const cuts = fc.array(fc.nat(4_000), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 12 }), cuts, fc.boolean(), async (parts, at, isBroken) => {
        await expectSame(Buffer.concat(parts), [0, ...at], isBroken);
      }),
      { numRuns: 60, seed: 14 },
    );
  });
});

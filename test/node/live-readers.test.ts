import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/core/limits.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';

const CALLS = 50;
const SECONDS = 4;

let out: string;
let simulator: Simulator;
let node: CaptureNode;
let server: Server;
/** What the next connection is sent. */
let source: () => Readable;
/** The server's ends of the connections, in order. */
let served: Socket[];

beforeEach(async () => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-readers-'));
  simulator = await startSimulator({ interactions: CALLS, codec: 'l16', seconds: SECONDS });
  const { apiUrl, mediaUrl, interactionIds } = simulator;
  node = new CaptureNode({
    record: true,
    ...{ apiUrl, mediaUrl, clientId: 'test', clientSecret: 'test', interactions: [...interactionIds] },
    ...{ out, codecs: ['l16'], maxStreams: 64, silenceThreshold: 0.001 },
  });
  served = [];
  server = createServer((socket) => {
    served.push(socket);
    pipeline(source(), socket, () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  await node.stop();
  await simulator.close();
  server.close();
  for (const socket of served) socket.destroy();
  rmSync(out, { recursive: true, force: true });
});

/** A reader over a real socket. */
async function reader(of: () => Readable): Promise<Socket> {
  source = of;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  const count = served.length;
  await expect.poll(() => served.length).toBe(count + 1);
  return socket;
}

describe('readers of live streams over sockets', () => {
  it('that do not read, or vanish within a line, cost memory within a bound and nobody else anything', async () => {
    // What the kernel holds for him comes on top of it: some megabytes.
    const deaf = node.monitor({ includeSilent: true, bufferBytes: 20_000 });
    const deafReader = (await reader(() => deaf)).pause();
    const vanishing = node.monitor({ includeSilent: true });
    const vanishingReader = await reader(() => vanishing);
    const whole = node.monitor({ includeSilent: true });
    const lines: string[] = [];
    const wholeReader = await reader(() => whole);
    wholeReader.setEncoding('utf8').on('data', (text: string) => lines.push(text));
    const ended = once(wholeReader, 'close');
    const received: Buffer[] = [];
    const [id = ''] = simulator.interactionIds;
    node.on('streamOpened', ({ interactionId }) => {
      if (interactionId !== id) return;
      // One that is never read, beside one that is.
      node.listen(id);
      node.listen(id).on('data', (bytes: Buffer) => received.push(bytes));
    });
    await node.start();
    const [first] = (await once(vanishingReader, 'data')) as [Buffer];
    expect(first.length).toBeGreaterThan(0);
    vanishingReader.resetAndDestroy();
    await expect.poll(() => vanishing.destroyed).toBe(true);
    await node.untilIdle();
    await node.stop();
    expect(deaf.readableLength).toBeLessThanOrEqual(20_000);
    expect(vanishing.readableLength).toBeLessThanOrEqual(LIMITS.monitorBufferBytes);
    expect(deaf.droppedFrames).toBeGreaterThan(0);
    await ended;
    const parsed = lines
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { sequenceNumber: number });
    expect(parsed).toHaveLength(CALLS * SECONDS * 50);
    expect(whole.droppedFrames).toBe(0);
    expect(node.summary()).toMatchObject({ packetsReceived: CALLS * SECONDS * 50, packetsLost: 0, packetsDropped: 0 });
    expect(Buffer.concat(received).equals(readFileSync(join(out, id, 'audio.wav')).subarray(44))).toBe(true);
    deafReader.destroy();
  }, 60_000);
});

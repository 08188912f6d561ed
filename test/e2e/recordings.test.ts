import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CaptureNode } from '../../src/node/capture-node.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { oggOpus } from '../support/ogg-opus.js';
import { TurnClock } from '../support/turn-clock.js';

// The full run of 200 calls and 60 s is for CI; the same test, smaller, is for everyone.
const FULL = process.env['TRUNKLINE_E2E'] === 'full';
const CALLS = FULL ? 200 : 20;
const SECONDS = FULL ? 60 : 4;
const IMPAIRED_SECONDS = FULL ? 20 : 4;
/** How many times faster than real time, where the machine can. */
const SPEED = 3;
const TIMEOUT_MS = FULL ? 400_000 : 120_000;

const hasFfmpeg = spawnSync('ffmpeg', ['-hide_banner', '-decoders'], { encoding: 'utf8' }).stdout?.includes('libopus');

let out: string;
let simulator: Simulator | undefined;
let node: CaptureNode | undefined;
let clock: TurnClock;

beforeEach(() => {
  clock = new TurnClock(SPEED);
  out = mkdtempSync(join(tmpdir(), 'trunkline-e2e-'));
});

afterEach(async () => {
  await node?.stop();
  await simulator?.close();
  clock.stop();
  node = undefined;
  simulator = undefined;
  rmSync(out, { recursive: true, force: true });
});

interface Sent {
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: Buffer;
}

async function captureAll(options: SimulatorOptions): Promise<{ simulator: Simulator; node: CaptureNode }> {
  const { interactions = CALLS, channels = 1 } = options;
  simulator = await startSimulator({ interactions, codec: 'mixed', seconds: SECONDS, ...options }, clock);
  const settings = {
    record: true,
    apiUrl: simulator.apiUrl,
    mediaUrl: simulator.mediaUrl,
    clientId: 'test',
    clientSecret: 'test',
    interactions: [...simulator.interactionIds],
    out,
    opusSampleRate: 48_000,
  };
  const one = new CaptureNode(settings, clock);
  node = one;
  // Half a second of all calls: more may not fit into the rings of a thread that a busy machine does not run.
  const backlogPackets = interactions * channels * 25;
  clock.isBehind = () => {
    const { packetsReceived, packetsLost, framesDecoded } = one.summary();
    return packetsReceived + packetsLost - framesDecoded > backlogPackets;
  };
  await one.start();
  await one.untilIdle();
  await one.stop();
  return { simulator, node: one };
}

/** What the simulator's ledger says it sent of one interaction, in order, each number once. */
async function sentPackets(apiUrl: string, interactionId: string): Promise<Sent[]> {
  const response = await fetch(`${apiUrl}/books/${interactionId}/packets`);
  const packets = (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [sequence, timestamp, payload] = JSON.parse(line) as [number, number, string];
      return { sequence, timestamp, payload: Buffer.from(payload, 'base64') };
    });
  return packets;
}

/** Data of a WAV file with the plain header of 44 bytes that recordings have. */
function wavSamples(file: string): { sampleRate: number; channels: number; data: Buffer } {
  const bytes = readFileSync(file);
  expect(bytes.toString('latin1', 0, 4) + bytes.toString('latin1', 8, 16)).toBe('RIFFWAVEfmt ');
  expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8);
  expect(bytes.readUInt32LE(40)).toBe(bytes.length - 44);
  return { sampleRate: bytes.readUInt32LE(24), channels: bytes.readUInt16LE(22), data: bytes.subarray(44) };
}

function session(interactionId: string) {
  return manifestSchema.parse(JSON.parse(readFileSync(join(out, interactionId, 'session.json'), 'utf8')));
}

/** G.711 by its formulas (ITU-T G.711 tables 1a and 2a), written out apart from the product's tables. */
function decodePlain(codec: string, payload: Buffer): Buffer {
  if (codec === 'l16') return Buffer.from(payload).swap16();
  const pcm = Buffer.alloc(payload.length * 2);
  payload.forEach((code, i) => {
    pcm.writeInt16LE(codec === 'pcmu' ? ulaw(code) : alaw(code), i * 2);
  });
  return pcm;
}

function ulaw(code: number): number {
  const u = ~code & 0xff;
  const magnitude = ((((u & 0x0f) << 3) + 0x84) << ((u & 0x70) >> 4)) - 0x84;
  return u & 0x80 ? -magnitude : magnitude;
}

function alaw(code: number): number {
  const a = code ^ 0x55;
  const segment = (a & 0x70) >> 4;
  const mantissa = ((a & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? mantissa : (mantissa + 0x100) << (segment - 1);
  return a & 0x80 ? magnitude : -magnitude;
}

/** At 48 kHz, each packet's 20 ms where its timestamp says; silence where discontinuous transmission sent none. */
function decodeOpus(packets: readonly Sent[]): Buffer {
  const pcm = decodeOpusByFfmpeg(packets.map(({ payload }) => payload));
  const first = packets[0]?.timestamp ?? 0;
  const line = Buffer.alloc(SECONDS * 48_000 * 2);
  packets.forEach(({ timestamp }, i) => {
    line.set(pcm.subarray(i * 1920, (i + 1) * 1920), ((timestamp - first) >>> 0) * 2);
  });
  return line;
}

function decodeOpusByFfmpeg(packets: readonly Uint8Array[]): Buffer {
  const { stdout, status, stderr } = spawnSync(
    'ffmpeg',
    ['-hide_banner', '-loglevel', 'error', '-c:a', 'libopus', '-i', 'pipe:0', '-f', 's16le', 'pipe:1'],
    { input: oggOpus(packets), maxBuffer: 1 << 28 },
  );
  if (status !== 0) throw new Error(`ffmpeg: ${stderr.toString()}`);
  return stdout;
}

describe('recordings of calls without loss', () => {
  it(
    'equal an independent decode of what was sent, to the sample',
    async () => {
      for (const { book, packets, data } of await captureUnimpaired({ codec: 'mixed' })) {
        if (book.codec === 'opus') continue;
        expect(packets).toHaveLength(SECONDS * 50);
        const due = Buffer.concat(packets.map(({ payload }) => decodePlain(book.codec, payload)));
        expect(due.equals(data), `${book.codec} recording`).toBe(true);
      }
    },
    TIMEOUT_MS,
  );

  it.skipIf(!hasFfmpeg)(
    'of Opus equal the decode by ffmpeg within one step (needs ffmpeg with libopus)',
    async () => {
      for (const { packets, data, sampleRate } of await captureUnimpaired({ codec: 'opus', interactions: CALLS / 4 })) {
        expect(sampleRate).toBe(48_000);
        const due = decodeOpus(packets);
        expect(due.length).toBe(data.length);
        let worst = 0;
        for (let i = 0; i < due.length; i += 2) {
          worst = Math.max(worst, Math.abs(due.readInt16LE(i) - data.readInt16LE(i)));
        }
        expect(worst).toBeLessThanOrEqual(1);
      }
    },
    TIMEOUT_MS,
  );

  /** Records calls to which nothing happens, checks their manifests, and returns what was sent and what was recorded. */
  async function captureUnimpaired(options: SimulatorOptions) {
    const { simulator } = await captureAll({ keepPackets: true, ...options });
    return Promise.all(
      Object.entries(simulator.ledger().interactions).map(async ([id, book]) => {
        const packets = await sentPackets(simulator.apiUrl, id);
        expect(packets).toHaveLength(book.packets);
        const { sampleRate, channels, data } = wavSamples(join(out, id, 'audio.wav'));
        expect(session(id)).toMatchObject({
          ...{ interactionId: id, codec: book.codec, channels: 1, sampleRate, endReason: 'ended' },
          ...{ packetsReceived: book.packets, packetsLost: 0, packetsLate: 0, decodeErrors: 0 },
        });
        expect(channels).toBe(1);
        expect(data.length).toBe(SECONDS * sampleRate * 2);
        return { book, packets, data, sampleRate };
      }),
    );
  }
});

describe('recordings of impaired calls', () => {
  it.each([1, 2] as const)(
    'have exact counts and keep their length, with %i channel(s)',
    async (channels) => {
      const { simulator, node } = await captureAll({
        seconds: IMPAIRED_SECONDS,
        channels,
        loss: 0.02,
        reorder: 0.03,
        duplicate: 0.01,
        jitterMs: 30,
        seed: 7,
      });
      let lost = 0;
      for (const [id, book] of Object.entries(simulator.ledger().interactions)) {
        const { sampleRate, data } = wavSamples(join(out, id, 'audio.wav'));
        expect({ id, ...session(id) }).toMatchObject({
          id,
          packetsReceived: book.sent,
          packetsLost: book.withheld,
          packetsDuplicate: book.duplicated,
          packetsReordered: book.reordered,
          bytesReceived: book.payloadBytes,
        });
        expect(data.length).toBe(IMPAIRED_SECONDS * sampleRate * 2 * channels);
        lost += book.withheld;
      }
      expect(node.summary()).toMatchObject({ streams: CALLS, packetsLost: lost, decodeErrors: 0, packetsDropped: 0 });
      expect(lost).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

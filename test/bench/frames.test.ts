import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { interactionId } from '../../bench/capacity/load/plan.js';
import { SocketWriter } from '../../bench/capacity/load/socket-writer.js';
import { ConnectionFrames, type Voice } from '../../bench/capacity/subscription/frames.js';
import { firstSequence, firstTimestamp, TickReader } from '../../bench/capacity/subscription/plan.js';
import { type Carrier, Interaction } from '../../src/simulator/genesys/interaction.js';
import { SendQueue } from '../../src/simulator/network/send-queue.js';
import { PACKET_US, SpeechTrack } from '../../src/simulator/sound/track.js';

/** Payloads of different lengths, as Opus has them; the short ones have a frame header of two bytes. */
const PAYLOADS = [['AAAA', 'BBBBBBBB', 'C'.repeat(60)], ['D'.repeat(216)], ['', 'E'.repeat(28)]] as const;
/** A multiple of how many payloads each has, so that the generator's and the simulator's come round alike. */
const SLOTS = 6;

function voice(index: number, firstSequence: number, firstTimestamp: number, ticksPerPacket = 160): Voice {
  const payloads = PAYLOADS[index % 2 === 0 ? 0 : 1];
  return { index, ticksPerPacket, firstSequence, firstTimestamp, payloads, start: index % payloads.length };
}

interface Pair {
  readonly near: Socket;
  /** Everything that has come through, once it is so many bytes. */
  received(bytes: number): Promise<Buffer>;
  close(): void;
}

async function socketPair(): Promise<Pair> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  let length = 0;
  far.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
  });
  return {
    near,
    async received(bytes) {
      while (length < bytes) await once(far, 'data');
      return Buffer.concat(chunks);
    },
    close() {
      far.destroy();
      near.destroy();
      server.close();
    },
  };
}

/** What the ordinary simulator writes for these interactions, one flush in each tick. */
async function simulated(voices: readonly Voice[], ticks: number): Promise<Buffer> {
  const { near, received, close } = await socketPair();
  const queue = new SendQueue(near);
  const carrier: Carrier = {
    isOpen: true,
    sendPacket: (...packet) => queue.pushPacket(...packet),
    interactionTaken: () => {},
    interactionEnded: () => {},
  };
  const interactions = voices.map((one) => {
    const clockRate = one.ticksPerPacket * 50;
    const track = new SpeechTrack({ payloads: one.payloads }, one.start, one, clockRate, Number.POSITIVE_INFINITY);
    const interaction = new Interaction({
      id: interactionId(one.index),
      format: { codec: 'pcmu', clockRate, sampleRate: 8_000, channels: 1 },
      tracks: [track],
      phaseUs: 0,
      keepPackets: true,
      codecInPackets: false,
    });
    interaction.subscribe(carrier, 0);
    return interaction;
  });
  let bytes = 0;
  for (let tick = 0; tick < ticks; tick++) {
    for (const interaction of interactions) interaction.run(tick * PACKET_US, 0);
    queue.flush();
  }
  for (const { sentPackets = [], id } of interactions) {
    for (const { sequence, timestamp, payload } of sentPackets) {
      const text = JSON.stringify({ interactionId: id, sequenceNumber: sequence, timestamp, payload });
      bytes += text.length + (text.length < 126 ? 2 : 4);
    }
  }
  const all = await received(bytes);
  close();
  expect(all).toHaveLength(bytes);
  return all;
}

/** What the load generator writes for the same: through its own writer, which goes past the stream. */
async function generated(voices: readonly Voice[], ticks: number): Promise<Buffer> {
  const { near, received, close } = await socketPair();
  const writer = new SocketWriter(near);
  const frames = new ConnectionFrames(voices, SLOTS);
  let bytes = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const chunk = frames.at(tick);
    bytes += chunk.length;
    expect(writer.write(chunk)).toBe(true);
    // Its memory changes again only when the writer is through with it.
    while (writer.unwritten > 0) await new Promise(setImmediate);
  }
  const all = await received(bytes);
  close();
  return all;
}

it.each([
  ['from numbers of few digits to more', [voice(1, 3, 0), voice(2, 96, 9_000), voice(3, 997, 99_600)]],
  ['over the wrap of 16 bits', [voice(4, 65_530, 5), voice(5, 65_535, 6), voice(6, 65_500, 123_456)]],
  ['over the wrap of 32 bits', [voice(7, 1, 2 ** 32 - 1), voice(8, 2, 2 ** 32 - 961), voice(9, 3, 2 ** 32 - 8_000)]],
  [
    'over both, with steps of Opus',
    [voice(10, 65_528, 2 ** 32 - 9_600, 960), voice(11, 9_990, 999_999_000, 960), voice(12, 65_535, 2 ** 32 - 1, 960)],
  ],
])('writes what the simulator writes, byte for byte, %s', async (_, voices) => {
  const ticks = 240;
  const wanted = await simulated(voices, ticks);
  const got = await generated(voices, ticks);
  expect(got.length).toBe(wanted.length);
  expect(got.equals(wanted)).toBe(true);
});

it('writes what the simulator writes, whatever the numbers are', async () => {
  const numbers = fc.record({
    index: fc.nat(50),
    sequence: fc.oneof(fc.nat(65_535), fc.integer({ min: 65_400, max: 65_535 }), fc.nat(120)),
    timestamp: fc.oneof(fc.nat(2 ** 32 - 1), fc.integer({ min: 2 ** 32 - 20_000, max: 2 ** 32 - 1 }), fc.nat(20_000)),
    step: fc.constantFrom(160, 320, 960),
  });
  const connections = fc.uniqueArray(numbers, { minLength: 1, maxLength: 5, selector: ({ index }) => index });
  await fc.assert(
    fc.asyncProperty(connections, async (some) => {
      const voices = some.map(({ index, sequence, timestamp, step }) => voice(index, sequence, timestamp, step));
      expect((await generated(voices, 60)).equals(await simulated(voices, 60))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

it('is right at any tick, also after some were left out', () => {
  const voices = [voice(0, 65_000, 2 ** 32 - 70_000), voice(1, 0, 0)];
  const frames = new ConnectionFrames(voices, SLOTS);
  const numbersAt = (tick: number): number[][] =>
    [
      ...frames
        .at(tick)
        .toString('latin1')
        .matchAll(/"sequenceNumber":(\d+),"timestamp":(\d+),/g),
    ].map(([, sequence, timestamp]) => [Number(sequence), Number(timestamp)]);
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom(1, SLOTS, 2 * SLOTS), (from, step) => {
      for (const tick of [from, from + step, from + 2 * step]) {
        expect(numbersAt(tick)).toEqual(
          voices.map(({ firstSequence: sequence, firstTimestamp: timestamp, ticksPerPacket }) => [
            (sequence + tick) % 2 ** 16,
            (timestamp + tick * ticksPerPacket) % 2 ** 32,
          ]),
        );
      }
    }),
  );
});

it('uses the same memory again for the same slot, and other memory for the ticks between', () => {
  const frames = new ConnectionFrames([voice(1, 10_000, 1_000_000_000)], 3);
  const memory = (tick: number): ArrayBufferLike => frames.at(tick).buffer;
  const first = memory(0);
  expect(memory(1)).not.toBe(first);
  expect(memory(2)).not.toBe(first);
  expect(memory(3)).toBe(first);
});

it('begins some interactions shortly before a wrap, and tells every tick from the number alone', () => {
  const streams = 4_000;
  const begins = Array.from({ length: streams }, (_, index) => [firstSequence(index), firstTimestamp(index)]);
  for (const [sequence, timestamp] of begins) {
    expect(sequence).toBeGreaterThanOrEqual(0);
    expect(sequence).toBeLessThan(2 ** 16);
    expect(timestamp).toBeGreaterThanOrEqual(0);
    expect(timestamp).toBeLessThan(2 ** 32);
  }
  const nearWrap = begins.filter(([sequence = 0, timestamp = 0]) => sequence > 65_300 && timestamp > 2 ** 32 - 40_000);
  expect(nearWrap.length).toBeGreaterThan(streams / 20);
  expect(nearWrap.length).toBeLessThan(streams / 10);
  const wrapped = new TickReader(streams);
  const unwrapped = new TickReader(streams);
  const wrong: number[] = [];
  for (const index of [0, 1, 4, 3_999]) {
    const first = firstSequence(index);
    for (let tick = 0; tick < 200_000; tick += 7) {
      if (wrapped.tick(index, (first + tick) % 2 ** 16) !== tick) wrong.push(tick);
      if (unwrapped.tick(index, first + tick) !== tick) wrong.push(tick);
    }
  }
  expect(wrong).toEqual([]);
});

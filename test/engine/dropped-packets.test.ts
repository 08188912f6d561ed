import { expect, it } from 'vitest';
import { PacketInput } from '../../src/engine/input/packet-input.js';
import { resolveOptions } from '../../src/engine/options.js';
import { Streams } from '../../src/engine/streams.js';
import { layOutMemory } from '../../src/engine/threads/memory.js';
import { KIND, MARK, RECORD } from '../../src/ring/layout.js';
import { RingConsumer } from '../../src/ring/ring.js';
import { addPacket } from '../support/engine/packets.js';

const SAMPLES = 160;
const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 } as const;
const PAYLOAD = new Uint8Array(SAMPLES);

/** The engine's input with a shard that takes records only when a test says so. */
function stoppedShard() {
  const settings = resolveOptions({ shards: 1, maxStreams: 1, native: 'off', inputRingBytes: 4_096 });
  const memory = layOutMemory(settings.memory);
  const streams = new Streams(1, 1);
  const input = new PacketInput(memory, settings, streams, { wake: () => {}, onPublished: () => {} });
  const stream = streams.open('call', FORMAT, false, 0);
  input.open(stream);
  const [places] = memory.shards;
  if (places === undefined) throw new Error('no shard');
  const ring = new RingConsumer(places.input);
  const { view } = ring;
  /** Packets come in on one channel, and all that is held is released at once. */
  const release = (channel: number, from: number, to: number): void => {
    for (let n = from; n < to; n++) {
      const at = { stream: 0, channel, sequence: n, timestamp: n * SAMPLES, arrivalUs: n * 20_000 };
      addPacket(input.batch, { ...at, payload: PAYLOAD });
    }
    input.flush(stream, to * 20_000);
  };
  /** The shard takes all records; of each, its kind, channel, position and duration, in packets. */
  const take = (): string[] => {
    input.advance(0);
    const taken: string[] = [];
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const kind = view.getUint8(at + RECORD.KIND);
      const channel = view.getUint8(at + RECORD.CHANNEL);
      const position = view.getFloat64(at + RECORD.POSITION, true) / SAMPLES;
      if (kind === KIND.PACKET) taken.push(`${channel}: packet ${position}`);
      if (kind === KIND.MARK) {
        expect(view.getUint8(at + RECORD.FLAGS)).toBe(MARK.NOT_RECORDED);
        taken.push(`${channel}: ${view.getInt32(at + RECORD.DURATION, true) / SAMPLES} dropped from ${position}`);
      }
      if (kind === KIND.CLOSE) taken.push('close');
      ring.release();
    }
    return taken;
  };
  return { input, stream, release, take };
}

it('a mark in front of the next record of the channel says what was dropped', () => {
  const { input, stream, release, take } = stoppedShard();
  release(0, 0, 40);
  const first = take();
  const kept = first.length;
  expect(kept).toBeLessThan(40);
  expect(first.at(-1)).toBe(`0: packet ${kept - 1}`);
  expect(input.countsOf(stream).packetsDropped).toBe(40 - kept);
  release(0, 40, 42);
  expect(take()).toEqual([`0: ${40 - kept} dropped from ${kept}`, '0: packet 40', '0: packet 41']);
});

it('what both channels lack is said before the end of the stream', () => {
  const { input, stream, release, take } = stoppedShard();
  release(0, 0, 40);
  const kept = take().length;
  release(0, 40, 80);
  release(1, 0, 80);
  input.close(stream, {});
  const records = [...take(), ...take(), ...take()];
  expect(records[0]).toBe(`0: ${40 - kept} dropped from ${kept}`);
  const dropped = (channel: number) => expect.stringMatching(new RegExp(`^${channel}: \\d+ dropped from \\d+$`));
  expect(records.slice(-3)).toEqual([dropped(0), dropped(1), 'close']);
});

import { describe, expect, it } from 'vitest';
import type { StreamInfo } from '../../src/core/events.js';
import { RingFrameView } from '../../src/engine/output/frame-view.js';
import { KIND, RECORD, ringBytes } from '../../src/ring/layout.js';
import { RingConsumer, RingProducer } from '../../src/ring/ring.js';

const CAPACITY = 1 << 16;
const INFO: StreamInfo = {
  stream: 0,
  interactionId: 'call',
  codec: 'pcmu',
  clockRate: 8000,
  sampleRate: 8000,
  channels: 1,
  startedAtMs: 0,
};

/** Frames of two rings one behind the other in one memory, as shards put them out; `n` is every sample of the n-th. */
function twoRings() {
  const bytes = ringBytes(CAPACITY);
  const memory = new SharedArrayBuffer(2 * bytes);
  const rings = [0, bytes].map((offset) => {
    const place = { memory, offset, capacity: CAPACITY };
    return {
      producer: new RingProducer(place),
      consumer: new RingConsumer(place),
    };
  });
  const write = (ring: number, n: number, samples: number): boolean => {
    const { producer } = rings[ring] as (typeof rings)[0];
    const at = producer.tryClaim(RECORD.OUTPUT_HEADER_BYTES + samples * 2);
    if (at < 0) return false;
    producer.view.setInt32(at + RECORD.SAMPLE_COUNT, samples, true);
    producer.view.setUint8(at + RECORD.FLAGS, 0);
    producer.view.setUint8(at + RECORD.KIND, KIND.FRAME);
    new Int16Array(memory, at + RECORD.OUTPUT_HEADER_BYTES, samples).fill(n);
    producer.commit(RECORD.OUTPUT_HEADER_BYTES + samples * 2);
    producer.publish();
    return true;
  };
  return { memory, write, consumers: rings.map(({ consumer }) => consumer) };
}

describe('copies of samples', () => {
  it('are right and alone, whatever ring, however rarely asked for, and whatever becomes of the others', () => {
    const { memory, write, consumers } = twoRings();
    const view = new RingFrameView(memory);
    const written: number[][] = [[], []];
    const kept: { copy: Buffer; n: number; samples: number }[] = [];
    let random = 7;
    const next = (below: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (random >>> 8) % below;
    };
    for (let n = 1; n <= 20_000; n++) {
      const ring = next(2);
      const samples = [0, 1, 160, 161, 960][next(5)] as number;
      if (write(ring, n & 0x7fff, samples)) written[ring]?.push(n & 0x7fff);
      if (next(40) > 0) continue;
      for (const [ring, consumer] of consumers.entries()) {
        let share = next(60);
        for (let at = consumer.peek(); at >= 0 && share > 0; at = consumer.peek(), share--) {
          const frame = view.show(at, INFO, consumer.readableEnd());
          const mark = written[ring]?.shift() as number;
          for (let asked = next(3); asked > 0; asked--) {
            kept.push({
              copy: frame.copyPcmBytes(),
              n: mark,
              samples: frame.sampleCount,
            });
          }
          consumer.advance();
          if (share % 16 === 0) consumer.giveBack();
        }
        consumer.giveBack();
      }
      for (const { copy, n: mark, samples: count } of kept.splice(0)) {
        expect(copy.length).toBe(count * 2);
        const samples = new Int16Array(copy.buffer, copy.byteOffset, count);
        expect(samples.every((sample) => sample === mark)).toBe(true);
        // Its owner may do with it as it likes.
        samples.fill(-1);
      }
    }
  });

  it('stay with those who hold them when one of them is sent to a thread', () => {
    const { memory, write, consumers } = twoRings();
    const [consumer] = consumers as [RingConsumer];
    for (let n = 0; n < 3; n++) write(0, n, 160);
    const view = new RingFrameView(memory);
    const copies: Buffer[] = [];
    const { port1, port2 } = new MessageChannel();
    for (let n = 0; n < 3; n++) {
      const copy = view.show(consumer.peek(), INFO, consumer.readableEnd()).copyPcmBytes();
      copies.push(copy);
      // Node 20 sends a copy of what must not be transferred, later versions throw.
      try {
        port1.postMessage(copy, [copy.buffer as ArrayBuffer]);
      } catch (error) {
        expect(error).toMatchObject({ name: 'DataCloneError' });
      }
      consumer.release();
    }
    port1.close();
    port2.close();
    expect(copies.map((copy) => [copy.length, copy.readInt16LE(318)])).toEqual([0, 1, 2].map((n) => [320, n]));
  });

  it('go to memory of the caller, wherever in it and however long they are, and never behind its end', () => {
    const { memory, write, consumers } = twoRings();
    const [consumer] = consumers as [RingConsumer];
    const view = new RingFrameView(memory);
    const buffer = new ArrayBuffer(4_096);
    let n = 0;
    for (const samples of [0, 1, 3, 160, 161, 163]) {
      for (const [start, length, at] of [
        [0, 400, 0],
        [0, 400, 4],
        [0, 400, 3],
        [2, 400, 4],
        [8, 175, 12],
      ] as const) {
        n++;
        write(0, n, samples);
        const whole = new Int16Array(buffer).fill(-1);
        const target = new Int16Array(buffer, start, length);
        expect(view.show(consumer.peek(), INFO, consumer.readableEnd()).copyPcmTo(target, at)).toBe(samples);
        consumer.release();
        const first = start / 2 + at;
        const isCopied = (index: number): boolean => index >= first && index < first + samples;
        expect([...whole]).toEqual(Array.from(whole, (_, index) => (isCopied(index) ? n : -1)));
      }
    }
    write(0, 1, 160);
    const frame = view.show(consumer.peek(), INFO, consumer.readableEnd());
    expect(() => frame.copyPcmTo(new Int16Array(159))).toThrow(RangeError);
    expect(() => frame.copyPcmTo(new Int16Array(320), 164)).toThrow(RangeError);
    expect(() => frame.copyPcmTo(new Int16Array(320), -4)).toThrow(RangeError);
  });
});

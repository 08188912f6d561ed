import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TrunklineError } from '../../src/core/errors.js';
import { alignRecord, KIND, RECORD, ringBytes } from '../../src/ring/layout.js';
import { RingLink } from '../../src/ring/link.js';
import { RingConsumer, type RingPlace, RingProducer } from '../../src/ring/ring.js';

/** A pad record that the consumer has not yet stepped over counts as used, too: what lies before an early one is free. */
const MAX_PAD = 768;

function makeRing(capacity: number, startCursor = 0): RingPlace {
  const place = { memory: new SharedArrayBuffer(128 + ringBytes(capacity)), offset: 128, capacity };
  const words = new Int32Array(place.memory);
  words[place.offset >> 2] = startCursor;
  words[(place.offset + 128) >> 2] = startCursor;
  return place;
}

function write(producer: RingProducer, length: number, mark: number): boolean {
  const at = producer.tryClaim(length);
  if (at < 0) return false;
  producer.view.setUint8(at + RECORD.KIND, KIND.PACKET);
  producer.view.setInt32(at + RECORD.STREAM, mark, true);
  producer.bytes.fill(mark & 0xff, at + RECORD.INPUT_HEADER_BYTES, at + length);
  producer.commit(length);
  return true;
}

function read(consumer: RingConsumer): { mark: number; length: number; intact: boolean } | undefined {
  const at = consumer.peek();
  if (at < 0) return undefined;
  const length = consumer.view.getInt32(at + RECORD.LENGTH, true);
  const mark = consumer.view.getInt32(at + RECORD.STREAM, true);
  const payload = consumer.bytes.subarray(at + RECORD.INPUT_HEADER_BYTES, at + length);
  const intact = payload.every((byte) => byte === (mark & 0xff));
  consumer.release();
  return { mark, length, intact };
}

describe('ring', () => {
  it('gives back every record, whole and in order, whatever their sizes and wherever the cursors wrap', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 56, max: 500 }), fc.constant('read'), fc.constant('publish')), {
          maxLength: 400,
        }),
        fc.integer({ min: -(2 ** 28), max: 2 ** 28 - 1 }).map((n) => n * 8),
        (steps, startCursor) => {
          const place = makeRing(1024, startCursor);
          const producer = new RingProducer(place);
          const consumer = new RingConsumer(place);
          const expected: { mark: number; length: number }[] = [];
          let published = 0;
          let mark = 0;
          for (const step of steps) {
            if (step === 'publish') {
              producer.publish();
              published = expected.length;
            } else if (step === 'read') {
              const got = read(consumer);
              if (published === 0) {
                expect(got).toBeUndefined();
              } else {
                expect(got).toEqual({ ...expected.shift(), intact: true });
                published--;
              }
            } else if (write(producer, step, mark)) {
              expected.push({ mark, length: step });
              mark++;
            } else {
              // Refused for a reason: the record and the rest of the ring before its start would not have fitted.
              const held = expected.reduce((sum, record) => sum + alignRecord(record.length), 0);
              expect(held + 2 * alignRecord(step)).toBeGreaterThan(1024 - MAX_PAD);
            }
          }
          producer.publish();
          for (const record of expected) expect(read(consumer)).toEqual({ ...record, intact: true });
          expect(read(consumer)).toBeUndefined();
          expect(consumer.usedBytes()).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('starts at cursors near 2^31 and 2^32 as anywhere', () => {
    for (const startCursor of [0x7fffff00 | 0, -256, 0x7ffffff8 | 0]) {
      const place = makeRing(1024, startCursor);
      const producer = new RingProducer(place);
      const consumer = new RingConsumer(place);
      for (let mark = 0; mark < 300; mark++) {
        expect(write(producer, 56 + (mark % 200), mark)).toBe(true);
        producer.publish();
        expect(read(consumer)).toEqual({ mark, length: 56 + (mark % 200), intact: true });
      }
    }
  });

  it('refuses a claim when full and takes it again after a release', () => {
    const place = makeRing(1024);
    const producer = new RingProducer(place);
    const consumer = new RingConsumer(place);
    let written = 0;
    while (write(producer, 100, written)) written++;
    expect(written).toBe(9);
    producer.publish();
    expect(producer.tryClaim(100)).toBe(-1);
    consumer.peek();
    consumer.release();
    consumer.peek();
    consumer.release();
    expect(producer.tryClaim(100)).toBeGreaterThan(0);
  });

  it('uses only its first quarter and two batches while the consumer keeps up, and all of it when the consumer does not', () => {
    const place = makeRing(8192);
    const producer = new RingProducer(place);
    const consumer = new RingConsumer(place);
    let highest = 0;
    for (let mark = 0; mark < 1000; mark++) {
      highest = Math.max(highest, producer.tryClaim(64) - place.offset);
      write(producer, 64, mark);
      if (mark % 5 < 4) continue;
      producer.publish();
      while (read(consumer) !== undefined);
    }
    expect(highest).toBeLessThanOrEqual(8192 / 4 + 2 * 5 * 64 + 256);
    expect(consumer.usedBytes()).toBe(0);
    let held = 0;
    while (write(producer, 64, held)) held++;
    expect(held).toBe(8192 / 64);
  });

  it('does not call the rest of the ring usable that it has left out to begin at its front again', () => {
    const place = makeRing(8192);
    const producer = new RingProducer(place);
    const consumer = new RingConsumer(place);
    for (let mark = 0; mark < 40; mark++) {
      write(producer, 64, mark);
      producer.publish();
      // All that comes before the padding is read, and the padding with the first record behind it.
      if (mark < 32) expect(producer.usableBytes()).toBe(8192);
      else expect(producer.usableBytes()).toBe(mark === 32 ? 33 * 64 : 8192);
      while (read(consumer) !== undefined);
    }
  });

  it('refuses a record that could never fit, without a change', () => {
    const producer = new RingProducer(makeRing(1024));
    expect(producer.tryClaim(513)).toBe(-1);
    expect(producer.usedBytes()).toBe(0);
  });

  it('shows nothing before publish, and everything committed after', () => {
    const place = makeRing(1024);
    const producer = new RingProducer(place);
    const consumer = new RingConsumer(place);
    write(producer, 64, 1);
    write(producer, 64, 2);
    expect(consumer.peek()).toBe(-1);
    expect(producer.publish()).toBe(true);
    expect(producer.publish()).toBe(false);
    expect(read(consumer)?.mark).toBe(1);
    expect(read(consumer)?.mark).toBe(2);
  });

  it('lets a new consumer go on at the last released record', () => {
    const place = makeRing(1024);
    const producer = new RingProducer(place);
    for (let mark = 0; mark < 5; mark++) write(producer, 64, mark);
    producer.publish();
    const first = new RingConsumer(place);
    read(first);
    first.peek();
    expect(read(new RingConsumer(place))?.mark).toBe(1);
  });

  it('refuses a capacity that is no power of two', () => {
    expect(() => new RingProducer({ ...makeRing(1024), capacity: 1000 })).toThrow(TrunklineError);
  });
});

describe('ring link', () => {
  it('keeps control records in order and refuses data behind a waiting one', () => {
    const place = makeRing(1024);
    const link = new RingLink(place);
    const consumer = new RingConsumer(place);
    while (write(link.ring, 100, 7));
    const control = new Uint8Array(100);
    const view = new DataView(control.buffer);
    view.setInt32(RECORD.LENGTH, 100, true);
    view.setUint8(RECORD.KIND, KIND.CLOSE);
    view.setInt32(RECORD.STREAM, 42, true);
    link.control(control);
    expect(link.hasWaiting).toBe(true);
    expect(link.tryClaim(56)).toBe(-1);
    link.ring.publish();
    while (read(consumer));
    link.retry();
    link.ring.publish();
    expect(link.hasWaiting).toBe(false);
    expect(link.tryClaim(56)).toBeGreaterThan(0);
    const at = consumer.peek();
    expect(consumer.view.getInt32(at + RECORD.STREAM, true)).toBe(42);
  });
});

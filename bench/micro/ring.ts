import { KIND, RECORD, ringBytes } from '../../src/ring/layout.js';
import { RingConsumer, RingProducer } from '../../src/ring/ring.js';
import type { MicroCase } from './micro-case.js';

const CAPACITY = 1 << 20;
const RECORDS = 1_000;
const PAYLOAD_BYTES = 160;
const RECORD_BYTES = RECORD.INPUT_HEADER_BYTES + PAYLOAD_BYTES;

/** Both sides in one thread: what the steps cost, without what two cores have to tell each other. */
export function ringCases(): MicroCase[] {
  const place = { memory: new SharedArrayBuffer(ringBytes(CAPACITY)), offset: 0, capacity: CAPACITY };
  const producer = new RingProducer(place);
  const consumer = new RingConsumer(place);
  let seen = 0;
  return [
    {
      name: 'ring claim, write and commit; peek, read and release',
      unit: 'record of a PCMU packet',
      steps: RECORDS,
      run() {
        for (let i = 0; i < RECORDS; i++) {
          const at = producer.tryClaim(RECORD_BYTES);
          if (at < 0) throw new Error('The ring is full.');
          producer.view.setUint8(at + RECORD.KIND, KIND.PACKET);
          producer.view.setInt32(at + RECORD.STREAM, i, true);
          producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, PAYLOAD_BYTES, true);
          producer.view.setFloat64(at + RECORD.SEQUENCE, i, true);
          producer.commit(RECORD_BYTES);
        }
        producer.publish();
        for (let at = consumer.peek(); at >= 0; at = consumer.peek()) {
          seen += consumer.view.getInt32(at + RECORD.STREAM, true);
          consumer.release();
        }
        if (seen < 0) throw new Error('The ring gave back what was not put in.');
      },
    },
  ];
}

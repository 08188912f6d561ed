import { AGENT_CONTROL, type Agent } from '../ring/agent.js';
import { RingConsumer } from '../ring/ring.js';
import { STREAM, STREAM_STATE, StreamTable } from '../ring/stream-table.js';
import { WaiterSignal } from '../ring/waiting.js';
import type { ShardBackend } from './backend.js';
import { SHARD_COUNTERS, type ShardData } from './shard-data.js';

/** Records between two looks at the control words; bounds how long a stop or a sleeping reader waits. */
const SHARE = 256;

/**
 * A shard's thread, with either backend: notes at which record the last thread died, has the decoders of its streams
 * rebuilt, and then processes batch after batch.
 */
export class ShardLoop implements Agent {
  readonly #backend: ShardBackend;
  readonly #reader: WaiterSignal;
  readonly #words: Int32Array;
  readonly #counters: number;

  constructor(data: ShardData, backend: ShardBackend) {
    this.#backend = backend;
    this.#reader = new WaiterSignal(data.outputWaiter);
    this.#words = new Int32Array(data.memory);
    this.#counters = data.counters.offset >> 2;
    noteDeath(data);
    this.#rebuild(data);
    Atomics.store(this.#words, this.#counters + (SHARD_COUNTERS.NATIVE >> 2), backend.name === 'native' ? 1 : 0);
  }

  doWork(nowUs: number): number {
    const done = this.#backend.drain(SHARE, nowUs);
    if (done > 0) {
      this.#count(SHARD_COUNTERS.RECORDS, done);
      this.#reader.signal();
    }
    return done;
  }

  close(): void {
    this.#backend.close();
  }

  /** Decoders for the streams that the last life had open. */
  #rebuild(data: ShardData): void {
    const streams = new StreamTable(data.memory, data.streamTable.offset, data.streamTable.capacity);
    for (let stream = 0; stream < streams.capacity; stream++) {
      if (streams.get(stream, STREAM.STATE) !== STREAM_STATE.OPEN) continue;
      if (streams.get(stream, STREAM.SHARD) !== data.shard) continue;
      this.#backend.reopen(stream);
      this.#count(SHARD_COUNTERS.REBUILT, 1);
    }
  }

  #count(counter: number, by: number): void {
    Atomics.add(this.#words, this.#counters + (counter >> 2), by);
  }
}

/** Was the record at hand the last life's death? Its deaths are counted in the control block. */
function noteDeath(data: ShardData): void {
  const words = new Int32Array(data.memory);
  const input = new RingConsumer(data.input);
  const deaths = (data.control.offset + AGENT_CONTROL.AT_DEATHS) >> 2;
  // peek() goes over padding, and so to the cursor that the last life noted.
  const died = input.peek() >= 0 && words[(data.control.offset + AGENT_CONTROL.AT_CURSOR) >> 2] === input.cursor;
  words[deaths] = died ? (words[deaths] as number) + 1 : 0;
}

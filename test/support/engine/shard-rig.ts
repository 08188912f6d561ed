import { afterEach } from 'vitest';
import { PACKED } from '../../../src/audio/neural/silero-weights.js';
import type { CodecId } from '../../../src/core/codec.js';
import { TrunklineError } from '../../../src/core/errors.js';
import { DETECTOR_ID } from '../../../src/core/events.js';
import { layOutMemory } from '../../../src/engine/threads/memory.js';
import { alignRecord, FLAG, KIND, LAYOUT_VERSION, RECORD } from '../../../src/ring/layout.js';
import { RingConsumer, RingProducer } from '../../../src/ring/ring.js';
import { StreamTable, WANT } from '../../../src/ring/stream-table.js';
import type { ShardBackend } from '../../../src/shard/backend.js';
import { JsShard } from '../../../src/shard/js-backend.js';
import { NativeShard } from '../../../src/shard/native-backend.js';
import { SHARD_COUNTERS, type ShardData } from '../../../src/shard/shard-data.js';
import { ShardLoop } from '../../../src/shard/shard-loop.js';

export interface RigOptions {
  readonly streams?: number;
  readonly inputRingBytes?: number;
  readonly outputRingBytes?: number;
  readonly recorderRingBytes?: number;
  /** Of the neural detector; zeros when absent. */
  readonly speechWeights?: Float32Array;
}

export interface StreamSetup {
  readonly codec: CodecId;
  readonly sampleRate: number;
  readonly clockRate?: number;
  readonly channels?: 1 | 2;
  readonly wants?: number;
  /** In samples. */
  readonly preRoll?: number;
  readonly postRoll?: number;
  /** DETECTOR_ID; the fixed one when absent. */
  readonly detector?: number;
}

/** What a record says, without what may differ from run to run: the times, and what its kind leaves undefined. */
export interface TakenRecord {
  readonly kind: number;
  readonly stream: number;
  readonly channel: number;
  readonly flags: number;
  readonly position: number;
  readonly fields?: readonly number[];
  readonly payload: Uint8Array;
}

const ALL = WANT.SPEECH_PCM | WANT.SILENT_PCM | WANT.RECORDING;

/** One shard in this very thread, on memory of its own: records in by hand, records out as objects. */
export class ShardRig {
  readonly data: ShardData;
  readonly table: StreamTable;
  readonly input: RingProducer;
  readonly output: RingConsumer;
  readonly recorder: RingConsumer;
  /** Offset of the record that was put into the input ring last, for a test that damages it. */
  lastRecordAt = 0;
  #loop: ShardLoop;

  constructor(backend: 'js' | 'native', options: RigOptions = {}) {
    const { streams = 8, inputRingBytes = 1 << 20, outputRingBytes = 1 << 20, recorderRingBytes = 1 << 20 } = options;
    const laidOut = layOutMemory({
      ...{ shards: 1, maxStreams: streams, arenaBytes: 1024 },
      ...{ inputRingBytes, outputRingBytes, recorderRingBytes },
    });
    const [places] = laidOut.shards;
    if (places?.recorder === undefined) throw new Error('The memory has no shard with a recorder.');
    this.data = {
      layoutVersion: LAYOUT_VERSION,
      shard: 0,
      memory: laidOut.memory,
      control: places.control,
      counters: places.counters,
      input: places.input,
      output: places.output,
      recorder: places.recorder,
      streamTable: laidOut.streamTable,
      outputWaiter: laidOut.outputWaiter,
      silence: { threshold: 0.01, windowMs: 20 },
      // Never overloaded: how long a test takes must not matter.
      speech: { weights: laidOut.speechWeights.offset, busyUs: Number.POSITIVE_INFINITY },
      native: backend === 'js' ? 'off' : 'require',
    };
    if (options.speechWeights) {
      new Float32Array(laidOut.memory, laidOut.speechWeights.offset, PACKED.length).set(options.speechWeights);
    }
    this.table = new StreamTable(laidOut.memory, laidOut.streamTable.offset, streams);
    this.input = new RingProducer(places.input);
    this.output = new RingConsumer(places.output);
    this.recorder = new RingConsumer(places.recorder);
    this.#loop = this.#live();
  }

  #live(): ShardLoop {
    const chosen: ShardBackend = this.data.native === 'off' ? new JsShard(this.data) : new NativeShard(this.data);
    return new ShardLoop(this.data, chosen);
  }

  /** A new life on the same rings, as after a crash. */
  restart(backend: 'js' | 'native' = this.data.native === 'off' ? 'js' : 'native'): void {
    this.#loop.close();
    Object.assign(this.data, { native: backend === 'js' ? 'off' : 'require' });
    this.#loop = this.#live();
  }

  open(stream: number, setup: StreamSetup): boolean {
    const {
      codec,
      sampleRate,
      clockRate = sampleRate,
      channels = 1,
      wants = ALL,
      detector = DETECTOR_ID.fixed,
      preRoll = 0,
      postRoll = 0,
    } = setup;
    const around = { preRoll, postRoll };
    this.table.assign(stream, { shard: 0, codec, sampleRate, clockRate, channels, wants, detector, ...around });
    return this.#put(KIND.OPEN, { stream, payload: new TextEncoder().encode(`{"stream":${stream}}`) });
  }

  /** OPEN with the payload that the engine gives it; the stream is in the table already. */
  openAs(stream: number, info: object): boolean {
    return this.#put(KIND.OPEN, { stream, payload: new TextEncoder().encode(JSON.stringify(info)) });
  }

  closeAs(stream: number, summary: object): boolean {
    return this.#put(KIND.CLOSE, { stream, payload: new TextEncoder().encode(JSON.stringify(summary)) });
  }

  packet(stream: number, sequence: number, position: number, payload: Uint8Array, channel = 0, flags = 0): boolean {
    return this.#put(KIND.PACKET, { stream, channel, sequence, position, payload, flags });
  }

  /** @param next of Opus the packet that follows, or empty when that is lost as well. */
  lost(
    stream: number,
    sequence: number,
    position: number,
    durationTicks: number,
    channel = 0,
    next = new Uint8Array(0),
  ): boolean {
    const record = { stream, channel, sequence, position, duration: durationTicks, flags: FLAG.LOST };
    return this.#put(KIND.LOST, { ...record, payload: next });
  }

  late(stream: number, sequence: number, position: number, payload: Uint8Array, channel = 0): boolean {
    return this.#put(KIND.LATE_PACKET, { stream, channel, sequence, position, payload });
  }

  mark(stream: number, position: number, durationTicks: number, flags: number, channel = 0): boolean {
    return this.#put(KIND.MARK, { stream, channel, position, duration: durationTicks, flags });
  }

  close(stream: number): boolean {
    return this.#put(KIND.CLOSE, { stream, payload: new TextEncoder().encode(`{"ended":${stream}}`) });
  }

  #put(
    kind: number,
    record: {
      stream: number;
      channel?: number;
      sequence?: number;
      position?: number;
      duration?: number;
      flags?: number;
      payload?: Uint8Array;
    },
  ): boolean {
    const { stream, channel = 0, sequence = 0, position = 0, duration = 0, flags = 0 } = record;
    const payload = record.payload ?? new Uint8Array(0);
    const at = this.input.tryClaim(RECORD.INPUT_HEADER_BYTES + payload.length);
    if (at < 0) return false;
    this.lastRecordAt = at;
    const { view } = this.input;
    view.setUint8(at + RECORD.KIND, kind);
    view.setUint8(at + RECORD.CHANNEL, channel);
    view.setUint8(at + RECORD.CODEC, this.table.get(stream, 8));
    view.setUint8(at + RECORD.FLAGS, flags);
    view.setInt32(at + RECORD.STREAM, stream, true);
    view.setInt32(at + RECORD.PAYLOAD_LENGTH, payload.length, true);
    view.setFloat64(at + RECORD.SEQUENCE, sequence, true);
    view.setFloat64(at + RECORD.TIMESTAMP, position + 7, true);
    view.setFloat64(at + RECORD.POSITION, position, true);
    view.setFloat64(at + RECORD.ARRIVAL_US, sequence * 20_000, true);
    view.setInt32(at + RECORD.DURATION, duration, true);
    view.setInt32(at + RECORD.PEAK, 0, true);
    this.input.bytes.set(payload, at + RECORD.INPUT_HEADER_BYTES);
    this.input.commit(RECORD.INPUT_HEADER_BYTES + payload.length);
    this.input.publish();
    return true;
  }

  /** One wake-up. */
  work(): number {
    return this.#loop.doWork(1_000);
  }

  /** Works until there is nothing more to do; returns everything that came out. */
  drain(): TakenRecord[] {
    const taken: TakenRecord[] = [];
    for (let done = this.work(); ; done = this.work()) {
      const more = this.take(this.output);
      taken.push(...more);
      if (done <= 0 && more.length === 0) return taken;
    }
  }

  /** Up to `most` records of a ring. */
  take(ring: RingConsumer, most = Number.POSITIVE_INFINITY): TakenRecord[] {
    const taken: TakenRecord[] = [];
    while (taken.length < most) {
      const at = ring.peek();
      if (at < 0) break;
      taken.push(read(ring, at));
      ring.release();
    }
    return taken;
  }

  counter(field: number): number {
    return Atomics.load(new Int32Array(this.data.memory), (this.data.counters.offset + field) >> 2);
  }

  counters(): Record<string, number> {
    const compared = Object.entries(SHARD_COUNTERS).filter(([name]) => name !== 'BYTES' && name !== 'NATIVE');
    return Object.fromEntries(compared.map(([name, field]) => [name, this.counter(field)]));
  }

  /** Silence states and everything else of the stream table. */
  tableBytes(): Uint8Array {
    const { offset, capacity } = this.data.streamTable;
    return new Uint8Array(this.data.memory, offset, StreamTable.bytes(capacity)).slice();
  }

  end(): void {
    this.#loop.close();
  }
}

function read(ring: RingConsumer, at: number): TakenRecord {
  const { view } = ring;
  const kind = view.getUint8(at + RECORD.KIND);
  const length = view.getInt32(at + RECORD.PAYLOAD_LENGTH, true);
  const payload = ring.bytes.slice(at + RECORD.OUTPUT_HEADER_BYTES, at + RECORD.OUTPUT_HEADER_BYTES + length);
  const f64 = (field: number): number => view.getFloat64(at + field, true);
  const i32 = (field: number): number => view.getInt32(at + field, true);
  const measured = () => [
    ...[i32(RECORD.LENGTH), view.getUint8(at + RECORD.CODEC), i32(RECORD.SAMPLE_COUNT), i32(RECORD.PEAK)],
    ...[f64(RECORD.SEQUENCE), f64(RECORD.TIMESTAMP), f64(RECORD.ARRIVAL_US), f64(RECORD.MEAN_SQUARE)],
  ];
  const fieldsOf: Record<number, () => number[]> = {
    [KIND.FRAME]: measured,
    [KIND.CORRECTION]: measured,
    [KIND.PRE_ROLL]: () => [...measured(), f64(alignRecord(RECORD.OUTPUT_HEADER_BYTES + length))],
    [KIND.MARK]: () => [i32(RECORD.LENGTH), i32(RECORD.DURATION), f64(RECORD.SEQUENCE), f64(RECORD.TIMESTAMP)],
    [KIND.EDGE]: () => [i32(RECORD.LENGTH), i32(RECORD.SILENCE_KIND)],
    [KIND.CLOSE]: () => [f64(RECORD.RECORDER_REFUSED)],
  };
  return {
    kind,
    stream: i32(RECORD.STREAM),
    channel: view.getUint8(at + RECORD.CHANNEL),
    flags: view.getUint8(at + RECORD.FLAGS),
    position: f64(RECORD.POSITION),
    fields: fieldsOf[kind]?.() ?? [],
    payload,
  };
}

/** Why the native module cannot be tested here, or undefined when it can. */
export function nativeMissing(): string | undefined {
  try {
    new ShardRig('native', { streams: 1 }).end();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof TrunklineError && thrown.code === 'NATIVE_UNAVAILABLE') return thrown.message;
    throw thrown;
  }
}

const open: ShardRig[] = [];
afterEach(() => {
  for (const rig of open.splice(0)) rig.end();
});

/** The two paths side by side, each on memory of its own; both are ended after the test. */
export function bothPaths(options?: RigOptions): {
  js: ShardRig;
  native: ShardRig;
  each(act: (rig: ShardRig) => void): void;
} {
  const js = new ShardRig('js', options);
  const native = new ShardRig('native', options);
  open.push(js, native);
  return {
    js,
    native,
    each: (act) => {
      act(js);
      act(native);
    },
  };
}

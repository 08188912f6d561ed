import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../../src/core/clock.js';
import type { StreamInfo } from '../../../src/core/events.js';
import { FLAG, KIND, RECORD, RING, ringBytes } from '../../../src/ring/layout.js';
import { type RingPlace, RingProducer } from '../../../src/ring/ring.js';
import { type Manifest, manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { readCheckpoint } from '../../../src/sinks/recorder/files/manifest-file.js';
import { Recorder, type RecorderOptions } from '../../../src/sinks/recorder/recorder.js';
import { RecorderStatus, recorderMemoryBytes } from '../../../src/sinks/recorder/recorder-memory.js';

export const WRITE_BUFFER_BYTES = 4096;

/** A recorder over real shared memory and a real folder, fed as a shard feeds it. */
export class RecorderRig {
  readonly outDir: string;
  readonly clock: ManualClock;
  readonly memory: SharedArrayBuffer;
  readonly status: RecorderStatus;
  readonly producers: RingProducer[];
  readonly #options: RecorderOptions;
  readonly #head: Int32Array;
  recorder: Recorder;

  /** @param setup `outDir`: a folder of the test's own; `startUs`: of the clock. */
  constructor(
    setup: {
      rings?: number;
      recordings?: number;
      outDir?: string;
      startUs?: number;
      options?: Partial<RecorderOptions>;
    } = {},
  ) {
    this.outDir = setup.outDir ?? mkdtempSync(join(tmpdir(), 'trunkline-record-'));
    this.clock = new ManualClock(setup.startUs ?? 1_000_000);
    const capacity = 1 << 18;
    const rings = Array.from({ length: setup.rings ?? 1 }, () => ({
      memory: new SharedArrayBuffer(ringBytes(capacity)),
      offset: 0,
      capacity,
    }));
    this.#head = new Int32Array((rings[0] as RingPlace).memory, RING.HEAD, 1);
    this.memory = new SharedArrayBuffer(recorderMemoryBytes(setup.recordings ?? 4, WRITE_BUFFER_BYTES));
    this.status = new RecorderStatus(this.memory);
    this.producers = rings.map((place) => new RingProducer(place));
    this.#options = {
      outDir: this.outDir,
      rings,
      memory: this.memory,
      writeBufferBytes: WRITE_BUFFER_BYTES,
      ...setup.options,
    };
    this.recorder = new Recorder(this.#options, this.clock);
  }

  /** How far the recorder has given the first ring back. */
  get head(): number {
    return this.#head[0] as number;
  }

  /** The recorder's thread dies where it stands, or had given back no more than `head`; a new one takes over. */
  crash(head = this.head): void {
    this.#head[0] = head;
    this.recorder = new Recorder(this.#options, this.clock);
  }

  open(info: StreamInfo, ring = 0, generation = 0): void {
    this.#put(ring, info.stream, KIND.OPEN, Buffer.from(JSON.stringify(info)), { generation });
  }

  closeStream(stream: number, summary: object = {}, ring = 0, refused = 0, generation = 0): void {
    const whole = { endReason: 'ended', endedAtMs: 1_700_000_009_000, ...summary };
    this.#put(ring, stream, KIND.CLOSE, Buffer.from(JSON.stringify(whole)), { refused, generation });
  }

  frame(stream: number, channel: number, position: number, pcm: Int16Array, flags = 0, ring = 0): void {
    const payload = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    this.#put(ring, stream, KIND.FRAME, payload, { channel, flags, position, samples: pcm.length });
  }

  correction(stream: number, channel: number, position: number, pcm: Int16Array, flags: number = FLAG.REPAIRED): void {
    const payload = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    this.#put(0, stream, KIND.CORRECTION, payload, { channel, flags, position, samples: pcm.length });
  }

  edge(stream: number, channel: number, position: number, flags: number, ring = 0): void {
    this.#put(ring, stream, KIND.EDGE, Buffer.alloc(0), { channel, flags, position });
  }

  mark(stream: number, channel: number, position: number, count: number, state: number): void {
    this.#put(0, stream, KIND.MARK, Buffer.alloc(0), { channel, flags: state, position, samples: count });
  }

  /** Lets the recorder work until it has nothing to do. */
  work(advanceUs = 0): void {
    this.clock.advanceUs(advanceUs);
    while (this.recorder.doWork(this.clock.nowUs()) > 0);
  }

  manifest(folder: string): Manifest {
    return manifestSchema.parse(JSON.parse(readFileSync(join(this.outDir, folder, 'session.json'), 'utf8')));
  }

  /** What is said of a recording that is not finished. */
  checkpoint(folder: string): Manifest | undefined {
    return readCheckpoint(join(this.outDir, folder));
  }

  wav(folder: string): Wav {
    return readWav(readFileSync(join(this.outDir, folder, 'audio.wav')));
  }

  /** Of recordings. */
  folders(): string[] {
    return readdirSync(this.outDir)
      .filter((name) => !name.startsWith('.'))
      .sort();
  }

  remove(): void {
    rmSync(this.outDir, { recursive: true, force: true });
  }

  #put(
    ring: number,
    stream: number,
    kind: number,
    payload: Buffer,
    frame: {
      channel?: number;
      flags?: number;
      position?: number;
      samples?: number;
      refused?: number;
      generation?: number;
    } = {},
  ): void {
    const producer = this.producers[ring] as RingProducer;
    const length = RECORD.OUTPUT_HEADER_BYTES + payload.length;
    let at = producer.tryClaim(length);
    if (at < 0) {
      this.work();
      at = producer.tryClaim(length);
    }
    if (at < 0) throw new Error('The ring is full although the recorder has worked.');
    producer.view.setUint8(at + RECORD.KIND, kind);
    producer.view.setUint8(at + RECORD.CHANNEL, frame.channel ?? 0);
    producer.view.setUint8(at + RECORD.FLAGS, frame.flags ?? 0);
    producer.view.setInt32(at + RECORD.STREAM, stream, true);
    producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, payload.length, true);
    producer.view.setFloat64(at + RECORD.RECORDER_REFUSED, frame.refused ?? 0, true);
    producer.view.setFloat64(at + RECORD.GENERATION, frame.generation ?? 0, true);
    producer.view.setFloat64(at + RECORD.POSITION, frame.position ?? 0, true);
    producer.view.setInt32(at + RECORD.SAMPLE_COUNT, frame.samples ?? 0, true);
    producer.bytes.set(payload, at + RECORD.OUTPUT_HEADER_BYTES);
    producer.commit(length);
    producer.publish();
  }
}

export interface Wav {
  readonly sampleRate: number;
  readonly channels: number;
  readonly samples: Int16Array;
}

/** Reads as strictly as a player does: sizes must fit the file exactly. */
export function readWav(file: Buffer): Wav {
  const sizes = [file.readUInt32LE(4), file.readUInt32LE(40)];
  if (file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 16) !== 'WAVEfmt ')
    throw new Error('No WAV file.');
  if (sizes[0] !== file.length - 8 || sizes[1] !== file.length - 44) {
    throw new Error(`Sizes ${sizes} do not fit the ${file.length} bytes of the file.`);
  }
  const samples = new Int16Array((file.length - 44) / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = file.readInt16LE(44 + 2 * i);
  return { channels: file.readUInt16LE(22), sampleRate: file.readUInt32LE(24), samples };
}

/** `count` samples that tell position and channel apart. */
export function tone(position: number, count: number, channel = 0): Int16Array {
  return Int16Array.from({ length: count }, (_, i) => (((position + i) * 37 + channel * 11) % 30_000) + 1);
}

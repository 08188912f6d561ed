import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../../src/core/clock.js';
import type { StreamFormat } from '../../../src/core/codec.js';
import { DETECTOR_ID, type StreamSummary } from '../../../src/core/events.js';
import { PacketInput } from '../../../src/engine/input/packet-input.js';
import { type EngineOptions, resolveOptions } from '../../../src/engine/options.js';
import { type Stream, Streams } from '../../../src/engine/streams.js';
import { layOutMemory } from '../../../src/engine/threads/memory.js';
import { KIND, LAYOUT_VERSION, RECORD } from '../../../src/ring/layout.js';
import { RingConsumer } from '../../../src/ring/ring.js';
import { StreamTable, WANT } from '../../../src/ring/stream-table.js';
import { JsShard } from '../../../src/shard/js-backend.js';
import { NativeShard } from '../../../src/shard/native-backend.js';
import type { ShardData } from '../../../src/shard/shard-data.js';
import { ShardLoop } from '../../../src/shard/shard-loop.js';
import type { EncryptionOptions } from '../../../src/sinks/recorder/encryption/encryption.js';
import { type AudioFormat, type Manifest, manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { Recorder, type RecorderOptions } from '../../../src/sinks/recorder/recorder.js';
import { recorderMemoryBytes } from '../../../src/sinks/recorder/recorder-memory.js';
import { readWav, type Wav } from '../recorder/recorder-rig.js';

const WRITE_BUFFER_BYTES = 4096;
const TICK_US = 20_000;
/** The recorder has a look so often: its rings are large enough for that. */
const RECORD_EVERY = 8;

export interface SentPacket {
  readonly channel?: 0 | 1;
  readonly sequence: number;
  readonly timestamp: number;
  readonly arrivalUs: number;
  readonly payload: Uint8Array;
}

/** A frame as the live line has it. */
export interface LiveFrame {
  readonly channel: number;
  readonly sequence: number;
  readonly position: number;
  readonly pcm: Int16Array;
}

export interface CaptureOptions extends Pick<EngineOptions, 'playoutDelay' | 'playoutDelayMs' | 'maxPlayoutDelayMs'> {
  readonly streams?: number;
  readonly inputRingBytes?: number;
  readonly recorderRingBytes?: number;
  /** What is recorded is stored as; `wav` by default. */
  readonly format?: AudioFormat;
  /** Stored as it is by default. */
  readonly encryption?: EncryptionOptions;
}

/** The whole way of a packet, from the jitter buffer to the file, in this very thread and in virtual time. */
export class CaptureRig {
  readonly outDir = mkdtempSync(join(tmpdir(), 'trunkline-capture-'));
  readonly clock = new ManualClock(1_000_000);
  readonly input: PacketInput;
  readonly live: LiveFrame[] = [];
  readonly #data: ShardData;
  readonly #streams: Streams;
  readonly #table: StreamTable;
  readonly #output: RingConsumer;
  readonly #shard: ShardLoop;
  readonly #recorderOptions: RecorderOptions;
  #recorder: Recorder;
  readonly #format: AudioFormat;
  #ticks = 0;

  constructor(backend: 'js' | 'native', options: CaptureOptions = {}) {
    const { format = 'wav', streams = 1, inputRingBytes = 1 << 20, recorderRingBytes = 1 << 20, ...rest } = options;
    const { encryption, ...delays } = rest;
    this.#format = format;
    const settings = resolveOptions({
      ...{ ...delays, shards: 1, maxStreams: streams },
      native: backend === 'js' ? 'off' : 'require',
    });
    const memory = layOutMemory({
      ...{ ...settings.memory, shards: 1, maxStreams: streams },
      ...{ inputRingBytes, outputRingBytes: 1 << 20, recorderRingBytes },
    });
    const [places] = memory.shards;
    if (places?.recorder === undefined) throw new Error('The memory has no shard with a recorder.');
    const { control, counters, input, output, recorder } = places;
    this.#data = {
      ...{ layoutVersion: LAYOUT_VERSION, shard: 0, memory: memory.memory, control, counters, input, output, recorder },
      ...{ streamTable: memory.streamTable, outputWaiter: memory.outputWaiter, silence: settings.silence },
      native: backend === 'js' ? 'off' : 'require',
    };
    this.#streams = new Streams(streams, 1);
    this.#table = new StreamTable(memory.memory, memory.streamTable.offset, streams);
    this.#output = new RingConsumer(output);
    this.#shard = new ShardLoop(this.#data, backend === 'js' ? new JsShard(this.#data) : new NativeShard(this.#data));
    const dependencies = { wake: () => {}, onPublished: () => {} };
    this.input = new PacketInput(memory, settings, this.#streams, dependencies);
    this.#recorderOptions = {
      ...{ format, outDir: this.outDir, rings: [recorder], writeBufferBytes: WRITE_BUFFER_BYTES },
      memory: new SharedArrayBuffer(recorderMemoryBytes(streams, WRITE_BUFFER_BYTES)),
      ...(encryption && { encryption }),
    };
    this.#recorder = new Recorder(this.#recorderOptions, this.clock);
  }

  /** The recorder's thread dies where it stands; a new one takes over. */
  crashRecorder(): void {
    this.#recorder = new Recorder(this.#recorderOptions, this.clock);
  }

  open(interactionId: string, format: StreamFormat): Stream {
    const stream = this.#streams.open(interactionId, format, false, 1_700_000_000_000);
    const packets = this.#format === 'opus' && format.codec === 'opus' ? WANT.RECORDED_PACKETS : 0;
    const wants = WANT.SPEECH_PCM | WANT.SILENT_PCM | WANT.RECORDING | packets;
    const { clockRate, sampleRate, channels } = format;
    this.#table.assign(stream.info.stream, {
      shard: 0,
      codec: stream.codec,
      clockRate,
      sampleRate,
      channels,
      wants,
      detector: DETECTOR_ID.adaptive,
    });
    this.input.open(stream);
    this.work();
    return stream;
  }

  /** Takes in a packet at its arrival, after everything that was due before. */
  take(stream: Stream, { channel = 0, sequence, timestamp, arrivalUs, payload }: SentPacket): void {
    this.advanceTo(arrivalUs);
    const { batch } = this.input;
    const at = batch.claim(payload.length);
    if (at < 0) return;
    batch.bytes.set(payload, at);
    const { columns, row } = batch;
    columns.channel[row] = stream.info.stream * 2 + channel;
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = arrivalUs;
    columns.flags[row] = 0;
    columns.payloadOffset[row] = at;
    columns.payloadLength[row] = payload.length;
    batch.add(1);
    this.input.insert();
  }

  /** Lets time pass in small steps, in which each part does what it has to do. */
  advanceTo(untilUs: number): void {
    while (this.clock.nowUs() < untilUs) {
      this.clock.advanceUs(Math.min(TICK_US, untilUs - this.clock.nowUs()));
      this.input.advance(this.clock.nowUs());
      if (++this.#ticks % RECORD_EVERY === 0) this.work();
      else this.#decode();
    }
  }

  /** Ends the stream; returns its summary. */
  end(stream: Stream): StreamSummary {
    this.input.flush(stream, this.clock.nowUs());
    const counts = this.input.countsOf(stream);
    const packetsPaused = this.input.pausedPackets(stream);
    const summary = { ...counts, packetsPaused, endReason: 'ended' as const, endedAtMs: 1_700_000_100_000 };
    this.#streams.end(stream, counts);
    this.input.close(stream, summary);
    this.work();
    this.#streams.free(stream);
    return summary;
  }

  /** The shard and the recorder do what they can. */
  work(): void {
    this.#decode();
    while (this.#recorder.doWork(this.clock.nowUs()) > 0);
  }

  #decode(): void {
    while (this.#shard.doWork(this.clock.nowUs()) > 0) this.#takeOutput();
  }

  wav(folder: string): Wav {
    return readWav(readFileSync(join(this.outDir, folder, 'audio.wav')));
  }

  manifest(folder: string): Manifest {
    return manifestSchema.parse(JSON.parse(readFileSync(join(this.outDir, folder, 'session.json'), 'utf8')));
  }

  folders(): string[] {
    return readdirSync(this.outDir).filter((name) => !name.startsWith('.'));
  }

  remove(): void {
    this.#shard.close();
    this.#recorder.close();
    rmSync(this.outDir, { recursive: true, force: true });
  }

  #takeOutput(): void {
    const { view } = this.#output;
    for (let at = this.#output.peek(); at >= 0; at = this.#output.peek()) {
      if (view.getUint8(at + RECORD.KIND) === KIND.FRAME) {
        const length = view.getInt32(at + RECORD.PAYLOAD_LENGTH, true);
        const from = at + RECORD.OUTPUT_HEADER_BYTES;
        this.live.push({
          channel: view.getUint8(at + RECORD.CHANNEL),
          sequence: view.getFloat64(at + RECORD.SEQUENCE, true),
          position: view.getFloat64(at + RECORD.POSITION, true),
          pcm: new Int16Array(this.#output.bytes.slice(from, from + length).buffer),
        });
      }
      this.#output.release();
    }
  }
}

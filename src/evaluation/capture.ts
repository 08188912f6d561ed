import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ManualClock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import { DETECTOR_ID, type ReceptionCounts, type StreamSummary } from '../core/events.js';
import { US_PER_SECOND } from '../core/units.js';
import { PacketInput } from '../engine/input/packet-input.js';
import { type EngineOptions, resolveOptions } from '../engine/options.js';
import { type Stream, Streams } from '../engine/streams.js';
import { type EngineMemory, layOutMemory } from '../engine/threads/memory.js';
import { FLAG, KIND, LAYOUT_VERSION, RECORD } from '../ring/layout.js';
import { RingConsumer } from '../ring/ring.js';
import { StreamTable, WANT } from '../ring/stream-table.js';
import { JsShard } from '../shard/js-backend.js';
import { ShardLoop } from '../shard/shard-loop.js';
import { type Manifest, parseManifest } from '../sinks/recorder/files/manifest.js';
import { Recorder } from '../sinks/recorder/recorder.js';
import { recorderMemoryBytes } from '../sinks/recorder/recorder-memory.js';
import { formatOf, type Trace, type TracePacket } from './trace.js';

export type JitterSettings = Pick<
  EngineOptions,
  'playoutDelay' | 'playoutDelayMs' | 'minPlayoutDelayMs' | 'maxPlayoutDelayMs'
>;

/** A frame as it leaves the shard. */
export interface Frame {
  /** Of a packet that was made up, when it was given up. */
  readonly arrivalUs: number;
  /** RTP timestamp in microseconds of the sender's clock. */
  readonly mediaUs: number;
  readonly releasedUs: number;
  readonly positionSamples: number;
  readonly sampleCount: number;
  /** The time line jumps before it. */
  readonly isJump: boolean;
  readonly isLost: boolean;
}

const STREAM_ID = 'trace';
const RECORDER_RING_BYTES = 4 << 20;
const WRITE_BUFFER_BYTES = 1 << 16;
/** The clocks begin here: 0 would be before the recorder's first look. */
const BEGIN_US = 1_000_000;
/** Frames between two looks of the recorder; its ring has space for far more. */
const RECORD_EVERY = 256;

/**
 * A node's whole way from packet to frame and file, in this thread and in virtual time: the engine's input, one shard on
 * the JavaScript path, and the recorder. Each packet is taken in at its arrival, and what is due leaves at that very moment;
 * a running node does so once a millisecond, as its timer goes.
 */
export class Capture {
  /** Everything that has left the shard. */
  readonly frames: Frame[] = [];
  readonly #clock = new ManualClock(BEGIN_US);
  readonly #input: PacketInput;
  readonly #streams = new Streams(1, 1);
  readonly #stream: Stream;
  readonly #shard: ShardLoop;
  readonly #output: RingConsumer;
  readonly #recorder: Recorder | undefined;
  readonly #directory: string | undefined;
  readonly #usPerTick: number;
  #framesRecorded = 0;

  /** @param directory where the recording is made; nothing is recorded without it. */
  constructor(trace: Trace, options: JitterSettings, directory?: string) {
    const settings = resolveOptions({ ...options, shards: 1, maxStreams: 1, native: 'off' });
    const recorderRingBytes = directory === undefined ? 0 : RECORDER_RING_BYTES;
    const memory = layOutMemory({ ...settings.memory, recorderRingBytes });
    const [{ recorder, ...shard }] = memory.shards as [EngineMemory['shards'][number]];
    const data = {
      ...{
        ...shard,
        ...(recorder && { recorder }),
        layoutVersion: LAYOUT_VERSION,
        shard: 0,
        memory: memory.memory,
        native: 'off' as const,
      },
      ...{ streamTable: memory.streamTable, outputWaiter: memory.outputWaiter, silence: settings.silence },
    };
    const format = formatOf(trace);
    this.#directory = directory;
    this.#usPerTick = US_PER_SECOND / trace.clockRate;
    this.#stream = this.#streams.open(STREAM_ID, format, false, this.#clock.wallMs());
    new StreamTable(memory.memory, memory.streamTable.offset, 1).assign(0, {
      ...{ shard: 0, codec: this.#stream.codec, clockRate: format.clockRate, sampleRate: format.sampleRate },
      ...{
        channels: format.channels,
        detector: DETECTOR_ID.fixed,
        wants: directory === undefined ? 0 : WANT.RECORDING,
      },
    });
    this.#shard = new ShardLoop(data, new JsShard(data));
    this.#output = new RingConsumer(shard.output);
    this.#input = new PacketInput(memory, settings, this.#streams, { wake: () => {}, onPublished: () => {} });
    this.#recorder =
      directory === undefined || recorder === undefined
        ? undefined
        : new Recorder(
            {
              ...{ outDir: directory, rings: [recorder], writeBufferBytes: WRITE_BUFFER_BYTES },
              memory: new SharedArrayBuffer(recorderMemoryBytes(1, WRITE_BUFFER_BYTES)),
            },
            this.#clock,
          );
    this.#input.open(this.#stream);
    this.#work();
  }

  /** Releases what falls due up to `atUs` of the trace, each packet at its time. */
  advanceTo(atUs: number): void {
    const untilUs = BEGIN_US + atUs;
    for (let dueUs = this.#input.dueUs(); dueUs <= untilUs; dueUs = this.#input.dueUs()) {
      this.#clock.advanceUs(Math.max(0, dueUs - this.#clock.nowUs()));
      this.#input.advance(this.#clock.nowUs());
      this.#work();
    }
    this.#clock.advanceUs(Math.max(0, untilUs - this.#clock.nowUs()));
  }

  /** Takes in a packet that arrives now. False when there was no memory for it. */
  insert({ sequence, timestamp, marker, payload }: TracePacket): boolean {
    const { batch } = this.#input;
    const at = batch.claim(payload.length);
    if (at < 0) return false;
    batch.bytes.set(payload, at);
    const { columns, row } = batch;
    columns.channel[row] = 0;
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = this.#clock.nowUs();
    columns.flags[row] = marker ? FLAG.MARKER : 0;
    columns.payloadOffset[row] = at;
    columns.payloadLength[row] = payload.length;
    batch.add(1);
    this.#input.insert();
    return true;
  }

  /** Ends the stream and finishes its recording. */
  end(): ReceptionCounts {
    this.#input.flush(this.#stream, this.#clock.nowUs());
    const counts = this.#input.countsOf(this.#stream);
    const summary: StreamSummary = { ...counts, endReason: 'ended', endedAtMs: this.#clock.wallMs() };
    this.#streams.end(this.#stream, counts);
    this.#input.close(this.#stream, summary);
    this.#work();
    while ((this.#recorder?.doWork(this.#clock.nowUs()) ?? 0) > 0);
    this.#recorder?.close();
    this.#shard.close();
    return counts;
  }

  /** After the end: what the recording says of itself. @throws TrunklineError FILE_FAILED when it is not there. */
  async manifest(): Promise<Manifest> {
    const file = join(this.#directory ?? '', STREAM_ID, 'session.json');
    const manifest = parseManifest(await readFile(file, 'utf8').catch(() => ''));
    if (manifest !== undefined) return manifest;
    throw new TrunklineError('FILE_FAILED', `The recording was not finished: there is no usable ${file}.`);
  }

  #work(): void {
    const nowUs = this.#clock.nowUs();
    while (this.#shard.doWork(nowUs) > 0) this.#takeOutput(nowUs);
    if (this.frames.length - this.#framesRecorded < RECORD_EVERY) return;
    this.#framesRecorded = this.frames.length;
    while ((this.#recorder?.doWork(nowUs) ?? 0) > 0);
  }

  #takeOutput(nowUs: number): void {
    const { view } = this.#output;
    for (let at = this.#output.peek(); at >= 0; at = this.#output.peek()) {
      if (view.getUint8(at + RECORD.KIND) === KIND.FRAME) {
        const flags = view.getUint8(at + RECORD.FLAGS);
        this.frames.push({
          arrivalUs: view.getFloat64(at + RECORD.ARRIVAL_US, true) - BEGIN_US,
          mediaUs: view.getFloat64(at + RECORD.TIMESTAMP, true) * this.#usPerTick,
          releasedUs: nowUs - BEGIN_US,
          positionSamples: view.getFloat64(at + RECORD.POSITION, true),
          sampleCount: view.getInt32(at + RECORD.SAMPLE_COUNT, true),
          isJump: (flags & FLAG.DISCONTINUITY) !== 0,
          isLost: (flags & FLAG.LOST) !== 0,
        });
      }
      this.#output.release();
    }
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ManualClock } from '../../src/core/clock.js';
import { KIND, RECORD, ringBytes } from '../../src/ring/layout.js';
import { RingProducer } from '../../src/ring/ring.js';
import { encryptionKeys } from '../../src/sinks/recorder/encryption/encryption.js';
import { Recorder, type RecorderOptions } from '../../src/sinks/recorder/recorder.js';
import { recorderMemoryBytes } from '../../src/sinks/recorder/recorder-memory.js';
import { RECIPIENT } from '../recipient.js';
import type { MicroCase } from './micro-case.js';

const CAPACITY = 1 << 22;
const STREAMS = 50;
const SAMPLES = 160;
const PCM_BYTES = 2 * SAMPLES;
const FRAME_US = 20_000;
/** One and a half seconds: each stream is written twice. */
const FRAMES = 75;

/** Of Opus: about what 20 ms of speech take. */
const OPUS_BYTES = 60;

/**
 * What the recorder's thread does for a packet, from its ring to its file, with the writes of every 0.75 s: as WAV,
 * encrypted by the native module and by node:crypto, and of Opus as the packets that came. The recordings go to the folder
 * for temporary files.
 */
export function recorderCases(): MicroCase[] {
  const plain = 'recorder ring to WAV file';
  return [
    recording(plain, {}),
    { ...recording('recorder ring to encrypted file', { recipient: RECIPIENT, native: true }), beside: plain },
    { ...recording('recorder ring to encrypted file, node:crypto', { recipient: RECIPIENT }), beside: plain },
    { ...recording('recorder ring to Ogg Opus file', { format: 'opus' }), beside: plain },
  ];
}

interface Storage {
  readonly recipient?: string;
  /** Whether the native module encrypts. */
  readonly native?: boolean;
  readonly format?: 'opus';
}

function recording(name: string, storage: Storage): MicroCase {
  let use: { readonly producer: RingProducer; readonly recorder: Recorder; readonly clock: ManualClock } | undefined;
  let frame = 0;
  return {
    name,
    unit: `${storage.format === 'opus' ? 'Opus' : 'PCMU'} packet of a recorded stream`,
    steps: STREAMS * FRAMES,
    run() {
      use ??= begin(storage);
      const { producer, recorder, clock } = use;
      for (let n = 0; n < FRAMES; n++, frame++) {
        for (let stream = 0; stream < STREAMS; stream++) put(producer, stream, frame, storage);
        producer.publish();
        clock.advanceUs(FRAME_US);
        while (recorder.doWork(clock.nowUs()) > 0);
      }
    },
  };
}

function begin({ recipient, native = false, format }: Storage) {
  const outDir = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));
  const ring = { memory: new SharedArrayBuffer(ringBytes(CAPACITY)), offset: 0, capacity: CAPACITY };
  const encryption = recipient && { encryption: { recipients: [recipient], keys: encryptionKeys(STREAMS), native } };
  const options: RecorderOptions = {
    ...{ outDir, rings: [ring], memory: new SharedArrayBuffer(recorderMemoryBytes(STREAMS)) },
    ...{ ...encryption, format: format ?? 'wav' },
  };
  const [codec, rate] = format === 'opus' ? (['opus', 48_000] as const) : (['pcmu', 8_000] as const);
  const clock = new ManualClock(1_000_000);
  const recorder = new Recorder(options, clock);
  const producer = new RingProducer(ring);
  for (let stream = 0; stream < STREAMS; stream++) {
    const traits = { codec, clockRate: rate, sampleRate: rate, channels: 1, startedAtMs: 1_700_000_000_000 };
    const info = Buffer.from(JSON.stringify({ stream, interactionId: `call-${stream}`, ...traits }));
    const at = claim(producer, RECORD.OUTPUT_HEADER_BYTES + info.length, KIND.OPEN, stream);
    producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, info.length, true);
    producer.bytes.set(info, at + RECORD.OUTPUT_HEADER_BYTES);
    producer.commit(RECORD.OUTPUT_HEADER_BYTES + info.length);
  }
  producer.publish();
  recorder.doWork(clock.nowUs());
  return { producer, recorder, clock };
}

function put(producer: RingProducer, stream: number, frame: number, { format }: Storage): void {
  const [kind, bytes, samples] =
    format === 'opus' ? [KIND.CODED_FRAME, OPUS_BYTES, 6 * SAMPLES] : [KIND.FRAME, PCM_BYTES, SAMPLES];
  const length = RECORD.OUTPUT_HEADER_BYTES + bytes;
  const at = claim(producer, length, kind, stream);
  producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, bytes, true);
  producer.view.setInt32(at + RECORD.SAMPLE_COUNT, samples, true);
  producer.view.setFloat64(at + RECORD.POSITION, frame * samples, true);
  // The first byte of a packet of Opus: CELT at 48 kHz, one frame of 20 ms.
  if (format === 'opus') producer.bytes[at + RECORD.OUTPUT_HEADER_BYTES] = 31 << 3;
  producer.commit(length);
}

function claim(producer: RingProducer, length: number, kind: number, stream: number): number {
  const at = producer.tryClaim(length);
  if (at < 0) throw new Error('The ring is full.');
  producer.view.setUint8(at + RECORD.KIND, kind);
  producer.view.setUint8(at + RECORD.CHANNEL, 0);
  producer.view.setUint8(at + RECORD.FLAGS, 0);
  producer.view.setInt32(at + RECORD.STREAM, stream, true);
  return at;
}

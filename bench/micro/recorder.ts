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
const FRAME_BYTES = RECORD.OUTPUT_HEADER_BYTES + PCM_BYTES;
const FRAME_US = 20_000;
/** One and a half seconds: each stream is written twice. */
const FRAMES = 75;

/**
 * What the recorder's thread does for a packet, from its ring to its file, with the writes of every 0.75 s: as it is, and
 * encrypted, by the native module and by node:crypto. The recordings go to the folder for temporary files.
 */
export function recorderCases(): MicroCase[] {
  const plain = 'recorder ring to WAV file';
  return [
    recording(plain),
    { ...recording('recorder ring to encrypted file', RECIPIENT, true), beside: plain },
    { ...recording('recorder ring to encrypted file, node:crypto', RECIPIENT, false), beside: plain },
  ];
}

function recording(name: string, recipient?: string, native = false): MicroCase {
  let use: { readonly producer: RingProducer; readonly recorder: Recorder; readonly clock: ManualClock } | undefined;
  let frame = 0;
  return {
    name,
    unit: 'PCMU packet of a recorded stream',
    steps: STREAMS * FRAMES,
    run() {
      use ??= begin(recipient, native);
      const { producer, recorder, clock } = use;
      for (let n = 0; n < FRAMES; n++, frame++) {
        for (let stream = 0; stream < STREAMS; stream++) put(producer, stream, frame);
        producer.publish();
        clock.advanceUs(FRAME_US);
        while (recorder.doWork(clock.nowUs()) > 0);
      }
    },
  };
}

function begin(recipient: string | undefined, native: boolean) {
  const outDir = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));
  const ring = { memory: new SharedArrayBuffer(ringBytes(CAPACITY)), offset: 0, capacity: CAPACITY };
  const encryption = recipient && { encryption: { recipients: [recipient], keys: encryptionKeys(STREAMS), native } };
  const options: RecorderOptions = {
    ...{ outDir, rings: [ring], memory: new SharedArrayBuffer(recorderMemoryBytes(STREAMS)) },
    ...encryption,
  };
  const clock = new ManualClock(1_000_000);
  const recorder = new Recorder(options, clock);
  const producer = new RingProducer(ring);
  for (let stream = 0; stream < STREAMS; stream++) {
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1, startedAtMs: 1_700_000_000_000 };
    const info = Buffer.from(JSON.stringify({ stream, interactionId: `call-${stream}`, ...format }));
    const at = claim(producer, RECORD.OUTPUT_HEADER_BYTES + info.length, KIND.OPEN, stream);
    producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, info.length, true);
    producer.bytes.set(info, at + RECORD.OUTPUT_HEADER_BYTES);
    producer.commit(RECORD.OUTPUT_HEADER_BYTES + info.length);
  }
  producer.publish();
  recorder.doWork(clock.nowUs());
  return { producer, recorder, clock };
}

function put(producer: RingProducer, stream: number, frame: number): void {
  const at = claim(producer, FRAME_BYTES, KIND.FRAME, stream);
  producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, PCM_BYTES, true);
  producer.view.setInt32(at + RECORD.SAMPLE_COUNT, SAMPLES, true);
  producer.view.setFloat64(at + RECORD.POSITION, frame * SAMPLES, true);
  producer.commit(FRAME_BYTES);
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

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { OpusEncoder } from '../../../src/audio/codecs/opus.js';
import { AGENT_CONTROL, AgentHandle } from '../../../src/ring/agent.js';
import { KIND, LAYOUT_VERSION, RECORD, ringBytes } from '../../../src/ring/layout.js';
import { RingProducer } from '../../../src/ring/ring.js';
import record, { type RecorderData } from '../../../src/sinks/recorder/entry.js';
import { AUDIO_FORMATS } from '../../../src/sinks/recorder/files/manifest.js';
import { RecorderStatus, recorderMemoryBytes } from '../../../src/sinks/recorder/recorder-memory.js';

/**
 * A process of its own that records `streams` streams in real time with a recorder in a worker thread, as the engine
 * does. Says after each 20 ms frame how many samples it has handed over; ends the streams after `frames` frames, or never
 * when that is 0, and says at the end what the recorder counted.
 *
 *     node live-recorder.mjs OUT STREAMS FRAMES [wav|flac|opus]
 */
if (!isMainThread) {
  record(workerData as RecorderData);
} else {
  const [outDir = '', streams = '1', frames = '0', name = 'wav'] = process.argv.slice(2);
  const format = AUDIO_FORMATS.find((one) => one === name) ?? 'wav';
  const isOpus = format === 'opus';
  // Enough for minutes: the machine may not run the recorder's thread for many seconds.
  const capacity = 1 << 24;
  const ring = { memory: new SharedArrayBuffer(ringBytes(capacity)), offset: 0, capacity };
  const control = { memory: new SharedArrayBuffer(AGENT_CONTROL.BYTES), offset: 0 };
  const memory = new SharedArrayBuffer(recorderMemoryBytes(64));
  const places = { outDir: join(outDir), rings: [ring], memory, control };
  const data: RecorderData = { ...places, format, layoutVersion: LAYOUT_VERSION };
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const producer = new RingProducer(ring);

  const put = (stream: number, kind: number, payload: Buffer, position = 0, samples = payload.length >> 1) => {
    const length = RECORD.OUTPUT_HEADER_BYTES + payload.length;
    const at = producer.tryClaim(length);
    if (at < 0) throw new Error('The recorder is behind.');
    producer.bytes.fill(0, at + RECORD.KIND, at + RECORD.OUTPUT_HEADER_BYTES);
    producer.view.setUint8(at + RECORD.KIND, kind);
    producer.view.setInt32(at + RECORD.STREAM, stream, true);
    producer.view.setInt32(at + RECORD.PAYLOAD_LENGTH, payload.length, true);
    producer.view.setFloat64(at + RECORD.POSITION, position, true);
    producer.view.setInt32(at + RECORD.SAMPLE_COUNT, samples, true);
    producer.bytes.set(payload, at + RECORD.OUTPUT_HEADER_BYTES);
    producer.commit(length);
    producer.publish();
  };
  const rate = isOpus ? 48_000 : 8000;
  const traits = { codec: isOpus ? 'opus' : 'pcmu', clockRate: rate, sampleRate: rate, channels: 1 };
  const call = { ...traits, startedAtMs: 1_700_000_000_000 };
  const encoder = isOpus ? new OpusEncoder({ sampleRate: 48_000, complexity: 0 }) : undefined;
  for (let stream = 0; stream < Number(streams); stream++) {
    put(stream, KIND.OPEN, Buffer.from(JSON.stringify({ stream, interactionId: `call-${stream}`, ...call })));
  }
  for (let n = 0; n < Number(frames) || frames === '0'; n++) {
    const pcm = Int16Array.from({ length: 160 }, (_, i) => n * 160 + i + 1);
    const tone = Int16Array.from({ length: 960 }, (_, i) => 8000 * Math.sin((n * 960 + i) / 30));
    const packet = encoder === undefined ? Buffer.from(pcm.buffer) : Buffer.from(encoder.encode(tone));
    for (let stream = 0; stream < Number(streams); stream++) {
      if (isOpus) put(stream, KIND.CODED_FRAME, packet, n * 960, 960);
      else put(stream, KIND.FRAME, packet, n * 160);
    }
    process.stdout.write(`${(n + 1) * 160}\n`);
    await setTimeout(20);
  }
  const end = Buffer.from(JSON.stringify({ endReason: 'ended', endedAtMs: 1_700_000_001_000 }));
  for (let stream = 0; stream < Number(streams); stream++) put(stream, KIND.CLOSE, end);
  new AgentHandle(control).stop();
  await ended;
  const status = new RecorderStatus(memory);
  process.stdout.write(`${JSON.stringify({ ...status.counters(), report: status.takeReport() })}\n`);
}

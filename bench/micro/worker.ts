import { Buffer } from 'node:buffer';
import { codecId } from '../../src/core/codec.js';
import { TrunklineError } from '../../src/core/errors.js';
import { DETECTOR_ID, SILENCE_DETECTORS, type SilenceDetector, type StreamInfo } from '../../src/core/events.js';
import { layOutMemory } from '../../src/engine/threads/memory.js';
import { SpeechModel } from '../../src/engine/threads/speech-model.js';
import { KIND, LAYOUT_VERSION, RECORD } from '../../src/ring/layout.js';
import { RingConsumer, RingProducer } from '../../src/ring/ring.js';
import { StreamTable, WANT } from '../../src/ring/stream-table.js';
import type { ShardBackend } from '../../src/shard/backend.js';
import { JsShard } from '../../src/shard/js-backend.js';
import { NativeShard } from '../../src/shard/native-backend.js';
import type { ShardData } from '../../src/shard/shard-data.js';
import { LoopLibrary } from '../../src/simulator/sound/loops.js';
import { loadClips } from '../../src/simulator/sound/speech.js';
import type { MicroCase } from './micro-case.js';

const RING_BYTES = 1 << 20;
const STREAMS = 100;
const CODINGS = [
  { codec: 'pcmu', sampleRate: 8_000, clockRate: 8_000 },
  { codec: 'opus', sampleRate: 16_000, clockRate: 48_000 },
] as const;

interface DetectorCases {
  readonly backend: 'JavaScript' | 'native';
  /** `neural` only where its model is installed. */
  readonly cases: Readonly<Partial<Record<SilenceDetector, MicroCase>>>;
}

/** The same for PCMU with each silence detector: their difference is what a detector costs. */
export function detectorCases(): DetectorCases[] {
  const [coding] = CODINGS;
  const { payloads } = new LoopLibrary(loadClips()).loop(0, { ...coding, dtx: false });
  const packets = payloads.map((text) => Buffer.from(text, 'base64'));
  const withEach = (make: (data: ShardData) => ShardBackend): DetectorCases['cases'] => {
    const names = SILENCE_DETECTORS.filter((name) => name !== 'neural' || hasSpeechModel());
    return Object.fromEntries(names.map((name) => [name, shard(name, coding, packets, make, DETECTOR_ID[name])]));
  };
  const all: DetectorCases[] = [{ backend: 'JavaScript', cases: withEach((data) => new JsShard(data)) }];
  try {
    all.push({ backend: 'native', cases: withEach((data) => new NativeShard(data)) });
  } catch (error) {
    if (!(error instanceof TrunklineError && error.code === 'NATIVE_UNAVAILABLE')) throw error;
  }
  return all;
}

/** All of a shard's work on a packet, by either backend; the native one only where there is one. */
export function workerCases(): MicroCase[] {
  const library = new LoopLibrary(loadClips());
  return CODINGS.flatMap((coding) => {
    const { payloads } = library.loop(0, { ...coding, dtx: false });
    const packets = payloads.map((text) => Buffer.from(text, 'base64'));
    const cases = [
      shard(`worker shard takes ${coding.codec}, JavaScript`, coding, packets, (data) => new JsShard(data)),
    ];
    try {
      cases.push(shard(`worker shard takes ${coding.codec}, native`, coding, packets, (data) => new NativeShard(data)));
    } catch (error) {
      if (!(error instanceof TrunklineError && error.code === 'NATIVE_UNAVAILABLE')) throw error;
    }
    return cases;
  });
}

function hasSpeechModel(): boolean {
  try {
    shardData('neural');
    return true;
  } catch (error) {
    if (error instanceof TrunklineError && error.code === 'CONFIG_INVALID') return false;
    throw error;
  }
}

function shard(
  name: string,
  { codec, sampleRate, clockRate }: (typeof CODINGS)[number],
  packets: readonly Buffer[],
  make: (data: ShardData) => ShardBackend,
  detector: number = DETECTOR_ID.adaptive,
): MicroCase {
  const data = shardData(detector === DETECTOR_ID.neural ? 'neural' : 'adaptive');
  const input = new RingProducer(data.input);
  const output = new RingConsumer(data.output);
  const table = new StreamTable(data.memory, data.streamTable.offset, data.streamTable.capacity);
  const wants = WANT.SPEECH_PCM | WANT.SILENT_PCM;
  const backend = make(data);
  const put = (kind: number, stream: number, payload: Buffer): number => {
    const at = input.tryClaim(RECORD.INPUT_HEADER_BYTES + payload.length);
    if (at < 0) throw new Error('The ring is full.');
    input.bytes.fill(0, at, at + RECORD.INPUT_HEADER_BYTES);
    input.view.setUint8(at + RECORD.KIND, kind);
    input.view.setUint8(at + RECORD.CODEC, codecId(codec));
    input.view.setInt32(at + RECORD.STREAM, stream, true);
    input.view.setInt32(at + RECORD.PAYLOAD_LENGTH, payload.length, true);
    input.bytes.set(payload, at + RECORD.INPUT_HEADER_BYTES);
    return at;
  };
  const drain = (): number => {
    input.publish();
    while (backend.drain(STREAMS, 0) > 0);
    let frames = 0;
    for (let at = output.peek(); at >= 0; at = output.peek()) {
      if (output.view.getUint8(at + RECORD.KIND) === KIND.FRAME) frames++;
      output.release();
    }
    return frames;
  };
  for (let stream = 0; stream < STREAMS; stream++) {
    table.assign(stream, { shard: 0, codec: codecId(codec), clockRate, sampleRate, channels: 1, wants, detector });
    const info: StreamInfo = {
      stream,
      interactionId: `${stream}`,
      codec,
      clockRate,
      sampleRate,
      channels: 1,
      startedAtMs: 0,
    };
    const open = Buffer.from(JSON.stringify(info));
    put(KIND.OPEN, stream, open);
    input.commit(RECORD.INPUT_HEADER_BYTES + open.length);
  }
  drain();
  let tick = 0;
  return {
    name,
    unit: 'packet of 20 ms',
    steps: STREAMS,
    run() {
      for (let stream = 0; stream < STREAMS; stream++) {
        const packet = packets[(tick + stream) % packets.length] as Buffer;
        const at = put(KIND.PACKET, stream, packet);
        input.view.setFloat64(at + RECORD.SEQUENCE, tick, true);
        input.view.setFloat64(at + RECORD.TIMESTAMP, (tick * clockRate) / 50, true);
        input.view.setFloat64(at + RECORD.POSITION, (tick * sampleRate) / 50, true);
        input.commit(RECORD.INPUT_HEADER_BYTES + packet.length);
      }
      if (drain() !== STREAMS) throw new Error('The shard has not put out one frame a packet.');
      tick++;
    },
  };
}

/** @throws TrunklineError CONFIG_INVALID for the neural detector without its model. */
function shardData(detector: SilenceDetector): ShardData {
  const { memory, shards, streamTable, outputWaiter, speechWeights } = layOutMemory({
    shards: 1,
    maxStreams: STREAMS,
    arenaBytes: 0,
    inputRingBytes: RING_BYTES,
    outputRingBytes: RING_BYTES,
    recorderRingBytes: 0,
  });
  const [places] = shards;
  if (places === undefined) throw new Error('The memory has no shard.');
  const { control, counters, input, output } = places;
  if (detector === 'neural') new SpeechModel({ memory, speechWeights }).load();
  return {
    layoutVersion: LAYOUT_VERSION,
    shard: 0,
    memory,
    control,
    counters,
    input,
    output,
    streamTable,
    outputWaiter,
    silence: { threshold: 0.01, windowMs: 200 },
    // Never overloaded: every window that is in doubt is judged.
    speech: { weights: speechWeights.offset, busyUs: Number.POSITIVE_INFINITY },
    native: 'auto',
  };
}

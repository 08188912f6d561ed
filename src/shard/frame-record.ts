import type { Level } from '../audio/level.js';
import { alignRecord, FLAG, KIND, RECORD as RECORD_FIELDS } from '../ring/layout.js';

/** Declared here, for the compiler: an import is looked up at each use. */
const RECORD = RECORD_FIELDS;

/** Two edges are at least 55 ms apart (audio/silence.ts), which is 440 samples at the lowest rate. */
const LEAST_SAMPLES_PER_EDGE = 220;

/** Those of a gap before the frame, and of kinds of silence (audio/silence-kind.ts). */
const OTHER_EDGES = 7;

/** Space for a frame and, right behind it, for every silence edge in it. */
export function frameSpace(samples: number): number {
  const edges = OTHER_EDGES + Math.ceil(samples / LEAST_SAMPLES_PER_EDGE);
  return alignRecord(RECORD.OUTPUT_HEADER_BYTES + samples * 2) + edges * RECORD.OUTPUT_HEADER_BYTES;
}

/** The word of a record that has its kind, channel, codec and flags, with another kind and flags. */
export function withKind(traits: number, kind: number, flags: number): number {
  return kind | (traits & 0x00ffff00) | (flags << 24);
}

/** The fields of the frame at `out` that say what it is, out of the input record at `at`; its kind and stream are the caller's. */
export function writeFrame(
  words: Int32Array,
  doubles: Float64Array,
  at: number,
  out: number,
  position: number,
  samples: number,
  level: Level,
  processedUs: number,
): void {
  words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = samples * 2;
  doubles[(out + RECORD.SEQUENCE) >> 3] = doubles[(at + RECORD.SEQUENCE) >> 3] as number;
  doubles[(out + RECORD.TIMESTAMP) >> 3] = doubles[(at + RECORD.TIMESTAMP) >> 3] as number;
  doubles[(out + RECORD.POSITION) >> 3] = position;
  doubles[(out + RECORD.ARRIVAL_US) >> 3] = doubles[(at + RECORD.ARRIVAL_US) >> 3] as number;
  words[(out + RECORD.SAMPLE_COUNT) >> 2] = samples;
  words[(out + RECORD.PEAK) >> 2] = level.peak;
  doubles[(out + RECORD.MEAN_SQUARE) >> 3] = level.meanSquare;
  doubles[(out + RECORD.PROCESSED_US) >> 3] = processedUs;
}

/** Copies a control record of the input ring to an output ring, where headers are longer. */
export function copyControl(bytes: Uint8Array, at: number, out: number, payloadLength: number): void {
  const payload = at + RECORD.INPUT_HEADER_BYTES;
  bytes.copyWithin(out, at, payload);
  bytes.copyWithin(out + RECORD.OUTPUT_HEADER_BYTES, payload, payload + payloadLength);
}

/** The record of the edge at `index` of `edges`. */
export function writeEdge(
  view: DataView,
  out: number,
  stream: number,
  channel: number,
  arrivalUs: number,
  edges: Float64Array,
  index: number,
): void {
  view.setUint8(out + RECORD.KIND, KIND.EDGE);
  view.setUint8(out + RECORD.CHANNEL, channel);
  const state = edges[index + 1] as number;
  view.setUint8(out + RECORD.FLAGS, state > 0 ? FLAG.SILENT : 0);
  view.setInt32(out + RECORD.SILENCE_KIND, Math.max(0, state - 1), true);
  view.setInt32(out + RECORD.STREAM, stream, true);
  view.setInt32(out + RECORD.PAYLOAD_LENGTH, 0, true);
  view.setFloat64(out + RECORD.POSITION, edges[index] as number, true);
  view.setFloat64(out + RECORD.ARRIVAL_US, arrivalUs, true);
}

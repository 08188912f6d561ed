import { alignRecord, FLAG, KIND, RECORD } from '../ring/layout.js';

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

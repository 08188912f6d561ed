import { alignRecord, RECORD } from '../ring/layout.js';

/** Two edges are at least 55 ms apart (audio/silence.ts), which is 440 samples at the lowest rate. */
const LEAST_SAMPLES_PER_EDGE = 220;

/** Space for a frame and, right behind it, for every silence edge in it. */
export function frameSpace(samples: number): number {
  const edges = 3 + Math.ceil(samples / LEAST_SAMPLES_PER_EDGE);
  return alignRecord(RECORD.OUTPUT_HEADER_BYTES + samples * 2) + edges * RECORD.OUTPUT_HEADER_BYTES;
}

/** The word of a record that has its kind, channel, codec and flags, with another kind and flags. */
export function withKind(traits: number, kind: number, flags: number): number {
  return kind | (traits & 0x00ffff00) | (flags << 24);
}

import { addSquares, type Level, SQUARES, setLevel } from './level.js';
import type { SampleMemory } from './sample-memory.js';

/** More than a frame of 200 ms has; for longer ones the array grows when the first of them comes. */
const USUAL_PARTS = 64;

const squares = new Float64Array(SQUARES.SLOTS);

/**
 * The energy of one frame in parts, cut where the hops of silence detection end (silence.ts). Made once and used for
 * frame after frame. Whatever passes over the samples fills it in: G.711 as it decodes, which saves a second pass.
 */
export class FrameEnergy {
  /** Longer than any frame, for frames of one part; the cut after it is a small integer as well. */
  static readonly WHOLE = 1 << 29;
  /** Samples in a hop, and before the first cut: 1 to `hop`. All frames are one part until it is said. */
  hop: number = FrameEnergy.WHOLE;
  toCut: number = FrameEnergy.WHOLE;
  /** Sum of the squares of each part; a whole number below 2^53. */
  parts = new Float64Array(USUAL_PARTS);
  /** Parts of the frame at hand. */
  count = 0;
  /** The largest square of the frame at hand. */
  largest = 0;

  /** Makes the array long enough for the parts of `samples` samples. */
  reserve(samples: number): void {
    const most = Math.ceil(samples / this.hop) + 1;
    if (most > this.parts.length) this.parts = new Float64Array(most);
  }

  /** Fills in the level of the frame of `samples` samples, the same as measureLevel() would. */
  level(samples: number, into: Level): void {
    let energy = 0;
    for (let part = 0; part < this.count; part++) energy += this.parts[part] as number;
    setLevel(into, energy, this.largest, samples);
  }
}

/** Measures the frame of `count` samples from `pcm.samples[at]` on, cut as `energy` says. */
export function measureFrame(pcm: SampleMemory, at: number, count: number, energy: FrameEnergy): void {
  energy.reserve(count);
  const { parts, hop } = energy;
  let part = 0;
  squares[SQUARES.LARGEST] = 0;
  for (let next = 0, cut = energy.toCut; next < count; next = cut, cut += hop) {
    addSquares(pcm, at + next, at + Math.min(cut, count), squares);
    parts[part++] = squares[SQUARES.ENERGY] as number;
  }
  energy.count = part;
  energy.largest = squares[SQUARES.LARGEST] as number;
}

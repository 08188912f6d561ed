import type { Timeline } from '../../rtp/timeline.js';

const NONE = -1;

/**
 * Pauses of streams: what arrives in one is withheld before it comes to any ring, and its place on the time line is
 * marked. Decided by arrival as packets leave the jitter buffer: what is still held when a pause begins is withheld as
 * well, and what arrived before it ended never comes out after it.
 */
export class Pauses {
  readonly #timeline: Timeline;
  readonly #mark: (lane: number, startTicks: number, durationTicks: number) => void;
  readonly #isPaused: Uint8Array;
  /** Packets that arrive later are let through; infinity while nobody has said so. */
  readonly #untilUs: Float64Array;
  readonly #start: Float64Array;
  /** Packets withheld. */
  readonly packets: Float64Array;

  constructor(
    lanes: number,
    timeline: Timeline,
    mark: (lane: number, startTicks: number, durationTicks: number) => void,
  ) {
    this.#timeline = timeline;
    this.#mark = mark;
    this.#isPaused = new Uint8Array(lanes);
    this.#untilUs = new Float64Array(lanes);
    this.#start = new Float64Array(lanes);
    this.packets = new Float64Array(lanes);
  }

  openLane(lane: number): void {
    this.#isPaused[lane] = 0;
    this.packets[lane] = 0;
  }

  begin(lane: number): void {
    this.#untilUs[lane] = Number.POSITIVE_INFINITY;
    if (this.#isPaused[lane] === 1) return;
    this.#isPaused[lane] = 1;
    this.#start[lane] = this.#timeline.end(lane);
  }

  /** What arrives up to `untilUs` still belongs to the pause. */
  end(lane: number, untilUs: number): void {
    if (this.#isPaused[lane] === 1) this.#untilUs[lane] = untilUs;
  }

  isPaused(lane: number): boolean {
    return this.#isPaused[lane] === 1;
  }

  /** Whether a packet of a paused lane is withheld; the first one that is not ends the pause and marks it. */
  withholds(lane: number, position: number, arrivalUs: number): boolean {
    const start = this.#start[lane] as number;
    if (arrivalUs <= (this.#untilUs[lane] as number)) {
      if (start === NONE) this.#start[lane] = position;
      this.packets[lane] = (this.packets[lane] as number) + 1;
      return true;
    }
    this.#isPaused[lane] = 0;
    if (start !== NONE && position > start) this.#mark(lane, start, position - start);
    return false;
  }

  /** The stream ends: marks a pause that has not come to its end. */
  closeLane(lane: number): void {
    if (this.#isPaused[lane] === 0) return;
    this.#isPaused[lane] = 0;
    const start = this.#start[lane] as number;
    const end = this.#timeline.end(lane);
    if (start !== NONE && end > start) this.#mark(lane, start, end - start);
  }
}

import type { Timeline } from '../../rtp/timeline.js';

const NONE = -1;
/** The length of a mark is a 32-bit number. */
const MOST_TICKS = 2 ** 31 - 1;

/**
 * Pauses of streams: packets of a paused stream are withheld before they reach a ring, and their span on the time line
 * is marked. What counts is the arrival, decided when packets leave the jitter buffer: packets that are still buffered
 * when a pause begins are withheld too, and packets that arrived before it ended are not released after it.
 */
export class Pauses {
  readonly #timeline: Timeline;
  readonly #mark: (channel: number, startTicks: number, durationTicks: number) => void;
  readonly #isPaused: Uint8Array;
  /** Packets that arrive later are released; infinity until end() is called. */
  readonly #untilUs: Float64Array;
  readonly #start: Float64Array;
  /** Packets withheld. */
  readonly packets: Float64Array;

  constructor(
    channels: number,
    timeline: Timeline,
    mark: (channel: number, startTicks: number, durationTicks: number) => void,
  ) {
    this.#timeline = timeline;
    this.#mark = mark;
    this.#isPaused = new Uint8Array(channels);
    this.#untilUs = new Float64Array(channels);
    this.#start = new Float64Array(channels);
    this.packets = new Float64Array(channels);
  }

  openChannel(channel: number): void {
    this.#isPaused[channel] = 0;
    this.packets[channel] = 0;
  }

  begin(channel: number): void {
    this.#untilUs[channel] = Number.POSITIVE_INFINITY;
    if (this.#isPaused[channel] === 1) return;
    this.#isPaused[channel] = 1;
    this.#start[channel] = this.#timeline.end(channel);
  }

  /** What arrives up to `untilUs` still belongs to the pause. */
  end(channel: number, untilUs: number): void {
    if (this.#isPaused[channel] === 1) this.#untilUs[channel] = untilUs;
  }

  isPaused(channel: number): boolean {
    return this.#isPaused[channel] === 1;
  }

  /** Whether a packet of a paused channel is withheld; the first one that is not ends the pause and marks it. */
  withholds(channel: number, position: number, arrivalUs: number): boolean {
    const start = this.#start[channel] as number;
    if (arrivalUs <= (this.#untilUs[channel] as number)) {
      if (start === NONE) this.#start[channel] = position;
      this.packets[channel] = (this.packets[channel] as number) + 1;
      return true;
    }
    this.#isPaused[channel] = 0;
    if (start !== NONE && position > start) this.#mark(channel, start, position - start);
    return false;
  }

  /** The stream ends: marks a pause that no packet has ended, up to its end or to now, even if nothing arrived in it. */
  closeChannel(channel: number, nowUs: number): void {
    if (this.#isPaused[channel] === 0) return;
    this.#isPaused[channel] = 0;
    const start = this.#start[channel] as number;
    const end = this.#timeline.positionAt(channel, Math.min(nowUs, this.#untilUs[channel] as number));
    if (start !== NONE && end > start) this.#mark(channel, start, Math.min(end - start, MOST_TICKS));
  }
}

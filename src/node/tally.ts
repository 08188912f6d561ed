import { addCounts, zeroCounts } from '../core/counts.js';
import type { FrameSink, FrameView, ReceptionCounts, StreamInfo, StreamSummary } from '../core/events.js';

export interface TallyCounts extends ReceptionCounts {
  streams: number;
  framesDelivered: number;
  framesSilent: number;
}

/** What a node has seen since its start, streams that have ended included. */
export class Tally implements FrameSink {
  readonly #sum: TallyCounts = { ...zeroCounts(), streams: 0, framesDelivered: 0, framesSilent: 0 };

  streamOpened(): void {
    this.#sum.streams++;
  }

  frame(frame: FrameView): void {
    this.#sum.framesDelivered++;
    if (frame.isSilent) this.#sum.framesSilent++;
  }

  streamEnded(_info: StreamInfo, summary: StreamSummary): void {
    addCounts(this.#sum, summary);
  }

  /** The total, with the counts of the streams still open. */
  total(open: Iterable<ReceptionCounts>): TallyCounts {
    const sum = { ...this.#sum };
    for (const counts of open) addCounts(sum, counts);
    return sum;
  }
}

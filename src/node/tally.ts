import { addCounts, zeroCounts } from '../core/counts.js';
import type { FrameSink, ReceptionCounts, StreamInfo, StreamSummary } from '../core/events.js';

/** Reception counts of a node since its start, streams that have ended included. */
export class Tally implements FrameSink {
  readonly #ended = zeroCounts();

  streamEnded(_info: StreamInfo, summary: StreamSummary): void {
    addCounts(this.#ended, summary);
  }

  /** The total, with the counts of the streams still open. */
  total(open: Iterable<ReceptionCounts>): ReceptionCounts {
    const sum = { ...this.#ended };
    for (const counts of open) addCounts(sum, counts);
    return sum;
  }
}

import { addCounts, zeroCounts } from '../../core/counts.js';
import type { FrameSink, ReceptionCounts, StreamInfo, StreamSummary } from '../../core/events.js';

/** Reception counts of a node since its start, streams that have ended included. */
export class Tally implements FrameSink {
  readonly #ended = zeroCounts();

  streamEnded(_info: StreamInfo, summary: StreamSummary): void {
    addCounts(this.#ended, summary);
  }

  /** The total, to which `addOpen` adds the counts of the streams still open. */
  total(addOpen: (sum: ReceptionCounts) => void): ReceptionCounts {
    const sum = { ...this.#ended };
    addOpen(sum);
    return sum;
  }
}

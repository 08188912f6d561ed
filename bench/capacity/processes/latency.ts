import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { LatencyHistogram } from '../../../src/sinks/metrics/latency.js';
import { dueUs, isInWindow, type Timetable } from '../load/plan.js';
import type { SubjectReport } from './messages.js';

/**
 * Time of decoding is recorded of every eleventh packet: each record is CPU that the node under test is charged for. A
 * number that divides few numbers of streams, or it would be the same streams every time.
 */
const PROCESSED_EVERY = 11;

/**
 * Latency of each packet of the steady window, from the moment it was due on the wire. Due times follow from the
 * packet's tick alone, so that nothing has to travel with it. The load comes in order, and the jitter buffer does not hold
 * such packets.
 */
export class LatencyMeter {
  // Not the library's own record, which would cost the subject a tenth of what it is measured for.
  readonly #delivered = new LatencyHistogram();
  readonly #processed = new LatencyHistogram();
  #timetable: Timetable | undefined;
  #parts = 0;
  #windowPackets = 0;
  /** All packets since the beginning. */
  packets = 0;

  begin(timetable: Timetable): void {
    this.#timetable = timetable;
  }

  /**
   * A packet has come through, or a part of one.
   *
   * @param share of the packet; the parts of one add up to 1, and each counts its own latency.
   * @param processedUs when it had been decoded; `nowUs` for a subject that does everything in one go.
   */
  packet(index: number, tick: number, share: number, processedUs: number, nowUs: number): void {
    this.packets += share;
    if (this.#timetable === undefined) return;
    const due = dueUs(this.#timetable, index, tick);
    if (!isInWindow(this.#timetable, due)) return;
    this.#windowPackets += share;
    this.#delivered.record(nowUs - due);
    if (this.#parts++ % PROCESSED_EVERY === 0) this.#processed.record(processedUs - due);
  }

  report(): Required<Pick<SubjectReport, 'packetsDelivered' | 'delivered' | 'processed'>> {
    return {
      packetsDelivered: Math.round(this.#windowPackets),
      delivered: encodeIntoCompressedBase64(this.#delivered.histogram()),
      processed: encodeIntoCompressedBase64(this.#processed.histogram()),
    };
  }
}

import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { newHistogram, recordUs } from './histogram.js';
import { isInWindow, type Load, sequenceBase, TICK_US, type Timetable } from './plan.js';

/** Time of decoding is recorded of every eighth packet: each record is CPU that the node under test is charged for. */
const PROCESSED_MASK = 7;

/**
 * Latency of each packet of the steady window, from the moment it was due on the wire. Due times follow from the
 * sequence number alone, so that nothing has to travel with the packet.
 */
export class LatencyMeter {
  readonly #load: Load;
  readonly #holdUs: number;
  readonly #delivered = newHistogram();
  readonly #processed = newHistogram();
  /** Of each interaction: when a packet with sequence number 0 would have been due to leave the hold. */
  #zeroUs: Float64Array | undefined;
  /** All packets since the beginning. */
  packets = 0;
  /** Those of the steady window. */
  windowPackets = 0;

  /** @param holdUs the hold that the subject adds on purpose, which is no latency of its own doing. */
  constructor(load: Load, holdUs: number) {
    this.#load = load;
    this.#holdUs = holdUs;
  }

  begin({ startUs, phaseUs }: Timetable): void {
    this.#zeroUs = phaseUs.map((us, index) => startUs + us - sequenceBase(index) * TICK_US + this.#holdUs);
  }

  /** @param processedUs when it had been decoded; `nowUs` for a subject that does everything in one go. */
  packet(index: number, sequence: number, processedUs: number, nowUs: number): void {
    this.packets++;
    if (this.#zeroUs === undefined || !isInWindow(this.#load, sequence - sequenceBase(index))) return;
    const dueUs = (this.#zeroUs[index] as number) + sequence * TICK_US;
    recordUs(this.#delivered, nowUs - dueUs);
    if ((this.windowPackets & PROCESSED_MASK) === 0) recordUs(this.#processed, processedUs - dueUs);
    this.windowPackets++;
  }

  encoded(): { readonly delivered: string; readonly processed: string } {
    return {
      delivered: encodeIntoCompressedBase64(this.#delivered),
      processed: encodeIntoCompressedBase64(this.#processed),
    };
  }
}

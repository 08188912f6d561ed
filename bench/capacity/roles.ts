import type { Timetable } from './load/plan.js';
import type { LatencyMeter } from './processes/latency.js';
import type { GeneratorReport, Losses } from './processes/messages.js';

/** One side of a run. */
export interface Side {
  /** Begins to listen and returns its address, or begins to connect and returns undefined. */
  start(): Promise<string | undefined>;
  stop(): Promise<void>;
}

/** What makes the load. */
export interface Generator extends Side {
  /** When every stream is there: the `zeroUs` of the timetable. The load flows from then on. */
  readonly ready: Promise<Float64Array>;
  /** Resolves some time after the end of the window, when everything has been said. */
  measure(timetable: Timetable): Promise<GeneratorReport>;
}

/** What takes the load. */
export interface Subject extends Side {
  readonly backend: string;
  /** Threads that decode, and the recorder where there is one. */
  readonly workers: number;
  /** Absent where the subject does not look at the packets. */
  readonly meter?: LatencyMeter;
  /** Packets that have come through. Only grows, as do the losses. */
  packets(): number;
  losses(): Losses;
}

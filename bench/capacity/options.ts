import type { LoadCodec } from './plan.js';

/** What `bench capacity` is asked for. */
export interface CapacityOptions {
  /** Numbers of streams to run, one after the other. */
  readonly sweep: readonly number[];
  readonly codec: LoadCodec;
  readonly record: boolean;
  /** Length of the steady window. */
  readonly seconds: number;
  /** Load before the window, for the compilers to finish and the heap to settle. */
  readonly warmup: number;
  /** Rounds of node and baselines in turn; their medians are reported. */
  readonly repeat: number;
  readonly native: 'off' | 'auto' | 'require';
  /** Folder for CPU profiles of the node's threads. Profiling costs CPU: the figures are then worth nothing. */
  readonly profile?: string | undefined;
}

export const CAPACITY_DEFAULTS: CapacityOptions = {
  sweep: [1000],
  codec: 'pcmu',
  record: false,
  seconds: 10,
  warmup: 4,
  repeat: 5,
  native: 'auto',
};

/** Long enough to show that everything works, too short to say how fast. */
export const SMOKE_OPTIONS: CapacityOptions = {
  ...CAPACITY_DEFAULTS,
  sweep: [20],
  seconds: 1,
  warmup: 1,
  repeat: 1,
};

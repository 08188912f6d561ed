/** One step of the hot path, done many times over: a loop takes longer than looking at the clock does. */
export interface MicroCase {
  /** Module and step. */
  readonly name: string;
  /** What one of them is. */
  readonly unit: string;
  /** Steps that one call of `run` makes. */
  readonly steps: number;
  /** Name of the case that it is to be compared with. */
  readonly beside?: string;
  run(): void;
}

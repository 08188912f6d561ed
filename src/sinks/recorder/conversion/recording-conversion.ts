import { errnoOf } from '../files/disk-fault.js';
import type { Manifest } from '../files/manifest.js';

/** What is done with the files of a recording that is complete. */
export interface ConversionWork {
  /** Does a millisecond or two of work. True once nothing is left. Throws what node:fs throws; then abandon() is next. */
  step(): boolean;
  /** The manifest with what was made. */
  converted(manifest: Manifest): Manifest;
  /** Gives up, and removes what was made. */
  abandon(): void;
}

/** The conversion of one recording of the recorder's thread: run in shares once its audio is complete, or given up. */
export class RecordingConversion {
  /** Called with the system's code of the error when the conversion is given up, or with none when there is no time for it. */
  readonly #onLeft: (code: string | undefined) => void;
  #works: readonly ConversionWork[] = [];
  #done = 0;
  #state: 'none' | 'running' | 'done' | 'failed' | 'left' = 'none';

  constructor(onLeft: (code: string | undefined) => void) {
    this.#onLeft = onLeft;
  }

  get hasBegun(): boolean {
    return this.#state !== 'none';
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  begin(works: readonly ConversionWork[]): void {
    this.#works = works;
    this.#done = 0;
    this.#state = 'running';
  }

  /** Works as long as there is time. True when nothing is left to do: converted, or given up for a fault of the disk. */
  run(hasTime: () => boolean): boolean {
    if (!this.isRunning) return true;
    try {
      for (; this.#done < this.#works.length; this.#done++) {
        while (this.#works[this.#done]?.step() === false) if (!hasTime()) return false;
      }
      this.#state = 'done';
    } catch (thrown) {
      this.#giveUp('failed', errnoOf(thrown));
    }
    return true;
  }

  /** There is no time for it: the recording remains WAV. */
  leave(): void {
    if (this.isRunning) this.#giveUp('left');
  }

  /** The folder was removed, and with it what was converted. */
  reset(): void {
    for (const work of this.#works) work.abandon();
    this.#works = [];
    this.#state = 'none';
  }

  /** What the manifest becomes with it. */
  applyTo(manifest: Manifest): Manifest {
    if (this.#state === 'failed') return { ...manifest, notConverted: 'failed' };
    return this.#state === 'done' ? this.#works.reduce((made, work) => work.converted(made), manifest) : manifest;
  }

  #giveUp(state: 'failed' | 'left', code?: string): void {
    this.#state = state;
    for (const work of this.#works.slice(this.#done)) work.abandon();
    this.#onLeft(code);
  }
}

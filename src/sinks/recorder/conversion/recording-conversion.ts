import { errnoOf } from '../files/disk-fault.js';
import type { Manifest } from '../files/manifest.js';
import { type ConversionFiles, FlacConversion } from './flac-conversion.js';

/** The conversion of one recording of the recorder's thread: run in shares once its audio is complete, or given up. */
export class RecordingConversion {
  /** Called with the system's code of the error when the conversion is given up, or with none when there is no time for it. */
  readonly #onLeft: (code: string | undefined) => void;
  #work: FlacConversion | undefined;
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

  /** @param folder path of the recording, of which `manifest` says all. */
  begin(folder: string, manifest: Manifest, fileMode: number, files?: ConversionFiles): void {
    this.#work = new FlacConversion(folder, manifest, fileMode, files);
    this.#state = 'running';
  }

  /** Works as long as there is time. True when nothing is left to do: converted, or given up for a fault of the disk. */
  run(hasTime: () => boolean): boolean {
    if (!this.isRunning) return true;
    try {
      while (this.#work?.step() === false) if (!hasTime()) return false;
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
    this.#work?.abandon();
    this.#work = undefined;
    this.#state = 'none';
  }

  /** What the manifest becomes with it. */
  applyTo(manifest: Manifest): Manifest {
    if (this.#state === 'failed') return { ...manifest, notConverted: 'failed' };
    return this.#state === 'done' ? (this.#work?.converted(manifest) ?? manifest) : manifest;
  }

  #giveUp(state: 'failed' | 'left', code?: string): void {
    this.#state = state;
    this.#work?.abandon();
    this.#onLeft(code);
  }
}

import { type RecorderMemory, SLOT } from '../recorder-memory.js';
import type { RecordingFiles } from '../recording-files.js';

/** What a recording has lost of its audio, because the disk or the recorder's ring did not take it. */
export class MissingSamples {
  readonly #memory: RecorderMemory;
  /** Absolute offset of the recording's slot. */
  readonly #slot: number;
  readonly #files: RecordingFiles;
  /** A span without audio is in no checkpoint yet; from the audio alone a repair would take it for silence. */
  isUrgent = false;

  constructor(memory: RecorderMemory, slot: number, files: RecordingFiles) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
  }

  get any(): boolean {
    return this.#memory.int(this.#slot, SLOT.INCOMPLETE) === 1;
  }

  /** So many samples were dropped; their spans say so already. */
  add(samples: number, nowUs: number): void {
    if (samples === 0 || !this.mark(samples) || !this.#files.hasFolder) return;
    try {
      // At once, because after a kill no repair could tell the gap from silence.
      this.#files.checkpoint(nowUs);
    } catch {
      // The next checkpoint says so too; the fault that led here has been reported.
    }
  }

  /** Counts them and marks the recording. True for the first time. */
  mark(samples: number): boolean {
    this.#memory.count('samplesDropped', samples);
    this.isUrgent = true;
    if (this.any) return false;
    this.#memory.setInt(this.#slot, SLOT.INCOMPLETE, 1);
    return true;
  }
}

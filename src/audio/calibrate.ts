/** What a stretch of a line's sound says about the threshold to use on it. */
export interface Calibration {
  /** Recommended threshold of silence detection, RMS of full scale. */
  readonly threshold: number;
  /** RMS of the ambient sound; 0 when nothing but digital silence was heard. */
  readonly ambientRms: number;
  /** RMS of what stands out from it; 0 when nothing does. */
  readonly speechRms: number;
  /** How much was heard. */
  readonly seconds: number;
}

const WINDOWS_A_SECOND = 50;
const STEPS_A_DECIBEL = 2;
// Half an LSB is −96 dBFS.
const FLOOR_DECIBEL = -96;
const STEPS = -FLOOR_DECIBEL * STEPS_A_DECIBEL + 1;
const AMBIENT_PERCENTILE = 0.1;
const AMBIENT_MARGIN = 4;
const SPEECH_MARGIN = 4;
const LEAST_AMBIENT_MARGIN = 2;
const SPEECH_SHARE = 0.01;
const MIN_THRESHOLD = 0.001;
const MAX_THRESHOLD = 0.05;

/**
 * Estimates the ambient noise of a line, and what threshold tells speech from it. Fed with sound as it comes, it holds
 * only a histogram of the RMS of 20 ms windows, in steps of half a decibel.
 *
 * - Ambient is the level that a tenth of the windows lie below. Even somebody who talks all the time pauses for more
 *   than a tenth of it. Windows of digital silence are left out: they are a muted or gated line, not a quiet room.
 * - The threshold is 4 times (12 dB) above it: speech is held down to half the threshold, so that the ambient sound
 *   may be 6 dB above its own estimate, as babble and traffic are at times, and still count as silence.
 * - Where speech stands out (windows 12 dB above the ambient sound, at least one in a hundred), the threshold is at
 *   most a quarter of its RMS, for syllables differ by 12 dB; but always twice the ambient sound.
 * - It stays within 0.001 and 0.05 (−60 and −26 dBFS): below lies the quantisation noise of G.711 codecs in a chain,
 *   above, the speech of a soft voice.
 */
export class Calibrator {
  readonly #windowSamples: number;
  readonly #windows = new Float64Array(STEPS);
  readonly #energy = new Float64Array(STEPS);
  #samples = 0;
  #fill = 0;
  #sum = 0;

  constructor(sampleRate: number) {
    this.#windowSamples = sampleRate / WINDOWS_A_SECOND;
  }

  /** Takes in `count` samples of one channel from `pcm[at]` on. */
  feed(pcm: Int16Array, at = 0, count = pcm.length - at): void {
    this.#samples += count;
    for (let i = at; i < at + count; i++) {
      const sample = pcm[i] as number;
      this.#sum += sample * sample;
      if (++this.#fill === this.#windowSamples) {
        this.#closeWindow();
        this.#fill = 0;
        this.#sum = 0;
      }
    }
  }

  #closeWindow(): void {
    if (this.#sum === 0) return;
    const meanSquare = this.#sum / (this.#windowSamples * 32768 * 32768);
    const step = Math.max(0, Math.round((10 * Math.log10(meanSquare) - FLOOR_DECIBEL) * STEPS_A_DECIBEL));
    this.#windows[step] = (this.#windows[step] as number) + 1;
    this.#energy[step] = (this.#energy[step] as number) + meanSquare;
  }

  result(): Calibration {
    const all = this.#windows.reduce((sum, count) => sum + count, 0);
    const ambientRms = this.#ambientRms(all);
    const speechRms = ambientRms === 0 ? 0 : this.#rmsFrom(ambientRms * AMBIENT_MARGIN, all * SPEECH_SHARE);
    let threshold = ambientRms * AMBIENT_MARGIN;
    if (speechRms > 0)
      threshold = Math.max(ambientRms * LEAST_AMBIENT_MARGIN, Math.min(threshold, speechRms / SPEECH_MARGIN));
    return {
      threshold: Math.min(Math.max(threshold, MIN_THRESHOLD), MAX_THRESHOLD),
      ambientRms,
      speechRms,
      seconds: this.#samples / (this.#windowSamples * WINDOWS_A_SECOND),
    };
  }

  #ambientRms(all: number): number {
    let below = 0;
    for (let step = 0; step < STEPS; step++) {
      const count = this.#windows[step] as number;
      below += count;
      if (count > 0 && below >= all * AMBIENT_PERCENTILE) return Math.sqrt((this.#energy[step] as number) / count);
    }
    return 0;
  }

  /** RMS of the windows at or above `level`, or 0 when there are fewer than `least` of them. */
  #rmsFrom(level: number, least: number): number {
    let count = 0;
    let energy = 0;
    const first = Math.max(0, Math.ceil((20 * Math.log10(level) - FLOOR_DECIBEL) * STEPS_A_DECIBEL));
    for (let step = first; step < STEPS; step++) {
      count += this.#windows[step] as number;
      energy += this.#energy[step] as number;
    }
    return count > 0 && count >= least ? Math.sqrt(energy / count) : 0;
  }
}

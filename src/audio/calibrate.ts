/** What the sound of a line says about the threshold to use on it. Levels are RMS, as a share of full scale. */
export interface Calibration {
  /** Recommended threshold of silence detection: silence ends where the level reaches it. */
  readonly threshold: number;
  /** Half the threshold: silence returns where the level stays below it. Above the ambient sound. */
  readonly releaseLevel: number;
  /** Level of the ambient sound; 0 when there is nothing but digital silence. */
  readonly ambientRms: number;
  /** Level of what stands out from it; 0 when nothing does. */
  readonly speechRms: number;
  /** Length of the sound. */
  readonly seconds: number;
}

const WINDOWS_A_SECOND = 50;
const STEPS_A_DECIBEL = 2;
// Half an LSB is −96 dBFS.
const FLOOR_DECIBEL = -96;
const STEPS = -FLOOR_DECIBEL * STEPS_A_DECIBEL + 1;
/** Share of the windows that lie below the level called ambient. */
const AMBIENT_PERCENTILE = 0.1;
const AMBIENT_MARGIN = 4;
const LEAST_AMBIENT_MARGIN = 3;
/** Percentiles of the ambient windows that silence should, and must, return at. */
const LOUD_AMBIENT_PERCENTILE = 0.9;
const LEAST_LOUD_AMBIENT_PERCENTILE = 0.75;
/** Twice, because speech is released at half the threshold, and 1 dB. */
const LOUD_AMBIENT_MARGIN = 2.24;
const SPEECH_MARGIN = 4;
const SPEECH_SHARE = 0.01;
/** The detector's: see audio/silence. */
const RELEASE = 0.5;
const MIN_THRESHOLD = 0.001;
const MAX_THRESHOLD = 0.05;

/**
 * Estimates the ambient noise of a line, and what threshold tells speech from it. Fed with sound as it comes, it keeps
 * only a histogram of the RMS of 20 ms windows, in steps of half a decibel.
 *
 * - Ambient is the level that a tenth of the windows lie below. Even somebody who talks all the time pauses for more
 *   than a tenth of it. Windows of digital silence are left out: they are a muted or gated line, not a quiet place.
 * - The threshold is 12 dB above it, and more where the ambient sound varies: speech is released at half the threshold,
 *   which must lie above nine tenths of the ambient windows (those less than 12 dB above ambient).
 * - Where speech stands out (windows 12 dB above ambient, at least one in a hundred), the threshold is at most a quarter
 *   of its RMS, because syllables differ by 12 dB.
 * - But in any case half of the threshold lies 3.5 dB above ambient and above three quarters of the ambient windows:
 *   otherwise silence would never return.
 * - It stays within 0.001 and 0.05 (−60 and −26 dBFS), unless louder ambient sound needs more: below lies the
 *   quantisation noise of G.711 codecs in a chain, above, the speech of a soft voice. Where a tenth of all windows is
 *   digital silence, nothing needs more: silence returns in it, and what is called ambient may be a gated voice.
 */
export class Calibrator {
  readonly #windowSamples: number;
  readonly #windows = new Float64Array(STEPS);
  readonly #energy = new Float64Array(STEPS);
  #digitalSilence = 0;
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
    if (this.#sum === 0) {
      this.#digitalSilence++;
      return;
    }
    const meanSquare = this.#sum / (this.#windowSamples * 32768 * 32768);
    const step = Math.max(0, Math.round((10 * Math.log10(meanSquare) - FLOOR_DECIBEL) * STEPS_A_DECIBEL));
    this.#windows[step] = (this.#windows[step] as number) + 1;
    this.#energy[step] = (this.#energy[step] as number) + meanSquare;
  }

  result(): Calibration {
    const all = this.#windows.reduce((sum, count) => sum + count, 0);
    const ambientRms = this.#percentile(AMBIENT_PERCENTILE, STEPS);
    const speechFrom = ambientRms === 0 ? STEPS : stepFrom(ambientRms * AMBIENT_MARGIN);
    const speechRms = ambientRms === 0 ? 0 : this.#rmsFrom(speechFrom, all * SPEECH_SHARE);
    const loud = LOUD_AMBIENT_MARGIN * this.#percentile(LOUD_AMBIENT_PERCENTILE, speechFrom);
    const leastLoud = LOUD_AMBIENT_MARGIN * this.#percentile(LEAST_LOUD_AMBIENT_PERCENTILE, speechFrom);
    const least = Math.max(ambientRms * LEAST_AMBIENT_MARGIN, leastLoud, MIN_THRESHOLD);
    const wanted = Math.min(Math.max(ambientRms * AMBIENT_MARGIN, loud), MAX_THRESHOLD);
    const capped = speechRms > 0 ? Math.min(wanted, speechRms / SPEECH_MARGIN) : wanted;
    const isGated = this.#digitalSilence >= (all + this.#digitalSilence) * AMBIENT_PERCENTILE;
    const threshold = Math.min(isGated ? MAX_THRESHOLD : 1, Math.max(least, capped));
    return {
      threshold,
      releaseLevel: threshold * RELEASE,
      ambientRms,
      speechRms,
      seconds: this.#samples / (this.#windowSamples * WINDOWS_A_SECOND),
    };
  }

  /** RMS of the step that `share` of the windows below step `end` lie in or below; 0 when there are none. */
  #percentile(share: number, end: number): number {
    let all = 0;
    for (let step = 0; step < end; step++) all += this.#windows[step] as number;
    let below = 0;
    for (let step = 0; step < end; step++) {
      const count = this.#windows[step] as number;
      below += count;
      if (count > 0 && below >= all * share) return Math.sqrt((this.#energy[step] as number) / count);
    }
    return 0;
  }

  /** RMS of the windows from step `first` on, or 0 when there are fewer than `least` of them. */
  #rmsFrom(first: number, least: number): number {
    let count = 0;
    let energy = 0;
    for (let step = first; step < STEPS; step++) {
      count += this.#windows[step] as number;
      energy += this.#energy[step] as number;
    }
    return count > 0 && count >= least ? Math.sqrt(energy / count) : 0;
  }
}

function stepFrom(level: number): number {
  return Math.min(STEPS, Math.max(0, Math.ceil((20 * Math.log10(level) - FLOOR_DECIBEL) * STEPS_A_DECIBEL)));
}

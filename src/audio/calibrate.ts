import { SpeechReference } from './speech-reference.js';
import {
  agreement,
  findAgreement,
  findPlateau,
  findSilence,
  HopEnergies,
  type Plateau,
  windowLevels,
} from './threshold-search.js';

/** Whether a fixed threshold can be used on a line, and if not, why. */
export type CalibrationVerdict =
  /** Silence returns, and what is louder is found as speech. */
  | 'works'
  /** Nobody spoke, as far as can be told. */
  | 'noSpeech'
  /** The adaptive detector finds speech, but it does not stand out enough: no threshold tells it from the ambient sound. */
  | 'noThreshold'
  /** There is no level that the sound stays below for half a second where it pauses: no threshold works. */
  | 'noSilence';

/** Number of windows at each level: bin i holds those from `fromDbfs + i` up to one decibel more. */
export interface LevelHistogram {
  readonly fromDbfs: number;
  /** Found as silence, and as speech, with the recommended threshold. */
  readonly silence: readonly number[];
  readonly speech: readonly number[];
}

/** What the sound of a line says about its silence detection. Levels are RMS, as a share of full scale. */
export interface Calibration {
  /** Recommended threshold of the fixed silence detector: silence ends where the level reaches it. */
  readonly threshold: number;
  /** Half the threshold: silence returns where the level stays below it. Above the ambient sound. */
  readonly releaseLevel: number;
  /** Level of the ambient sound; 0 when there is nothing but digital silence. */
  readonly ambientRms: number;
  /** Level of what is found as speech; 0 when nothing is. */
  readonly speechRms: number;
  /** Length of the sound. */
  readonly seconds: number;
  /** Whether that threshold works. */
  readonly verdict: CalibrationVerdict;
  /** Speech over ambient sound in decibels; null when there is only one of them. */
  readonly separationDb: number | null;
  /** Share of the sound that the threshold finds as silence, 0 to 1. */
  readonly silenceShare: number;
  /** Share of digital silence, 0 to 1. */
  readonly digitalSilenceShare: number;
  /** Loudest sample, as a share of full scale. */
  readonly peak: number;
  /** Levels in dBFS that 5, 10, 50, 90 and 95 % of the windows of 20 ms lie below, digital silence left out; null without any. */
  readonly levelsDbfs: Readonly<Record<'p5' | 'p10' | 'p50' | 'p90' | 'p95', number>> | null;
  readonly histogram: LevelHistogram;
}

const HOPS_A_SECOND = 200;
/** What is longer is judged by its first hour. */
const MAX_HOPS = 3600 * HOPS_A_SECOND;
/** Share of the windows that lie below the level called ambient. */
const AMBIENT_PERCENTILE = 0.1;
/** Wanted: 12 dB above ambient sound. */
const AMBIENT_MARGIN = 4;
/** Wanted: 3 dB above the lowest threshold that lets silence return. */
const WANTED_PLATEAU_MARGIN = 10 ** (3 / 20);
/** In any case: 2 dB above the lowest threshold that lets silence return. */
const PLATEAU_MARGIN = 10 ** (2 / 20);
const MIN_THRESHOLD = 0.001;
const MAX_THRESHOLD = 0.05;
const RELEASE = 0.5;
/** Ambient sound alone has nine tenths of its windows, from the 5th percentile on, within this. */
const STEADY_DB = 15;
const SPEECH_SHARE = 0.01;
/** A reference of which less is speech, or less is something else, says nothing of thresholds. */
const REFERENCE_SHARE = 0.02;
/** Where a threshold finds less of what the adaptive detector calls speech, another one is looked for. */
const WANTED_SPEECH = 0.6;
/** A threshold that finds less of it does not work. */
const LEAST_SPEECH = 0.5;
/** Of more speech than this share, so much is enough: in babble the adaptive detector calls too much speech. */
const MOST_REFERENCE_SHARE = 0.35;
/** Where a threshold can find so much of it, the adaptive detector is taken to be right. */
const CLEAR_SPEECH = 0.9;
/** Half an LSB is −96 dBFS. */
const FLOOR_DBFS = -96;

/**
 * Measures the ambient noise of a line, and finds what threshold of the fixed silence detector tells speech from it. Fed with
 * sound as it comes, it keeps the energies of its hops of 5 ms, up to one hour of them.
 *
 * - Ambient is the level that a tenth of the 20 ms windows lie below. Even somebody who talks all the time pauses for more
 *   than a tenth of it. Windows of digital silence are left out: they are a muted or gated line, not a quiet place.
 * - The threshold lies within the thresholds that find about the same silence in this sound (threshold-search.ts): so
 *   silence has been shown to return. Where there is space, it is 12 dB above ambient sound and 3 dB above the lowest
 *   of them, but never above a
 *   third of the way, in decibels, from the lowest of them to the highest, where speech begins to be lost; and never less
 *   than 2 dB above the lowest.
 * - The adaptive detector says where there is speech, too. Where that threshold loses much of it, it is one of the lower
 *   third, in decibels, of those that agree with that detector best, all of which find nearly all of what is not speech.
 *   On a clear line it is not more than 12 dB above ambient sound if it lies above that third. When it still loses half of
 *   the speech, no threshold works: silence returns below half the threshold, so that speech has to be more than 6 dB above the
 *   loudest of the noise.
 * - It stays within 0.001 and 0.05 (−60 and −26 dBFS), unless louder ambient sound needs more: below lies the
 *   quantisation noise of G.711 codecs in a chain, above, the speech of a soft voice. Where a tenth of all windows is
 *   digital silence, nothing needs more: silence returns in it, and what is called ambient may be a gated voice.
 */
export class Calibrator {
  readonly #sampleRate: number;
  /** Whole samples: 5 ms at the rates of telephony, within 0.3 % of it at those of 11,025 Hz and its multiples. */
  readonly #hopSamples: number;
  readonly #hops = new HopEnergies(MAX_HOPS);
  readonly #reference: SpeechReference;
  #samples = 0;
  #fill = 0;
  #sum = 0;
  #peak = 0;

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
    this.#hopSamples = Math.round(sampleRate / HOPS_A_SECOND);
    this.#reference = new SpeechReference(sampleRate);
  }

  /** Takes in `count` samples of one channel from `pcm[at]` on. */
  feed(pcm: Int16Array, at = 0, count = pcm.length - at): void {
    this.#samples += count;
    this.#reference.feed(pcm, at, count);
    for (let i = at; i < at + count; i++) {
      const sample = pcm[i] as number;
      this.#sum += sample * sample;
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      if (++this.#fill === this.#hopSamples) {
        this.#hops.push(this.#sum / (this.#hopSamples * 32768 * 32768));
        this.#fill = 0;
        this.#sum = 0;
      }
    }
  }

  result(): Calibration {
    const hops = this.#hops.all;
    const levels = windowLevels(hops);
    const sounding = levels.filter((_, i) => hops[i] !== 0).sort();
    const digitalSilenceShare = hops.length === 0 ? 0 : 1 - sounding.length / hops.length;
    const isGated = digitalSilenceShare >= AMBIENT_PERCENTILE;
    const ambientRms = Math.sqrt(percentile(sounding, AMBIENT_PERCENTILE));
    const plateau = sounding.length === 0 ? undefined : findPlateau(hops, levels, isGated);
    const spoken = isGated ? undefined : usable(this.#reference.hops(hops.length, this.#hopSamples));
    const silent = new Uint8Array(hops.length);
    const first = thresholdFor(plateau, ambientRms, isGated);
    const threshold = spoken === undefined ? first : agreeing(first, ambientRms, hops, levels, spoken);
    findSilence(hops, levels, threshold, silent);
    const isLost = spoken !== undefined && isMostLost(silent, spoken);
    const speechRms = speechLevel(hops, silent);
    const releaseLevel = threshold * RELEASE;
    return {
      threshold,
      releaseLevel,
      ambientRms,
      speechRms,
      seconds: this.#samples / this.#sampleRate,
      verdict: verdictOf(speechRms > 0, isLost, isSteady(sounding) || isGated),
      separationDb: speechRms > 0 && ambientRms > 0 ? 20 * Math.log10(speechRms / ambientRms) : null,
      silenceShare: hops.length === 0 ? 1 : ones(silent) / hops.length,
      digitalSilenceShare,
      peak: this.#peak / 32768,
      levelsDbfs: sounding.length === 0 ? null : percentilesDbfs(sounding),
      histogram: histogramOf(hops, levels, silent),
    };
  }
}

function thresholdFor(plateau: Plateau | undefined, ambientRms: number, isGated: boolean): number {
  const lowest = plateau === undefined ? 0 : plateau.lowest * WANTED_PLATEAU_MARGIN;
  const wanted = Math.min(Math.max(AMBIENT_MARGIN * ambientRms, lowest), MAX_THRESHOLD);
  if (plateau === undefined) return Math.max(MIN_THRESHOLD, wanted);
  const third = plateau.lowest * (plateau.highest / plateau.lowest) ** (1 / 3);
  const least = plateau.lowest * PLATEAU_MARGIN;
  const threshold = Math.max(least, Math.min(wanted, third), MIN_THRESHOLD);
  return isGated ? Math.min(threshold, MAX_THRESHOLD) : Math.min(threshold, 1);
}

/** What the adaptive detector says, where there is speech and something else. */
function usable(speech: Uint8Array): Uint8Array | undefined {
  const share = ones(speech) / speech.length;
  return share >= REFERENCE_SHARE && share <= 1 - REFERENCE_SHARE ? speech : undefined;
}

/**
 * The threshold; or one in the lower third of those that agree with the adaptive detector, where the threshold loses much of
 * its speech, or lies needlessly far above a quiet line.
 */
function agreeing(
  threshold: number,
  ambientRms: number,
  hops: Float64Array,
  levels: Float64Array,
  speech: Uint8Array,
): number {
  const best = findAgreement(hops, levels, speech);
  if (best === undefined) return threshold;
  const third = best.lowest * (best.highest / best.lowest) ** (1 / 3);
  const least = Math.max(best.lowest * PLATEAU_MARGIN, MIN_THRESHOLD);
  const silent = new Uint8Array(hops.length);
  findSilence(hops, levels, threshold, silent);
  if (agreement(silent, speech).speech < WANTED_SPEECH) return Math.max(least, Math.min(threshold, third));
  if (best.speech < CLEAR_SPEECH) return threshold;
  return Math.min(threshold, Math.max(least, third, AMBIENT_MARGIN * ambientRms));
}

/** Whether the silence that a threshold finds has most of the speech in it. */
function isMostLost(silent: Uint8Array, speech: Uint8Array): boolean {
  const share = ones(speech) / speech.length;
  return agreement(silent, speech).speech * share < LEAST_SPEECH * Math.min(share, MOST_REFERENCE_SHARE);
}

function ones(flags: Uint8Array): number {
  let count = 0;
  for (const flag of flags) count += flag;
  return count;
}

function verdictOf(isSpeechFound: boolean, isMostLost: boolean, isSteady: boolean): CalibrationVerdict {
  if (isSpeechFound && !isMostLost) return 'works';
  if (!isSpeechFound && !isSteady) return 'noSilence';
  return isMostLost ? 'noThreshold' : 'noSpeech';
}

function isSteady(sorted: Float64Array): boolean {
  return sorted.length === 0 || dbfs(percentile(sorted, 0.95)) - dbfs(percentile(sorted, 0.05)) < STEADY_DB;
}

/** RMS of the hops found as speech; 0 when they are fewer than a hundredth of all. */
function speechLevel(hops: Float64Array, silent: Uint8Array): number {
  let count = 0;
  let energy = 0;
  for (let i = 0; i < hops.length; i++) {
    if (silent[i] === 1) continue;
    count++;
    energy += hops[i] as number;
  }
  return count > 0 && count >= hops.length * SPEECH_SHARE ? Math.sqrt(energy / count) : 0;
}

/** Of ascending values; 0 when there are none. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function percentilesDbfs(sorted: Float64Array): Record<'p5' | 'p10' | 'p50' | 'p90' | 'p95', number> {
  const at = (share: number) => dbfs(percentile(sorted, share));
  return { p5: at(0.05), p10: at(0.1), p50: at(0.5), p90: at(0.9), p95: at(0.95) };
}

function dbfs(meanSquare: number): number {
  return Math.max(FLOOR_DBFS, 10 * Math.log10(meanSquare));
}

function histogramOf(hops: Float64Array, levels: Float64Array, silent: Uint8Array): LevelHistogram {
  const silence = new Array<number>(-FLOOR_DBFS + 1).fill(0);
  const speech = new Array<number>(-FLOOR_DBFS + 1).fill(0);
  for (let i = 0; i < hops.length; i++) {
    if (hops[i] === 0) continue;
    const bin = Math.floor(dbfs(levels[i] as number) - FLOOR_DBFS);
    const bins = silent[i] === 1 ? silence : speech;
    bins[bin] = (bins[bin] as number) + 1;
  }
  return { fromDbfs: FLOOR_DBFS, silence, speech };
}

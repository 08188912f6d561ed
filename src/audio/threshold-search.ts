/**
 * Finds the threshold of the fixed silence detector for a sound, by trying thresholds on it: what the detector would do is
 * computed for each, from the energies of the sound's hops of 5 ms. The share of silence that a threshold finds says what
 * levels alone cannot: below the ambient sound it is nothing, since silence never returns; between the ambient sound and
 * speech it hardly depends on the threshold; above, it grows as speech is lost. The threshold belongs on that plateau.
 *
 * The detector is that of audio/silence.ts with its default window and shortest silence; here it begins in speech, so that
 * silence must return by itself.
 */
const WINDOW_HOPS = 4;
const MIN_SILENCE_HOPS = 100;
/** Release level, as a share of the threshold. */
const RELEASE = 0.5;

const FIRST_DBFS = -60;
const STEP_DB = 0.5;
const CANDIDATES = -FIRST_DBFS / STEP_DB + 1;
/** The plateau goes on until the share of silence has risen so much, or by a quarter of what is no silence. */
const PLATEAU_RISE = 0.08;
const PLATEAU_LOSS = 0.25;
/** Share of the silence at the best start of a plateau that the lowest threshold of it must find. */
const PLATEAU_SHARE = 0.95;
/** A wider plateau is no better. */
const MAX_WIDTH_DB = 12;
const MIN_SILENCE_SHARE = 0.05;
/** All silence: a threshold above speech, or there is none. */
const ALL_SILENCE_SHARE = 0.995;
/** Width in decibels times the share of silence, below which a plateau says nothing. */
const MIN_SCORE = 1;

/** A threshold is of use when it finds this share of what is not speech; those hardly worse than the best agree as well. */
const LEAST_NON_SPEECH = 0.93;
const AGREEMENT_LOSS = 0.02;

/** Thresholds that work about equally well, as shares of full scale, and the share of silence at the lowest of them. */
export interface Plateau {
  readonly lowest: number;
  readonly highest: number;
  readonly silenceShare: number;
}

/** Mean squares of the hops of a sound, 0 to 1. */
export class HopEnergies {
  #hops = new Float64Array(4096);
  #count = 0;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** False when there is no space left: it is ignored then. */
  push(meanSquare: number): boolean {
    if (this.#count === this.#capacity) return false;
    if (this.#count === this.#hops.length) {
      const larger = new Float64Array(Math.min(this.#capacity, 2 * this.#count));
      larger.set(this.#hops);
      this.#hops = larger;
    }
    this.#hops[this.#count++] = meanSquare;
    return true;
  }

  get all(): Float64Array {
    return this.#hops.subarray(0, this.#count);
  }
}

/** Mean square of the window that ends with each hop. */
export function windowLevels(hops: Float64Array): Float64Array {
  const levels = new Float64Array(hops.length);
  for (let i = 0; i < hops.length; i++) {
    let sum = 0;
    for (let j = Math.max(0, i - WINDOW_HOPS + 1); j <= i; j++) sum += hops[j] as number;
    levels[i] = sum / WINDOW_HOPS;
  }
  return levels;
}

/** Which hops the detector calls silence with a threshold: 1 in `silent`. */
export function findSilence(hops: Float64Array, levels: Float64Array, threshold: number, silent: Uint8Array): void {
  const on = threshold * threshold;
  const off = on * RELEASE * RELEASE;
  let isSilent = false;
  let quietFrom = 0;
  silent.fill(0);
  for (let i = 0; i < hops.length; i++) {
    const level = levels[i] as number;
    if (isSilent) {
      silent[i] = 1;
      if (level < on) continue;
      isSilent = false;
      quietFrom = i + 1;
      // Back to the first hop of the window that reaches the threshold by itself.
      let onset = Math.max(0, i - WINDOW_HOPS + 1);
      while (onset < i && (hops[onset] as number) < on) onset++;
      silent.fill(0, onset, i + 1);
    } else if (level >= off) {
      quietFrom = i + 1;
    } else if (i + 1 - quietFrom >= MIN_SILENCE_HOPS) {
      isSilent = true;
      silent.fill(1, quietFrom, i + 1);
    }
  }
}

/**
 * The widest plateau of thresholds between −60 and 0 dBFS. Digital silence counts only `withDigitalSilence`: it has
 * nothing to do with the threshold.
 */
export function findPlateau(
  hops: Float64Array,
  levels: Float64Array,
  withDigitalSilence: boolean,
): Plateau | undefined {
  const silent = new Uint8Array(hops.length);
  const shares = new Float64Array(CANDIDATES);
  for (let candidate = 0; candidate < CANDIDATES; candidate++) {
    findSilence(hops, levels, thresholdOf(candidate), silent);
    let all = 0;
    let found = 0;
    for (let i = 0; i < hops.length; i++) {
      if (!withDigitalSilence && hops[i] === 0) continue;
      all++;
      found += silent[i] as number;
    }
    shares[candidate] = all === 0 ? 0 : found / all;
  }
  const best = bestStart(shares);
  if (best === undefined) return undefined;
  // What is a little lower and finds nearly as much belongs to it.
  const first = shares.findIndex((share) => share >= PLATEAU_SHARE * (shares[best] as number));
  const silenceShare = shares[first] as number;
  return { lowest: thresholdOf(first), highest: thresholdOf(plateauEnd(shares, best)), silenceShare };
}

/** Shares of speech and of all else that a threshold finds, 0 to 1. */
export interface Agreement {
  readonly speech: number;
  readonly nonSpeech: number;
}

/** @param silent what a threshold says of each hop. @param speech what is known of it. */
export function agreement(silent: Uint8Array, speech: Uint8Array): Agreement {
  let spoken = 0;
  let spokenFound = 0;
  let quietFound = 0;
  for (let i = 0; i < speech.length; i++) {
    const isSpeech = speech[i] as number;
    spoken += isSpeech;
    if (silent[i] === isSpeech) continue;
    if (isSpeech === 1) spokenFound++;
    else quietFound++;
  }
  const quiet = speech.length - spoken;
  return { speech: spoken === 0 ? 1 : spokenFound / spoken, nonSpeech: quiet === 0 ? 1 : quietFound / quiet };
}

/**
 * The thresholds between −60 and 0 dBFS that agree best with what is known to be `speech`: the lowest and the highest
 * around the best one that are hardly worse. Undefined when none finds nearly all of what is not speech.
 */
export function findAgreement(
  hops: Float64Array,
  levels: Float64Array,
  speech: Uint8Array,
): (Agreement & { readonly lowest: number; readonly highest: number }) | undefined {
  const silent = new Uint8Array(hops.length);
  const found = Array.from({ length: CANDIDATES }, (_, candidate) => {
    findSilence(hops, levels, thresholdOf(candidate), silent);
    return agreement(silent, speech);
  });
  const scores = found.map(({ speech, nonSpeech }) => (nonSpeech < LEAST_NON_SPEECH ? 0 : (speech + nonSpeech) / 2));
  const best = scores.indexOf(Math.max(...scores));
  const least = (scores[best] as number) - AGREEMENT_LOSS;
  if (least <= 0) return undefined;
  let first = best;
  while (first > 0 && (scores[first - 1] as number) >= least) first--;
  let last = best;
  while (last + 1 < CANDIDATES && (scores[last + 1] as number) >= least) last++;
  return { ...(found[best] as Agreement), lowest: thresholdOf(first), highest: thresholdOf(last) };
}

/** Where the plateau begins that is widest and has most silence; or all is silence, where there is none. */
function bestStart(shares: Float64Array): number | undefined {
  let best: number | undefined;
  let bestScore = MIN_SCORE;
  for (const [first, share] of shares.entries()) {
    if (share < MIN_SILENCE_SHARE || share >= ALL_SILENCE_SHARE) continue;
    const score = share * Math.min(MAX_WIDTH_DB, (plateauEnd(shares, first) - first) * STEP_DB);
    if (score > bestScore) {
      best = first;
      bestScore = score;
    }
  }
  if (best !== undefined) return best;
  const all = shares.findIndex((share) => share >= ALL_SILENCE_SHARE);
  return all < 0 ? undefined : all;
}

function plateauEnd(shares: Float64Array, first: number): number {
  const share = shares[first] as number;
  const limit = share + Math.min(PLATEAU_RISE, PLATEAU_LOSS * (1 - share));
  let last = first;
  while (last + 1 < CANDIDATES && (shares[last + 1] as number) <= limit) last++;
  return last;
}

function thresholdOf(candidate: number): number {
  return 10 ** ((FIRST_DBFS + candidate * STEP_DB) / 20);
}

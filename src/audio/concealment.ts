/**
 * Loss concealment for G.711 and L16 (Opus has its own), in the manner of ITU-T G.711 appendix I: the last pitch period
 * of the received samples is repeated, after 10 ms the last two, after 20 ms the last three, and fades out between 10
 * and 60 ms. All times scale with the sample rate.
 *
 * Two things differ from the appendix, because received samples are never changed and nothing is delayed. The appendix
 * delays all audio by 3.75 ms, to smooth the beginning of a loss in the samples before it: here the step between the
 * last received sample and the first repeated one decays over a quarter of a pitch period. And the appendix overlaps
 * its signal with the first good frame: here the last lost packet ends with the beginning of the next one, played
 * backwards in time period by period (fitToNext), where that packet is already known.
 *
 * The native path makes the same samples in the same order of IEEE 754 operations, so this is the whole of it. With the
 * sample rate r, T = r / 100, the history h[0] … h[L−1] of L = 39 r / 800 samples (48.75 ms, oldest first, zeros before
 * the first packet), the pitch period P of pitchPeriod() and Q = ⌊P / 4⌋, sample i of n repeated periods is
 *
 *     R(n, i) = h[L − nP + i],  in its last Q samples faded into the quarter period before the n periods
 *
 * and the k-th sample of a loss, k = 0, 1 …, is
 *
 *     k < T          R(1, k mod P)                       and while k < Q the decaying step
 *     T <= k < 2T    R(2, (k − T + T mod P) mod 2P)      faded from one period to two in the first Q samples
 *     2T <= k < 6T   R(3, (k − 2T + 2T mod P) mod 3P)    faded from two periods to three in the first Q samples
 *     6T <= k        0
 *
 * times (6T − k) / 5T from T on, truncated towards zero. A loss goes on over any number of lost packets and ends with the
 * next packet that is decoded. Concealment does not become history.
 */

/** Longest history, at 48 kHz. */
export const MAX_HISTORY = historySamples(48_000);

/** Samples of history that concealment is made from: three periods of 15 ms and a quarter of one. */
export function historySamples(sampleRate: number): number {
  return (sampleRate * 39) / 800;
}

// The pitch search: 5 to 15 ms, first on sums of samples at 4 kHz, then around the best lag at the full rate.
const COARSE_RATE = 4000;
const COARSE_MIN_LAG = 20;
const COARSE_MAX_LAG = 60;
const COARSE_WINDOW = 80;
/** Mean square below which a window counts as silence, as in the appendix: correlation there is chance. */
const MIN_MEAN_SQUARE = 4;

const coarse = new Float64Array((MAX_HISTORY * COARSE_RATE) / 48_000);

/**
 * The pitch period of the `length` samples of history, in samples: the lag with the highest normalised cross-correlation
 * of the last 20 ms with the 20 ms that lie `lag` before them. All sums are whole numbers below 2^53, so exact.
 */
export function pitchPeriod(history: Int16Array, length: number, sampleRate: number): number {
  const factor = sampleRate / COARSE_RATE;
  const count = Math.floor(length / factor);
  const from = length - count * factor;
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let j = 0; j < factor; j++) sum += history[from + i * factor + j] as number;
    coarse[i] = sum;
  }
  const coarseLag = bestLag(coarse, count, COARSE_WINDOW, COARSE_MIN_LAG, COARSE_MAX_LAG, factor * factor);
  const min = Math.max(COARSE_MIN_LAG * factor, coarseLag * factor - factor + 1);
  const max = Math.min(COARSE_MAX_LAG * factor, coarseLag * factor + factor - 1);
  return bestLag(history, length, COARSE_WINDOW * factor, min, max, 1);
}

function bestLag(
  samples: Float64Array | Int16Array,
  end: number,
  window: number,
  minLag: number,
  maxLag: number,
  gain: number,
): number {
  const start = end - window;
  const minEnergy = window * MIN_MEAN_SQUARE * gain;
  let energy = 0;
  for (let i = start; i < end; i++) energy += (samples[i - minLag] as number) * (samples[i - minLag] as number);
  let best = 0;
  let bestAt = minLag;
  for (let lag = minLag; lag <= maxLag; lag++) {
    let correlation = 0;
    for (let i = start; i < end; i++) correlation += (samples[i] as number) * (samples[i - lag] as number);
    if (correlation > 0) {
      const quality = (correlation * correlation) / Math.max(energy, minEnergy);
      if (quality > best) {
        best = quality;
        bestAt = lag;
      }
    }
    if (lag === maxLag) break;
    const added = samples[start - lag - 1] as number;
    const removed = samples[end - lag - 1] as number;
    energy += added * added - removed * removed;
  }
  return bestAt;
}

/** Sample `i` of the last `periods` periods of `history`, repeated without a step. */
function repeated(history: Int16Array, length: number, period: number, periods: number, i: number): number {
  const span = periods * period;
  const at = length - span + i;
  const sample = history[at] as number;
  const quarter = Math.floor(period / 4);
  const faded = i - (span - quarter);
  if (faded < 0) return sample;
  return sample + (((history[at - span] as number) - sample) * (faded + 1)) / (quarter + 1);
}

/** Writes samples `k` … `k + count − 1` of a loss to `out[outAt]` on. */
export function concealLost(
  history: Int16Array,
  length: number,
  period: number,
  sampleRate: number,
  k: number,
  out: Int16Array,
  outAt: number,
  count: number,
): void {
  const tick = sampleRate / 100;
  const end = Math.min(k + count, Math.max(k, 6 * tick));
  for (let at = k; at < end; at++) {
    let sample =
      at < tick ? firstPeriods(history, length, period, at) : laterPeriods(history, length, period, tick, at);
    if (at >= tick) sample = (sample * (6 * tick - at)) / (5 * tick);
    out[outAt + at - k] = toSample(sample);
  }
  out.fill(0, outAt + end - k, outAt + count);
}

function firstPeriods(history: Int16Array, length: number, period: number, k: number): number {
  const sample = repeated(history, length, period, 1, k % period);
  const quarter = Math.floor(period / 4);
  if (k >= quarter) return sample;
  const step = (history[length - 1] as number) - (history[length - 1 - period] as number);
  return sample + (step * (quarter - k)) / (quarter + 1);
}

function laterPeriods(history: Int16Array, length: number, period: number, tick: number, k: number): number {
  const stage = k < 2 * tick ? 1 : 2;
  const sample = stagePeriods(history, length, period, tick, stage, k);
  const since = k - stage * tick;
  const quarter = Math.floor(period / 4);
  if (since >= quarter) return sample;
  const before = stagePeriods(history, length, period, tick, stage - 1, k);
  return before + ((sample - before) * (since + 1)) / (quarter + 1);
}

/** Stage 0, 1 or 2 repeats one, two or three periods; each begins at the phase in which the one before ends. */
function stagePeriods(
  history: Int16Array,
  length: number,
  period: number,
  tick: number,
  stage: number,
  k: number,
): number {
  const phase = k - stage * tick + ((stage * tick) % period);
  return repeated(history, length, period, stage + 1, phase % ((stage + 1) * period));
}

/** Longest time that concealment takes to become the next packet, in hundredths of a second. */
const MAX_FIT_TICKS = 2;

/**
 * Fades the end of `count` concealed samples from `out[outAt]` on into the packet that follows them: into its first
 * period, repeated backwards. `next` are its first `period` + 1 samples.
 */
export function fitToNext(
  next: Int16Array,
  period: number,
  sampleRate: number,
  out: Int16Array,
  outAt: number,
  count: number,
): void {
  const fitted = Math.min(count, (MAX_FIT_TICKS * sampleRate) / 100);
  const quarter = Math.floor(period / 4);
  const step = (next[0] as number) - (next[period] as number);
  const from = outAt + count - fitted;
  for (let i = 0; i < fitted; i++) {
    const back = fitted - 1 - i;
    let sample = next[period - 1 - (back % period)] as number;
    if (back < quarter) sample += (step * (quarter - back)) / (quarter + 1);
    const forward = out[from + i] as number;
    out[from + i] = toSample(forward + ((sample - forward) * (i + 1)) / (fitted + 1));
  }
}

/** To 16 bits, truncated towards zero. */
function toSample(value: number): number {
  return Math.trunc(Math.min(32767, Math.max(-32768, value)));
}

/** Samples of the next packet that fitToNext() needs. */
export function samplesToFit(period: number): number {
  return period + 1;
}

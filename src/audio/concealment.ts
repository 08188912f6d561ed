import { copySamples, type SampleMemory } from './sample-memory.js';

/**
 * Loss concealment for G.711 and L16 (Opus has its own): the last 20 ms that were decoded, played backwards and
 * forwards in turn, faded out. Played backwards first, the sound goes on without a step; after 60 ms there is digital
 * silence, the gains being those of G.711 appendix I: full for 10 ms, then down in a line.
 *
 * The native path makes the same samples, so this is the whole of it, in integers. With N = sampleRate / 50 samples of
 * history h[0] … h[N−1] (oldest first, zeros before the first packet), the k-th sample of a stretch of loss, k = 0, 1 …, is
 *
 *     j = k mod 2N        s = j < N ? h[N−1−j] : h[j−N]
 *     k < N/2             s
 *     N/2 <= k < 3N       s · (3N − k) / (3N − N/2), truncated towards zero
 *     3N <= k             0
 *
 * A stretch goes on over any number of lost packets and ends with the next packet that is decoded. What was made up does not
 * become history.
 *
 * State is a slice of a SampleMemory's samples, one a channel, conceivably in shared memory:
 *
 *     +0  k, stopping at 3N (at most 2880)     +1  N     +2 …  h
 */
const K = 0;
const HISTORY_LENGTH = 1;
const HISTORY = 2;

/** Length of one channel's state, in samples. */
export function concealmentSlots(sampleRate: number): number {
  return HISTORY + sampleRate / 50;
}

export function initConcealment({ samples }: SampleMemory, base: number, sampleRate: number): void {
  samples.fill(0, base, base + concealmentSlots(sampleRate));
  samples[base + HISTORY_LENGTH] = sampleRate / 50;
}

/** To be called with all decoded samples: `count` samples from `pcm.samples[at]` on. */
export function rememberForConcealment(
  state: SampleMemory,
  base: number,
  pcm: SampleMemory,
  at: number,
  count: number,
): void {
  const { samples } = state;
  const length = samples[base + HISTORY_LENGTH] as number;
  const history = base + HISTORY;
  const taken = Math.min(count, length);
  const kept = length - taken;
  if (kept > 0) samples.copyWithin(history, history + taken, history + length);
  copySamples(pcm, at + count - taken, state, history + kept, taken);
  samples[base + K] = 0;
}

/** Writes `count` samples in place of a lost packet from `out.samples[outAt]` on. */
export function concealLost(state: SampleMemory, base: number, out: SampleMemory, outAt: number, count: number): void {
  const { samples } = state;
  const length = samples[base + HISTORY_LENGTH] as number;
  const first = base + HISTORY;
  const last = first + length - 1;
  const full = length >> 1;
  const end = 3 * length;
  const ramp = end - full;
  let k = samples[base + K] as number;
  const sounding = Math.min(count, end - k);
  for (let i = 0; i < sounding; i++, k++) {
    const j = k % (2 * length);
    const sample = (j < length ? samples[last - j] : samples[first + j - length]) as number;
    out.samples[outAt + i] = k < full ? sample : Math.trunc((sample * (end - k)) / ramp);
  }
  out.samples.fill(0, outAt + sounding, outAt + count);
  samples[base + K] = k;
}

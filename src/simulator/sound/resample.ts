import { CROSSINGS, sincKernel } from '../../audio/resample.js';

/** Cut-off, of the lower Nyquist frequency. */
const CUTOFF = 0.92;

/**
 * The same sound at another rate, by a windowed sinc (Hann). One of the two rates must be a whole multiple of the
 * other. The ends are joined, since what is resampled here is played in a circle.
 */
export function resampleCircular(pcm: Int16Array, fromRate: number, toRate: number): Int16Array {
  if (fromRate === toRate) return pcm;
  const lower = Math.min(fromRate, toRate);
  const out = new Int16Array(Math.round((pcm.length * toRate) / fromRate));
  // Width of one zero crossing, in input samples.
  const crossing = fromRate / lower / CUTOFF;
  const reach = Math.ceil(CROSSINGS * crossing);
  const phases = Math.max(1, toRate / fromRate);
  const kernels = Array.from({ length: phases }, (_, phase) => sincKernel(phase / phases, reach, crossing));
  for (let i = 0; i < out.length; i++) {
    const kernel = kernels[i % phases] as Float64Array;
    const middle = Math.floor((i * fromRate) / toRate);
    let sum = 0;
    for (let tap = -reach; tap <= reach; tap++) {
      const at = (middle + tap + pcm.length) % pcm.length;
      sum += (pcm[at] as number) * (kernel[tap + reach] as number);
    }
    out[i] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
  }
  return out;
}

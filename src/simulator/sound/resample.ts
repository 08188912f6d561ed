/** Zero crossings of the sinc on each side of its middle, at the lower of the two rates. */
const CROSSINGS = 16;
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

/** Taps around an output sample that lies `fraction` of an input sample after the middle tap; their sum is 1. */
function sincKernel(fraction: number, reach: number, crossing: number): Float64Array {
  const kernel = new Float64Array(2 * reach + 1);
  let sum = 0;
  for (let tap = -reach; tap <= reach; tap++) {
    const x = (tap - fraction) / crossing;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    const window = Math.abs(x) >= CROSSINGS ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * x) / CROSSINGS);
    kernel[tap + reach] = sinc * window;
    sum += sinc * window;
  }
  return kernel.map((value) => value / sum);
}

import { ADAPTIVE_STATE, BANDS, MINIMUM as MINIMUM_SLOTS, SUB_WINDOWS } from './state.js';

/** Declared here, for the compiler: what a module imports, or exports by its declaration, is looked up each time. */
const A = ADAPTIVE_STATE;
const MINIMUM = MINIMUM_SLOTS;

/**
 * Minimum statistics (R. Martin, "Noise Power Spectral Density Estimation Based on Optimal Smoothing and Minimum
 * Statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001): speech leaves every band now and then, so the
 * minimum of the smoothed power over a stretch longer than a phrase is noise. The stretch is eight sub-windows, of which
 * only the minima are kept. Less accurate than Martin's in two points that decisions do not need: the smoothing is
 * constant, and the bias of the minimum is left to the classifier.
 */

/** Hops until floors follow the minima upwards: what the channel begins with may be speech. */
const START_HOPS = 20;
/** Hops in a sub-window of a band: 0.2 s, so that the floor is that of the last 1.6 s. */
const BAND_SUB_WINDOW = 10;

/** Above every value that is compared. */
const HIGHEST = 1e30;

export function initMinimum(state: Float64Array, at: number): void {
  state.fill(HIGHEST, at + MINIMUM.RING, at + MINIMUM.SLOTS);
  state[at + MINIMUM.CURRENT] = HIGHEST;
}

export function initBandFloors(state: Float64Array, base: number): void {
  state.fill(HIGHEST, base + A.BAND_MINIMUM, base + A.BAND_MINIMA + BANDS * SUB_WINDOWS);
}

/** Takes a value into a running minimum whose sub-windows are `subWindow` hops long. */
export function trackMinimum(
  state: Float64Array,
  at: number,
  value: number,
  subWindow: number,
  mayRise: boolean,
): void {
  if (value < (state[at + MINIMUM.CURRENT] as number)) state[at + MINIMUM.CURRENT] = value;
  if (value < (state[at + MINIMUM.FLOOR] as number)) state[at + MINIMUM.FLOOR] = value;
  const hops = (state[at + MINIMUM.HOPS] as number) + 1;
  if (hops < subWindow) {
    state[at + MINIMUM.HOPS] = hops;
    return;
  }
  const next = state[at + MINIMUM.NEXT] as number;
  state[at + MINIMUM.HOPS] = 0;
  state[at + MINIMUM.NEXT] = (next + 1) % SUB_WINDOWS;
  state[at + MINIMUM.RING + next] = state[at + MINIMUM.CURRENT] as number;
  state[at + MINIMUM.CURRENT] = HIGHEST;
  if (mayRise) state[at + MINIMUM.FLOOR] = lowest(state, at + MINIMUM.RING);
}

/** Counts a hop, after the bands' minima have taken it in; renews the floors at the end of a sub-window. */
export function closeBandHop(state: Float64Array, base: number): void {
  const hops = (state[base + A.BAND_HOPS] as number) + 1;
  if (hops < BAND_SUB_WINDOW) {
    state[base + A.BAND_HOPS] = hops;
    return;
  }
  const next = state[base + A.BAND_NEXT] as number;
  state[base + A.BAND_HOPS] = 0;
  state[base + A.BAND_NEXT] = (next + 1) % SUB_WINDOWS;
  const mayRise = hasStarted(state, base);
  for (let band = 0; band < BANDS; band++) {
    const ring = base + A.BAND_MINIMA + band * SUB_WINDOWS;
    state[ring + next] = state[base + A.BAND_MINIMUM + band] as number;
    state[base + A.BAND_MINIMUM + band] = HIGHEST;
    if (mayRise) state[base + A.FLOOR + band] = lowest(state, ring);
  }
}

export function hasStarted(state: Float64Array, base: number): boolean {
  return (state[base + A.HOPS] as number) >= START_HOPS;
}

function lowest(state: Float64Array, ring: number): number {
  let least = state[ring] as number;
  for (let i = 1; i < SUB_WINDOWS; i++) {
    const value = state[ring + i] as number;
    if (value < least) least = value;
  }
  return least;
}

/**
 * ISO 8601 durations as AudioHook uses them: seconds only, `PT12.34S`. The time line counts in samples, so both
 * directions convert to and from samples at a rate and are exact to the sample. A client that adds floating-point
 * numbers prints more decimals than it means (`PT0.30000000000000004S`), or an exponent (`PT2E-7S`).
 */
const DURATION = /^PT(\d{1,12}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,3})?|\.\d{1,40}(?:[eE][+-]?\d{1,3})?)S$/;
const MAX_SECONDS = 1e12;

/** Seconds, or −1 when the text is no such duration. */
export function durationSeconds(text: string): number {
  const match = DURATION.exec(text);
  const seconds = match === null ? -1 : Number(match[1]);
  return seconds < MAX_SECONDS ? seconds : -1;
}

export function isDuration(text: string): boolean {
  return durationSeconds(text) >= 0;
}

/** The nearest sample; −1 when the text is no such duration. */
export function durationSamples(text: string, rate: number): number {
  const seconds = durationSeconds(text);
  return seconds < 0 ? -1 : Math.round(seconds * rate);
}

/**
 * The shortest decimal that is exact to the nanosecond: a sample at 8 or 16 kHz is a whole number of those. Integer
 * arithmetic, because `String(1 / 16000)` is `6.25e-5`, which is no ISO 8601.
 */
export function formatDuration(samples: number, rate: number): string {
  const whole = Math.floor(samples / rate);
  const nanos = Math.round(((samples % rate) * 1e9) / rate);
  if (nanos === 0) return `PT${whole}S`;
  return `PT${whole}.${String(nanos).padStart(9, '0').replace(/0+$/, '')}S`;
}

/**
 * How speech is told from silence. `adaptive`: against a noise floor that follows each channel. `fixed`: by a threshold and
 * a sliding window.
 */
export const SILENCE_DETECTORS = ['adaptive', 'fixed'] as const;
export type SilenceDetector = (typeof SILENCE_DETECTORS)[number];

/** As they stand in the stream table; the Rust side has the same numbers. */
export const DETECTOR_ID = { fixed: 0, adaptive: 1 } as const satisfies Record<SilenceDetector, number>;

/**
 * State of the adaptive silence detector of one channel: a slice of a Float64Array in shared memory, so that it outlives
 * a worker thread and either backend can continue where the other has stopped. What both detectors have lies at the
 * same index as in SILENCE_STATE (../silence.ts). native/dsp/src/audio/adaptive has the same indices.
 */
export const ADAPTIVE_STATE = {
  /** Samples that are added up to one sample of the analysis, which runs at 8 to 12 kHz. */
  DECIMATION: 0,
  /** Blocks of 8 analysis samples in a hop of 20 ms, and samples of the channel in it. */
  HOP_BLOCKS: 1,
  HOP: 2,
  /** End of the last hop above the background. */
  ABOVE_TO: 3,
  /** Samples without audio after which speech has ended. */
  MIN_SILENCE: 4,
  /** Position of the next sample; −1 before the first. */
  POSITION: 6,
  /** Analysis samples in the block at hand; samples in the analysis sample at hand, and their sum. */
  BLOCK_FILL: 7,
  SAMPLE_FILL: 8,
  SAMPLE_SUM: 9,
  /** Blocks in the hop at hand. */
  BLOCKS: 10,
  /** Hops since the begin of the stream. */
  HOPS: 11,
  /** 1 silence, 0 speech; and the position at which that began. */
  SILENT: 12,
  SINCE: 13,
  /** End of the last hop with speech. */
  ACTIVE_TO: 14,
  /** Hops in a row above the channel's background. */
  ABOVE_HOPS: 15,
  /** 1 while frames are speech: from the onset to the end of the hang-over. */
  LIVE: 16,
  /** Position after the last sample; POSITION also advances over gaps. */
  AUDIO_TO: 17,
  /** 1 when the frame fed last was not live. */
  FRAME_SILENT: 18,
  /** DETECTOR_ID of core/events.ts. */
  DETECTOR: 19,
  /** 1 when the frame fed last lies in a silence, as the edges say it. */
  FRAME_IN_SILENCE: 20,
  /** Hops since the last one with speech, while live. */
  QUIET_HOPS: 21,
  /** Smoothed output of the classifier: above 0 speech is more likely than not. */
  EVIDENCE: 22,
  /** Energy of a block whose pair is still to come; −1 when there is none. */
  PAIR: 23,
  /** The block at hand. */
  BLOCK: 24,
  /** By band: sum of squares of the hop at hand. */
  ENERGY: 32,
  /** Energy of the loudest pair of blocks of the hop at hand. */
  LOUDEST_PAIR: 39,
  /** By band: smoothed mean square. */
  SMOOTH: 40,
  /** Below the bands, of the hop at hand: sum of squares of the blocks' sums, and those sums themselves. */
  LOW_ENERGY: 47,
  /** By band, as logarithms: noise floor, minimum of the sub-window at hand, minima of the last eight sub-windows. */
  FLOOR: 48,
  LOW_SUM: 55,
  BAND_MINIMUM: 56,
  /** Floor of what is below the bands, as a logarithm. */
  LOW_FLOOR: 63,
  BAND_MINIMA: 64,
  /** Hops in the sub-window at hand, and which of the eight is replaced next. */
  BAND_HOPS: 120,
  BAND_NEXT: 121,
  /** Minimum statistics of the mean SNR and of the level: MINIMUM slots each. */
  BACKGROUND: 122,
  LEVEL_FLOOR: 134,
  /** Mean SNR of the bands: smoothed over 80 ms and 250 ms, variance, decaying maxima, rising minimum, of the last hop. */
  SNR_80: 146,
  SNR_250: 147,
  VARIANCE: 148,
  PEAK_SHORT: 149,
  PEAK_LONG: 150,
  TROUGH: 151,
  LAST_SNR: 152,
  /** SNR and level of speech, over half a minute. */
  SPEECH_SNR: 153,
  SPEECH_LEVEL: 154,
  /** Smoothed level. */
  LEVEL: 155,
  /** How far the loudest pair of blocks is above its hop, smoothed over 200 and 700 ms. */
  PULSE_200: 156,
  PULSE_700: 157,
  /** Level of the last hop, and the smoothed size of its changes. */
  LAST_LEVEL: 158,
  UNSTEADINESS: 159,
  /** Smoothed size of the changes of the bands against each other. */
  SHAPE_CHANGE: 165,
  /** Smoothed mean square below the bands, and hops in a row that were above the background there alone. */
  LOW: 166,
  LOW_HOPS: 167,
} as const;

/** A running minimum over eight sub-windows. */
export const MINIMUM = { CURRENT: 0, FLOOR: 1, HOPS: 2, NEXT: 3, RING: 4, SLOTS: 12 } as const;

/** Length of one channel's state; KIND_STATE (../silence-kind.ts) has the slots from 170 on. */
export const ADAPTIVE_STATE_SLOTS = 176;

/** Bands of the analysis. */
export const BANDS = 7;
/** Analysis samples in a block. */
export const BLOCK_SAMPLES = 8;
/** Sub-windows of minimum statistics. */
export const SUB_WINDOWS = 8;

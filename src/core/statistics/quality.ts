import { US_PER_MS } from '../units.js';

/** How a channel sounds by the packets that were there when they were due; see src/rtp/README.md. */
export interface LossQuality {
  /** Bursts of loss, RFC 3611 section 4.7.2 with Gmin 16. */
  readonly bursts: number;
  /** Share of the packets within bursts that were lost or late, 0 to 1. */
  readonly burstDensity: number;
  /** Share of the packets outside of bursts that were lost or late, 0 to 1. */
  readonly gapDensity: number;
  /** Mean length of a burst in milliseconds; 0 without bursts. */
  readonly burstDurationMs: number;
  /** Mean length of the gaps between bursts in milliseconds. */
  readonly gapDurationMs: number;
  /** Audio that was made up in place of lost and late packets, in milliseconds. */
  readonly concealedMs: number;
  /**
   * MOS-LQ, 1 to 4.5: ITU-T G.107 without delay, on the narrowband scale, over windows of 10 s. The lowest of them; null
   * without packets and where packets come in order over TCP.
   */
  readonly mosLqMin: number | null;
  /** The mean of the same, weighted by packets. */
  readonly mosLqMean: number | null;
}

/** Estimates for one channel of a stream. */
export interface ChannelQuality extends LossQuality {
  /**
   * How much faster the sender's RTP clock runs than this node's, in parts per million; negative when slower. Null until
   * it is known to about 30 ppm, which takes a minute on a quiet network.
   */
  readonly driftPpm: number | null;
}

/** The estimates as session.json, audit and the API have them. */
export interface QualityReport extends ChannelQuality {
  readonly channel: 0 | 1;
  /** Interarrival jitter, RFC 3550 A.8, in milliseconds. */
  readonly jitterMs: number;
  /** Playout delay in force at the end, in milliseconds. */
  readonly playoutDelayMs: number;
}

/** What a report is made of. */
export interface MeasuredQuality extends ChannelQuality {
  readonly jitterUs: number;
  readonly playoutDelayUs: number;
}

/** The estimates for one channel, rounded to what they are worth. */
export function qualityReport(measured: MeasuredQuality, channel: number): QualityReport {
  return {
    channel: channel === 0 ? 0 : 1,
    jitterMs: rounded(measured.jitterUs / US_PER_MS, 3),
    playoutDelayMs: rounded(measured.playoutDelayUs / US_PER_MS, 1),
    ...roundedQuality(measured),
  };
}

export function roundedQuality(quality: ChannelQuality): ChannelQuality {
  const { bursts, burstDensity, gapDensity, burstDurationMs, gapDurationMs, concealedMs } = quality;
  const { mosLqMin, mosLqMean, driftPpm } = quality;
  return {
    driftPpm: driftPpm === null ? null : rounded(driftPpm, 1),
    bursts,
    burstDensity: rounded(burstDensity, 4),
    gapDensity: rounded(gapDensity, 4),
    burstDurationMs: rounded(burstDurationMs, 0),
    gapDurationMs: rounded(gapDurationMs, 0),
    concealedMs: rounded(concealedMs, 0),
    mosLqMin: mosLqMin === null ? null : rounded(mosLqMin, 2),
    mosLqMean: mosLqMean === null ? null : rounded(mosLqMean, 2),
  };
}

function rounded(value: number, digits: number): number {
  // 0 instead of -0, which JSON does not know.
  return Math.round(value * 10 ** digits) / 10 ** digits + 0;
}

/** Of an ordered stream, which has no jitter buffer and loses nothing. */
export const NO_QUALITY: ChannelQuality = {
  bursts: 0,
  burstDensity: 0,
  gapDensity: 0,
  burstDurationMs: 0,
  gapDurationMs: 0,
  concealedMs: 0,
  mosLqMin: null,
  mosLqMean: null,
  driftPpm: null,
};

import type { Codec } from '../../core/codec.js';

/** How a codec stands packet loss: the two figures that ITU-T G.107 takes of it. */
export interface EquipmentImpairment {
  /** Ie: impairment without loss, on the scale of R. */
  readonly ie: number;
  /** Bpl: packet-loss robustness; the higher, the less a lost packet impairs. */
  readonly bpl: number;
}

/**
 * ITU-T G.113 Appendix I gives G.711 Ie 0, and Bpl 25.1 with the concealment of G.711 Appendix I, 4.3 with none. L16 is
 * concealed in the same way. There is no ITU-T value for Opus: Ie 0, since the bit rates of calls are transparent on the
 * narrowband scale, and Bpl 10, which estimators for WebRTC take without forward error correction.
 */
export const IMPAIRMENT: Readonly<Record<Codec, EquipmentImpairment>> = {
  pcmu: { ie: 0, bpl: 25.1 },
  pcma: { ie: 0, bpl: 25.1 },
  l16: { ie: 0, bpl: 25.1 },
  opus: { ie: 0, bpl: 10 },
};

/** R of a connection with the default values of G.107 and no impairment by equipment. */
const R_MAX = 93.2;

/**
 * R factor for listening quality, ITU-T G.107 (7-1) and (7-29): R = 93.2 − Ie-eff. Delay is left out: it impairs a
 * conversation, and not the listening quality.
 *
 * @param lossPercent Ppl, 0 to 100: packets that were not there in time.
 * @param burstRatio BurstR: mean length of runs of lost packets, divided by what it would be if the same loss were random.
 */
export function rFactor({ ie, bpl }: EquipmentImpairment, lossPercent: number, burstRatio: number): number {
  if (lossPercent <= 0) return R_MAX - ie;
  return R_MAX - ie - ((95 - ie) * lossPercent) / (lossPercent / burstRatio + bpl);
}

/** MOS of an R factor, ITU-T G.107 Annex B: 1 to 4.5. */
export function mosOfR(r: number): number {
  if (r <= 0) return 1;
  if (r >= 100) return 4.5;
  // The polynomial falls below 1 for R from 0 to 6.5.
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

/**
 * BurstR of G.107: the mean run of lost packets over 1 / (1 − loss), its length when losses are independent. Never below
 * 1: losses that are more even than chance are not better than random ones.
 */
export function burstRatio(received: number, lost: number, runs: number): number {
  if (lost === 0 || received === 0) return 1;
  return Math.max(1, ((lost / runs) * received) / (received + lost));
}

/** MOS-LQ of a stretch with `received` and `lost` packets, the latter in so many runs. */
export function mosLq(impairment: EquipmentImpairment, received: number, lost: number, runs: number): number {
  const lossPercent = (100 * lost) / (received + lost);
  return mosOfR(rFactor(impairment, lossPercent, burstRatio(received, lost, runs)));
}

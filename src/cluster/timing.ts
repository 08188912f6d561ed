import { US_PER_MS, US_PER_SECOND } from '../core/units.js';

/** Times of a cluster in microseconds, all of them measured by the monotonic clock of the node that waits. */
export interface ClusterTiming {
  /** Between two renewals of a node's lease. */
  readonly renewUs: number;
  /** A node stops to write so long after it *sent* the last renewal that was confirmed, unless its peers consent. */
  readonly stopUs: number;
  /** A lease may be revoked so long after its last renewal was *received*. More than `stopUs`. */
  readonly revokeUs: number;
  /** How long the consent of a peer is valid, from when it was asked for. */
  readonly consentUs: number;
  readonly askEveryUs: number;
  /** With the consent of all peers a node goes on to write for so long without a renewal. */
  readonly outageUs: number;
  /** A request to the broker takes effect within this time or never. */
  readonly flightUs: number;
  /** The most by which the clocks of two nodes may differ in speed, as a share. */
  readonly clockRateTolerance: number;
  /** Between two attempts to claim a call that another node still owns, or whose claim got no answer. */
  readonly retryUs: number;
  /** How long a node that takes a call over may take until its media comes, before the other one stops regardless. */
  readonly handOverUs: number;
}

/** With these, the calls of a node that is killed have another owner within five seconds. */
export const CLUSTER_TIMING: ClusterTiming = {
  renewUs: US_PER_SECOND,
  stopUs: 3_000 * US_PER_MS,
  revokeUs: 3_600 * US_PER_MS,
  consentUs: 2_000 * US_PER_MS,
  askEveryUs: 300 * US_PER_MS,
  outageUs: 600 * US_PER_SECOND,
  flightUs: 10 * US_PER_SECOND,
  clockRateTolerance: 0.01,
  retryUs: 250 * US_PER_MS,
  handOverUs: 5 * US_PER_SECOND,
};

import type { ClusterTiming } from '../timing.js';

const NEVER = Number.NEGATIVE_INFINITY;

/**
 * Consents, in both directions. A peer that consents promises not to revoke the lease of the instance that asked for a
 * while, so that the instance may go on although the broker is away.
 */
export class Consents {
  readonly #timing: ClusterTiming;
  /** By peer: until when its consent is valid. */
  readonly #givenToUs = new Map<string, number>();
  /** By peer: until when we must not revoke its lease. */
  readonly #givenByUs = new Map<string, number>();

  constructor(timing: ClusterTiming) {
    this.#timing = timing;
  }

  /** A peer has consented to what was asked at `askedUs`. */
  received(peer: string, askedUs: number): void {
    const untilUs = askedUs + this.#timing.consentUs;
    this.#givenToUs.set(peer, Math.max(untilUs, this.#givenToUs.get(peer) ?? NEVER));
  }

  /** Until when all of these consent; infinity when there are none. */
  untilUs(peers: Iterable<string>): number {
    let untilUs = Number.POSITIVE_INFINITY;
    for (const peer of peers) untilUs = Math.min(untilUs, this.#givenToUs.get(peer) ?? NEVER);
    return untilUs;
  }

  give(peer: string, nowUs: number): void {
    const { consentUs, clockRateTolerance } = this.#timing;
    this.#givenByUs.set(peer, nowUs + consentUs * (1 + 2 * clockRateTolerance));
  }

  /** Whether a consent that we gave still binds us. */
  binds(peer: string, nowUs: number): boolean {
    return nowUs < (this.#givenByUs.get(peer) ?? NEVER);
  }

  forget(peer: string): void {
    this.#givenToUs.delete(peer);
    this.#givenByUs.delete(peer);
  }
}

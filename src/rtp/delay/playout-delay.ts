/** The longer delay applies while more than this share of the packets is not there in time. */
export const LONGER_ABOVE = 0.05;
/** Below this share the normal delay applies again: half of the other, so that a loss of about 5 % does not switch to and fro. */
export const NORMAL_BELOW = 0.025;
/** Weight of one packet in the running share: equals a window of about 200 packets, 4 s of 20 ms packets. */
const WEIGHT = 1 / 100;

/**
 * Chooses one of two playout delays for each channel, by the share of packets that are not there when they are due.
 *
 * The share is what it would be with the *normal* delay: a packet that arrived in time only because of the longer delay
 * (`recovered`) counts as missed. Otherwise the longer delay would remove the very loss that it was chosen for, be
 * given up, and be chosen again every few seconds.
 *
 * Worked numbers, weight 1/100: six packets missed in a row raise the share from 0 to 1 − 0.99^6 = 5.9 %, and the delay
 * becomes the longer one. After 85 packets in time (5.9 % × 0.99^85 = 2.49 %), 1.7 s, it becomes the normal one again.
 */
export class PlayoutDelay {
  readonly #missedShare: Float64Array;
  readonly #longer: Uint8Array;

  constructor(channels: number) {
    this.#missedShare = new Float64Array(channels);
    this.#longer = new Uint8Array(channels);
  }

  open(channel: number): void {
    this.#missedShare[channel] = 0;
    this.#longer[channel] = 0;
  }

  isLonger(channel: number): boolean {
    return this.#longer[channel] === 1;
  }

  /** One packet of the channel was due: `missed` is 1 when it was not there in time, else 0. */
  observe(channel: number, missed: number): void {
    const before = this.#missedShare[channel] as number;
    const share = before + (missed - before) * WEIGHT;
    this.#missedShare[channel] = share;
    if (share > LONGER_ABOVE) this.#longer[channel] = 1;
    else if (share < NORMAL_BELOW) this.#longer[channel] = 0;
  }
}

/** Above this share of places missed the hold is wide. */
export const WIDEN_ABOVE = 0.05;
/** Below this share it is narrow again. Half of the other, so that a loss of about 5 % does not make it flap. */
export const NARROW_BELOW = 0.025;
/** Weight of one place in the running share: that of a window of some 200 places, 4 s of 20 ms packets. */
const WEIGHT = 1 / 100;

/**
 * Decides for each channel between the two holds, by the share of places whose packet was not there when its time was
 * up. The share is what the *narrow* hold makes of the traffic: a packet that only the wide hold has recovered counts as
 * missed, or the wide hold would cure the loss that it is needed for, go away, and bring it back every few seconds.
 */
export class PlayoutDelay {
  readonly #missedShare: Float64Array;
  readonly #wide: Uint8Array;

  constructor(channels: number) {
    this.#missedShare = new Float64Array(channels);
    this.#wide = new Uint8Array(channels);
  }

  open(channel: number): void {
    this.#missedShare[channel] = 0;
    this.#wide[channel] = 0;
  }

  isWide(channel: number): boolean {
    return this.#wide[channel] === 1;
  }

  /** One place in the order of the channel was decided: `missed` is 1 when its packet was not there, else 0. */
  place(channel: number, missed: number): void {
    const before = this.#missedShare[channel] as number;
    const share = before + (missed - before) * WEIGHT;
    this.#missedShare[channel] = share;
    if (share > WIDEN_ABOVE) this.#wide[channel] = 1;
    else if (share < NARROW_BELOW) this.#wide[channel] = 0;
  }
}

import type { Clock } from '../../core/clock.js';
import type { Interaction } from '../genesys/interaction.js';

/** Shorter than what a listener could notice, long enough for one write to carry several packets. */
const TICK_MS = 5;

/**
 * Sends by the clock, in an open loop: what is due is due, however busy the receiver or this process is. After a stall
 * everything missed is sent at once.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #afterTick: () => void;
  #live: Interaction[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `afterTick` is called when the packets of one tick have been pushed. */
  constructor(clock: Clock, afterTick: () => void) {
    this.#clock = clock;
    this.#afterTick = afterTick;
  }

  /** Takes in an interaction that has just become live. */
  add(interaction: Interaction): void {
    this.#live.push(interaction);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#live = [];
  }

  #tick(): void {
    const nowUs = this.#clock.nowUs();
    const nowMs = this.#clock.wallMs();
    let someEnded = false;
    for (const interaction of this.#live) {
      if (interaction.nextUs <= nowUs) interaction.run(nowUs, nowMs);
      if (interaction.state === 'ended') someEnded = true;
    }
    this.#afterTick();
    if (someEnded) this.#live = this.#live.filter(({ state }) => state === 'live');
    if (this.#live.length === 0) this.stop();
  }
}

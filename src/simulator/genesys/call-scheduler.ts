import type { Clock } from '../../core/clock.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { SeededRandom } from '../network/random.js';
import { callEvent } from './conversation.js';
import type { CallState, Interaction } from './interaction.js';
import type { NotificationHub } from './notification-hub.js';

export interface CallSchedulerOptions {
  readonly queues: readonly string[];
  readonly users: readonly string[];
  /** Length of each call from when it connects; Infinity is possible. */
  readonly seconds: number;
  /** Before the first call. */
  readonly leadSeconds: number;
  /** Calls begin evenly over so long. */
  readonly spreadSeconds: number;
  /** Share of the calls that have a secure pause. */
  readonly securePause: number;
  readonly seed: number;
}

type Step = 'alert' | 'connect' | 'pause' | 'resume' | 'end';

const TICK_MS = 5;
const ALERTING_US = 200 * US_PER_MS;

/** Lets calls arrive at queues and users, connect, pause and end by a plan, and publishes each step. */
export class CallScheduler {
  readonly #clock: Clock;
  readonly #hub: NotificationHub;
  readonly #steps: { readonly atUs: number; readonly interaction: Interaction; readonly step: Step }[] = [];
  readonly #startedAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(interactions: readonly Interaction[], options: CallSchedulerOptions, clock: Clock, hub: NotificationHub) {
    this.#clock = clock;
    this.#hub = hub;
    this.#startedAtMs = clock.wallMs();
    const firstUs = clock.nowUs() + options.leadSeconds * US_PER_SECOND;
    const lengthUs = options.seconds * US_PER_SECOND;
    interactions.forEach((interaction, number) => {
      interaction.call = callOf(number, options);
      const alertUs = firstUs + (number * options.spreadSeconds * US_PER_SECOND) / interactions.length;
      const connectUs = alertUs + ALERTING_US;
      this.#plan(alertUs, interaction, 'alert');
      this.#plan(connectUs, interaction, 'connect');
      this.#plan(connectUs + lengthUs, interaction, 'end');
      // Spread over the calls: number n has a pause when n × share passes a whole number.
      const { securePause } = options;
      if (Math.floor((number + 1) * securePause) === Math.floor(number * securePause)) return;
      const random = new SeededRandom(options.seed, number, 0x5e);
      const spanUs = Number.isFinite(lengthUs) ? lengthUs : 60 * US_PER_SECOND;
      const fromUs = connectUs + spanUs * (0.2 + 0.2 * random.unit());
      this.#plan(fromUs, interaction, 'pause');
      this.#plan(fromUs + spanUs * (0.2 + 0.2 * random.unit()), interaction, 'resume');
    });
    this.#steps.sort((a, b) => a.atUs - b.atUs);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get isDone(): boolean {
    return this.#steps.length === 0;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #plan(atUs: number, interaction: Interaction, step: Step): void {
    if (Number.isFinite(atUs)) this.#steps.push({ atUs, interaction, step });
  }

  #tick(): void {
    const nowUs = this.#clock.nowUs();
    for (let next = this.#steps[0]; next !== undefined && next.atUs <= nowUs; next = this.#steps[0]) {
      this.#steps.shift();
      this.#do(next.interaction, next.step, nowUs);
    }
    if (this.#steps.length === 0) this.stop();
  }

  #do(interaction: Interaction, step: Step, nowUs: number): void {
    const { call } = interaction;
    if (call === undefined || call.phase === 'over') return;
    if (step === 'alert') call.phase = 'alerting';
    else if (step === 'connect') call.phase = 'connected';
    else if (step === 'end') {
      call.phase = 'over';
      call.securePause = false;
      interaction.finish('ended', nowUs, this.#clock.wallMs());
    } else {
      // What was due before the pause is still speech.
      if (interaction.state === 'live') interaction.run(nowUs, this.#clock.wallMs());
      call.securePause = step === 'pause';
      interaction.mark(call.securePause);
    }
    this.#hub.publish(topicsOf(call), callEvent(interaction, call, this.#startedAtMs));
  }
}

function topicsOf({ queueId, userId }: CallState): string[] {
  return [
    ...(queueId === undefined ? [] : [`v2.routing.queues.${queueId}.conversations.calls`]),
    ...(userId === undefined ? [] : [`v2.users.${userId}.conversations.calls`]),
  ];
}

function callOf(number: number, { queues, users }: CallSchedulerOptions): CallState {
  const places = queues.length + users.length;
  const place = number % places;
  return {
    queueId: queues[place],
    userId: users[place - queues.length],
    phase: 'planned',
    securePause: false,
  };
}

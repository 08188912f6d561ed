import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../core/units.js';
import { SeededRandom } from '../network/random.js';
import { errorBody } from './conversation.js';
import type { Fault } from './fault-commands.js';
import type { Endpoint, Faults, HttpReply } from './faults.js';
import type { Interaction } from './interaction.js';
import type { MediaConnection } from './media-connection.js';
import type { NotificationHub } from './notification-hub.js';
import type { TokenStore } from './tokens.js';
import { type ErrorMessage, mediaNotAvailable } from './wire.js';

/** What faults are done to. */
export interface FaultTargets {
  readonly clock: Clock;
  readonly tokens: TokenStore;
  readonly hub: NotificationHub;
  readonly interactions: ReadonlyMap<string, Interaction>;
  connections(): readonly MediaConnection[];
  restart(downMs: number): Promise<void>;
}

interface Pending {
  readonly fault: Fault;
  left: number;
  untilUs: number;
}

const LONG_AGO_MS = 120_000;
const RESET = 1006;

/** The faults that last or are still to come. Strikes at random are drawn from the seed. */
export class FaultBoard implements Faults {
  readonly #targets: FaultTargets;
  readonly #random: SeededRandom;
  readonly #timers = new Set<NodeJS.Timeout>();
  #pending: Pending[] = [];

  constructor(targets: FaultTargets, seed: number) {
    this.#targets = targets;
    this.#random = new SeededRandom(seed, 0xfa);
  }

  set(fault: Fault): void {
    if (fault.afterSeconds > 0) this.#in(fault.afterSeconds, () => this.#begin(fault));
    else this.#begin(fault);
  }

  /** Calls off what is to come and what lasts. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#pending = [];
    this.#targets.hub.recover();
    for (const interaction of this.#targets.interactions.values()) {
      interaction.doubledUntilUs = Number.NEGATIVE_INFINITY;
    }
  }

  http(endpoint: Endpoint, _request: IncomingMessage): HttpReply | undefined {
    const fault = this.#take('http', (one) => one.endpoint === 'any' || one.endpoint === endpoint);
    return fault && refusal(fault.status, fault.retryAfterSeconds);
  }

  handshake(_request: IncomingMessage): HttpReply | 'stall' | undefined {
    const fault = this.#take('handshake', () => true);
    if (fault === undefined) return undefined;
    return fault.status === undefined ? 'stall' : refusal(fault.status, fault.retryAfterSeconds);
  }

  subscribe(interactionId: string): ErrorMessage | undefined {
    const meant = this.#take('mediaNotAvailable', (one) => one.interactions?.includes(interactionId) ?? true);
    return meant && mediaNotAvailable(interactionId);
  }

  #begin(fault: Fault): void {
    this.#strike(fault);
    if (fault.everySeconds !== undefined) this.#in(fault.everySeconds, () => this.#begin(fault));
  }

  #strike(fault: Fault): void {
    const { tokens, hub, clock } = this.#targets;
    switch (fault.fault) {
      case 'tokenLife':
        tokens.lifeSeconds = fault.seconds;
        return;
      case 'tokensForgotten':
        tokens.forget();
        return;
      case 'http':
      case 'handshake':
        this.#pending.push({ fault, left: fault.count, untilUs: Infinity });
        return;
      case 'mediaNotAvailable': {
        const untilUs = fault.seconds === undefined ? Infinity : clock.nowUs() + fault.seconds * US_PER_SECOND;
        const left = fault.count ?? (fault.seconds === undefined ? 1 : Infinity);
        this.#pending.push({ fault, left, untilUs });
        return;
      }
      case 'refuseToken':
        for (const connection of this.#someConnections(fault.count)) connection.refuseToken();
        return;
      case 'cut':
        for (const connection of this.#someConnections(fault.count)) {
          connection.cut(fault.code === RESET ? undefined : fault.code);
        }
        return;
      case 'halfOpen':
        for (const connection of this.#someConnections(fault.count)) connection.fallSilent();
        return;
      case 'expired':
        for (const interaction of this.#chosen(fault, 'waiting')) {
          interaction.finish('ended', clock.nowUs(), clock.wallMs() - LONG_AGO_MS);
        }
        return;
      case 'restart':
        if (fault.forgetTokens) tokens.forget();
        void this.#targets.restart(fault.downSeconds * MS_PER_SECOND);
        return;
      case 'sequenceRestart':
        // Too far from the numbers so far to be taken for a gap (RFC 3550 A.1).
        for (const interaction of this.#chosen(fault, 'live')) {
          interaction.renumber(10_000 + this.#random.below(40_000), this.#random.uint32());
        }
        return;
      case 'duplicateStreams': {
        const untilUs = clock.nowUs() + fault.seconds * US_PER_SECOND;
        for (const interaction of this.#chosen(fault, 'live')) interaction.doubledUntilUs = untilUs;
        return;
      }
      case 'notificationGap':
        hub.silentUntilUs = clock.nowUs() + fault.seconds * US_PER_SECOND;
        if (fault.cut) hub.cut();
        return;
      case 'clear':
        this.clear();
    }
  }

  /** A pending fault of a kind that fits, used once. */
  #take<Kind extends Fault['fault']>(
    kind: Kind,
    fits: (fault: Extract<Fault, { fault: Kind }>) => boolean,
  ): Extract<Fault, { fault: Kind }> | undefined {
    const nowUs = this.#targets.clock.nowUs();
    this.#pending = this.#pending.filter(({ left, untilUs }) => left > 0 && nowUs < untilUs);
    for (const pending of this.#pending) {
      if (pending.fault.fault !== kind) continue;
      const fault = pending.fault as Extract<Fault, { fault: Kind }>;
      if (!fits(fault)) continue;
      pending.left--;
      return fault;
    }
    return undefined;
  }

  #someConnections(count: number): MediaConnection[] {
    return this.#draw(
      this.#targets.connections().filter((connection) => connection.isOpen),
      count,
    );
  }

  #chosen(
    { interactions, count }: { interactions?: readonly string[] | undefined; count: number },
    state: Interaction['state'],
  ): Interaction[] {
    const all = [...this.#targets.interactions.values()];
    if (interactions !== undefined) return all.filter(({ id }) => interactions.includes(id));
    return this.#draw(
      all.filter((interaction) => interaction.state === state),
      count,
    );
  }

  #draw<T>(from: readonly T[], count: number): T[] {
    const left = [...from];
    return Array.from({ length: Math.min(count, left.length) }, () => {
      const [drawn] = left.splice(this.#random.below(left.length), 1);
      return drawn as T;
    });
  }

  #in(seconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, seconds * MS_PER_SECOND);
    this.#timers.add(timer);
  }
}

function refusal(status: number, retryAfterSeconds: number | undefined): HttpReply {
  return {
    status,
    ...(retryAfterSeconds === undefined ? {} : { headers: { 'retry-after': String(retryAfterSeconds) } }),
    body: errorBody(status, 'fault', 'This answer was asked for.'),
  };
}

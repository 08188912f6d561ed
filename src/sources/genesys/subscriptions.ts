import type { EndReason } from '../../core/events.js';
import type { ConnectionOutput } from './media/connection.js';
import type { Availability } from './rest/conversations.js';
import { backoffUs, type Random, type RetryPolicy } from './rest/retry.js';

type Interest = {
  readonly interactionId: string;
  /**
   * `wanted`: subscribed to, or to be at the next connect. `unavailable`: had no media, until `dueUs`; then `asking`
   * REST. `leaving`: unsubscribed from, until the server confirms it or `dueUs`.
   */
  phase: 'wanted' | 'unavailable' | 'asking' | 'leaving';
  dueUs: number;
  /** Subscriptions in vain since media last flowed. */
  refusals: number;
  /** Media has come since the connection was made. */
  flowing: boolean;
  leaveReason: EndReason;
};

const NEVER = Number.POSITIVE_INFINITY;

/** The interactions on one connection and what is to become of each; a part of Connection, and without I/O like it. */
export class Subscriptions {
  readonly #interests = new Map<string, Interest>();
  readonly #retry: RetryPolicy;
  readonly #random: Random;
  readonly #emit: (output: ConnectionOutput) => void;

  constructor(retry: RetryPolicy, random: Random, emit: (output: ConnectionOutput) => void) {
    this.#retry = retry;
    this.#random = random;
    this.#emit = emit;
  }

  get size(): number {
    return this.#interests.size;
  }

  get deadlineUs(): number {
    let dueUs = NEVER;
    for (const interest of this.#interests.values()) dueUs = Math.min(dueUs, interest.dueUs);
    return dueUs;
  }

  has(interactionId: string): boolean {
    return this.#interests.has(interactionId);
  }

  ids(): string[] {
    return [...this.#interests.keys()];
  }

  isLeaving(interactionId: string): boolean {
    return this.#interests.get(interactionId)?.phase === 'leaving';
  }

  add(interactionId: string): void {
    this.#interests.set(interactionId, {
      interactionId,
      phase: 'wanted',
      dueUs: NEVER,
      refusals: 0,
      flowing: false,
      leaveReason: 'ended',
    });
  }

  /** A connection was made: nothing flows on it yet. Returns what to subscribe to. */
  connected(): string[] {
    const wanted: string[] = [];
    for (const [id, interest] of this.#interests) {
      interest.flowing = false;
      if (interest.phase === 'wanted') wanted.push(id);
    }
    return wanted;
  }

  /** The connection is gone: nobody is left to confirm. */
  disconnected(): void {
    for (const interest of this.#interests.values()) {
      if (interest.phase === 'leaving') this.#leave(interest, interest.leaveReason, '');
    }
  }

  /**
   * Lets interactions go: at once, or, with a `confirmBy`, those that the server sends media of once it has confirmed
   * it or that time has come. Returns the latter.
   */
  release(interactionIds: readonly string[], reason: EndReason, confirmByUs: number | undefined): string[] {
    const unconfirmed: string[] = [];
    for (const id of interactionIds) {
      const interest = this.#interests.get(id);
      if (interest === undefined || interest.phase === 'leaving') continue;
      if (confirmByUs === undefined || interest.phase !== 'wanted') {
        this.#leave(interest, reason, '');
        continue;
      }
      interest.phase = 'leaving';
      interest.leaveReason = reason;
      interest.dueUs = confirmByUs;
      unconfirmed.push(id);
    }
    return unconfirmed;
  }

  /** Lets all go at once. */
  abandon(reason: EndReason, detail: string): void {
    for (const interest of this.#interests.values()) this.#leave(interest, reason, detail);
  }

  /** The server says that it is over, or that it does not know of it. */
  ended(interactionId: string, reason: EndReason, detail: string): void {
    const interest = this.#interests.get(interactionId);
    if (interest === undefined) return;
    this.#leave(interest, interest.phase === 'leaving' ? interest.leaveReason : reason, detail);
  }

  mediaFlows(interactionId: string): void {
    const interest = this.#interests.get(interactionId);
    if (interest === undefined) return;
    interest.flowing = true;
    interest.refusals = 0;
    if (interest.phase === 'leaving') return;
    interest.phase = 'wanted';
    interest.dueUs = NEVER;
  }

  flows(interactionId: string): boolean {
    return this.#interests.get(interactionId)?.flowing === true;
  }

  /** The server has no media of an interaction; of those without any so far, when it does not say of which. */
  mediaNotAvailable(interactionId: string | undefined, nowUs: number): void {
    if (interactionId === undefined) {
      for (const interest of this.#interests.values()) if (!interest.flowing) this.#refused(interest, nowUs);
      return;
    }
    const interest = this.#interests.get(interactionId);
    if (interest !== undefined) this.#refused(interest, nowUs);
  }

  /** REST's answer to `ask`. True when the interaction is to be subscribed to again. */
  answered(interactionId: string, answer: Availability | 'unknown'): boolean {
    const interest = this.#interests.get(interactionId);
    if (interest?.phase !== 'asking') return false;
    if (answer === 'notFound' || answer === 'expired') {
      this.#leave(interest, 'mediaNotAvailable', WHY_NOT[answer]);
      return false;
    }
    interest.phase = 'wanted';
    return true;
  }

  tick(nowUs: number): void {
    for (const interest of this.#interests.values()) {
      if (nowUs < interest.dueUs) continue;
      interest.dueUs = NEVER;
      if (interest.phase === 'leaving') this.#leave(interest, interest.leaveReason, '');
      else if (interest.phase === 'unavailable') {
        interest.phase = 'asking';
        this.#emit({ kind: 'ask', interactionId: interest.interactionId });
      }
    }
  }

  #refused(interest: Interest, nowUs: number): void {
    if (interest.phase === 'leaving') this.#leave(interest, interest.leaveReason, '');
    if (interest.phase !== 'wanted') return;
    interest.flowing = false;
    if (interest.refusals >= this.#retry.maxAttempts) {
      this.#leave(interest, 'mediaNotAvailable', `no media after ${interest.refusals + 1} subscriptions`);
      return;
    }
    interest.phase = 'unavailable';
    interest.dueUs = nowUs + backoffUs(this.#retry, interest.refusals, this.#random);
    interest.refusals++;
  }

  #leave({ interactionId }: Interest, reason: EndReason, detail: string): void {
    this.#interests.delete(interactionId);
    this.#emit({ kind: 'left', interactionId, reason, detail });
  }
}

/** Why an interaction that REST knows to be over is not subscribed to. */
export const WHY_NOT = {
  expired: 'media availability window expired',
  notFound: 'interaction not found or ended',
} as const;

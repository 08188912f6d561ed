import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import { US_PER_SECOND } from '../../../core/units.js';
import {
  buildSubscription,
  buildUnsubscribe,
  type ControlMessage,
  type SubscriptionOptions,
} from '../protocol/wire.js';
import type { Availability } from '../rest/conversations.js';
import { backoffUs, MEDIA_RETRY, type Random, RETRY, type RetryPolicy } from '../rest/retry.js';
import { Subscriptions } from '../subscriptions.js';

export interface ConnectionSettings extends SubscriptionOptions {
  readonly random: Random;
  readonly retry?: RetryPolicy | undefined;
  readonly mediaRetry?: RetryPolicy | undefined;
  /** Between pings; default 30 s. */
  readonly pingUs?: number | undefined;
  /** Default 10 s. */
  readonly handshakeUs?: number | undefined;
  /** How long the server may take to confirm an unsubscription, and then a close; default 1 s. */
  readonly partingUs?: number | undefined;
}

export type ConnectionState =
  /** Made, or without anything to do. */
  | 'idle'
  /** The token is being fetched. */
  | 'authorizing'
  /** The handshake is under way. */
  | 'dialing'
  | 'open'
  /** Until the next attempt. */
  | 'waiting'
  /** Told to go; waits for the socket to say so. */
  | 'closing'
  | 'closed';

/** Why a dial came to nothing, as far as the socket knows. */
export interface DialFailure {
  /** HTTP status, when there was an answer that is no upgrade. */
  readonly status?: number | undefined;
  readonly retryAfterUs?: number | undefined;
  /** A sentence. */
  readonly message: string;
}

/** What the driver has to do, and what has come to pass, in order. */
export type ConnectionOutput =
  /** Get a token, a new one if `renewToken`; then call `dialing` and open a socket, or call `unauthorized`. */
  | { readonly kind: 'connect'; readonly renewToken: boolean }
  | { readonly kind: 'send'; readonly text: string }
  | { readonly kind: 'ping' }
  | { readonly kind: 'close'; readonly code: number }
  | { readonly kind: 'terminate' }
  /** Ask REST; then call `available`. */
  | { readonly kind: 'ask'; readonly interactionId: string }
  | { readonly kind: 'connected'; readonly again: boolean }
  | { readonly kind: 'disconnected'; readonly code: number; readonly reason: string }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'exhausted'; readonly attempts: number }
  | { readonly kind: 'error'; readonly error: TrunklineError }
  /** The interaction is no longer on this connection. */
  | { readonly kind: 'left'; readonly interactionId: string; readonly reason: EndReason; readonly detail: string }
  | { readonly kind: 'closed' };

const NEVER = Number.POSITIVE_INFINITY;
/** RFC 6455 section 7.4.1. */
const NORMAL_CLOSURE = 1000;
/** Of the registry that section 7.4.2 sets up. */
const UNAUTHORIZED = 3000;
// A server that takes each token for one packet and then refuses it would otherwise be signed in for without a pause.
const FREE_RENEWAL_EVERY_US = 30 * US_PER_SECOND;

/**
 * One media connection and the interactions on it, as a state machine without I/O: inputs are methods that take the
 * time, outputs are drained with `poll` after each. It never touches a packet: `mediaFlows` is called once for each
 * interaction after each connect.
 */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #retry: RetryPolicy;
  readonly #pingUs: number;
  readonly #partingUs: number;
  readonly #interests: Subscriptions;
  readonly #outputs: ConnectionOutput[] = [];
  #state: ConnectionState = 'idle';
  /** Of the state as a whole: end of the handshake, next attempt, next ping, patience with a close. */
  #dueUs = NEVER;
  #attempts = 0;
  #wasConnected = false;
  #awaitsPong = false;
  #stopping = false;
  /** The socket is going because its token was refused. */
  #tokenRefused = false;
  /** A renewal has already been tried since media last flowed. */
  #renewed = false;
  /** From when on a refused token may be renewed without waiting. */
  #freeRenewalFromUs = 0;
  /** Refusals since the last renewal without waiting; media that flows in between does not make them fewer. */
  #refusals = 0;
  /** The next attempt fetches a new token. */
  #renewNext = false;
  /** The socket that is closing had been open. */
  #opened = false;
  /** Our own reason for ending the socket, which its close code does not show. */
  #verdict: string | undefined;
  #lastError = '';

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.#retry = settings.retry ?? RETRY;
    this.#interests = new Subscriptions(settings.mediaRetry ?? MEDIA_RETRY, settings.random, (output) =>
      this.#outputs.push(output),
    );
    this.#pingUs = settings.pingUs ?? 30 * US_PER_SECOND;
    this.#partingUs = settings.partingUs ?? US_PER_SECOND;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Takes no more interactions: it has been stopped, has given up or has become empty. */
  get isEnding(): boolean {
    return this.#stopping;
  }

  /** Unsubscribed from, but still there until the server confirms it. */
  isLeaving(interactionId: string): boolean {
    return this.#interests.isLeaving(interactionId);
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** The last failure as a sentence, empty when there was none. */
  get lastError(): string {
    return this.#lastError;
  }

  poll(): ConnectionOutput | undefined {
    return this.#outputs.shift();
  }

  /** When `tick` must be called next; infinity for never. */
  get deadlineUs(): number {
    return Math.min(this.#dueUs, this.#interests.deadlineUs);
  }

  // What the owner wants

  /** Adds an interaction, and connects if that has not been done. */
  subscribe(interactionId: string): void {
    if (this.#stopping || this.#interests.has(interactionId)) return;
    this.#interests.add(interactionId);
    if (this.#state === 'idle') this.#connect(false);
    else if (this.#state === 'open') this.#send(buildSubscription([interactionId], this.#settings));
  }

  /** Takes interactions away; each is `left` once the server has confirmed it, or after a second. */
  unsubscribe(interactionIds: readonly string[], nowUs: number, reason: EndReason = 'unsubscribed'): void {
    const confirmByUs = this.#state === 'open' ? nowUs + this.#partingUs : undefined;
    const unconfirmed = this.#interests.release(interactionIds, reason, confirmByUs);
    if (unconfirmed.length > 0) this.#send(buildUnsubscribe(unconfirmed));
    this.#closeWhenEmpty(nowUs);
  }

  /** Unsubscribes from everything, then closes. `closed` comes out in the end. */
  stop(nowUs: number): void {
    if (this.#stopping) return;
    this.unsubscribe(this.#interests.ids(), nowUs, 'stopped');
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#state === 'dialing') this.#drop(undefined);
    else if (this.#state === 'idle' || this.#state === 'authorizing') this.#end();
  }

  // What the driver reports

  /** A token is there, the handshake begins. */
  dialing(nowUs: number): void {
    if (this.#state !== 'authorizing') return;
    this.#state = 'dialing';
    this.#dueUs = nowUs + (this.#settings.handshakeUs ?? 10 * US_PER_SECOND);
  }

  /** No token could be had. Wrong credentials are final; they get no better by trying. */
  unauthorized(nowUs: number, error: unknown): void {
    if (this.#state !== 'authorizing') return;
    this.#lastError = messageOf(error);
    if (error instanceof TrunklineError && error.code === 'AUTH_FAILED') {
      this.#outputs.push({ kind: 'error', error });
      this.#giveUp('no token');
      return;
    }
    this.#report(this.#lastError);
    this.#retryLater(nowUs, 0, false);
  }

  opened(nowUs: number): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    this.#awaitsPong = false;
    this.#dueUs = nowUs + this.#pingUs;
    this.#outputs.push({ kind: 'connected', again: this.#wasConnected });
    this.#wasConnected = true;
    const wanted = this.#interests.connected();
    if (wanted.length > 0) this.#send(buildSubscription(wanted, this.#settings));
    this.#closeWhenEmpty(nowUs);
  }

  pong(): void {
    if (this.#state !== 'open') return;
    this.#awaitsPong = false;
    this.#outputs.push({ kind: 'heartbeat' });
  }

  /** The first packet of an interaction since the connection was made: all is well. */
  mediaFlows(interactionId: string): void {
    this.#attempts = 0;
    this.#renewed = false;
    this.#interests.mediaFlows(interactionId);
  }

  control(message: ControlMessage, nowUs: number): void {
    if (this.#state !== 'open') return;
    switch (message.kind) {
      case 'subscribed':
        return;
      case 'ended':
        this.#interests.ended(message.interactionId, 'ended', message.reason);
        this.#closeWhenEmpty(nowUs);
        return;
      case 'error':
        this.#serverError(message, nowUs);
    }
  }

  /** The answer to `ask`; `unknown` when REST could not tell. */
  available(interactionId: string, answer: Availability | 'unknown', nowUs: number): void {
    const again = this.#interests.answered(interactionId, answer);
    if (again && this.#state === 'open') this.#send(buildSubscription([interactionId], this.#settings));
    this.#closeWhenEmpty(nowUs);
  }

  /** The socket is gone, or never came to be; then `failure` says why. */
  closed(nowUs: number, code: number, reason: string, failure?: DialFailure): void {
    const was = this.#state;
    if (was !== 'dialing' && was !== 'open' && was !== 'closing') return;
    const verdict = this.#verdict;
    const tokenRefused = this.#tokenRefused || failure?.status === 401;
    this.#verdict = undefined;
    this.#tokenRefused = false;
    const opened = this.#opened;
    this.#opened = false;
    if (was === 'open' || opened) {
      this.#outputs.push({ kind: 'disconnected', code, reason: verdict ?? reason });
      this.#lastError = verdict ?? `closed with ${code}${reason === '' ? '' : ` (${reason})`}`;
    }
    this.#interests.disconnected();
    if (this.#stopping || this.#interests.size === 0) {
      this.#end();
      return;
    }
    if (tokenRefused && !this.#renewed && nowUs >= this.#freeRenewalFromUs) {
      this.#renewed = true;
      this.#freeRenewalFromUs = nowUs + FREE_RENEWAL_EVERY_US;
      this.#refusals = 0;
      this.#connect(true);
      return;
    }
    if (was !== 'open' && !opened) this.#report(verdict ?? failure?.message ?? `The handshake failed (${code}).`);
    this.#retryLater(nowUs, failure?.retryAfterUs ?? 0, tokenRefused);
  }

  tick(nowUs: number): void {
    this.#interests.tick(nowUs);
    this.#closeWhenEmpty(nowUs);
    if (nowUs < this.#dueUs) return;
    switch (this.#state) {
      case 'waiting':
        this.#connect(this.#renewNext);
        return;
      case 'dialing':
        this.#drop('The media server did not finish the WebSocket handshake in time; check the media URL.');
        return;
      case 'open':
        if (this.#awaitsPong) {
          this.#opened = true;
          this.#drop('no pong: the connection is dead');
          return;
        }
        this.#awaitsPong = true;
        this.#dueUs = nowUs + this.#pingUs;
        this.#outputs.push({ kind: 'ping' });
        return;
      case 'closing':
        this.#dueUs = NEVER;
        this.#outputs.push({ kind: 'terminate' });
        return;
      default:
        this.#dueUs = NEVER;
    }
  }

  #serverError(error: Extract<ControlMessage, { kind: 'error' }>, nowUs: number): void {
    if (error.status === 401) {
      this.#tokenRefused = true;
      this.#opened = true;
      // A close, so that what is under way still arrives; the server may be too broken to answer it.
      this.#state = 'closing';
      this.#dueUs = nowUs + this.#partingUs;
      this.#verdict = 'the token was refused';
      this.#outputs.push({ kind: 'close', code: UNAUTHORIZED });
      return;
    }
    const { status, code, interactionId: id, message } = error;
    if (code === 'mediaNotAvailable') this.#interests.mediaNotAvailable(id, nowUs);
    // Not subscribed, says the server, which is what was wanted.
    else if (id !== undefined && this.#interests.isLeaving(id)) this.#interests.ended(id, 'unsubscribed', code);
    else {
      const text = `The media server reports ${status} ${code} ${message}`.trimEnd();
      this.#lastError = text;
      this.#outputs.push({ kind: 'error', error: new TrunklineError('PROTOCOL_ERROR', `${text}.`) });
      if (id !== undefined && !this.#interests.flows(id)) {
        if (status === 404 || status === 429 || status >= 500) this.#interests.mediaNotAvailable(id, nowUs);
        else this.#interests.ended(id, 'error', text);
      }
    }
    this.#closeWhenEmpty(nowUs);
  }

  #connect(renewToken: boolean): void {
    this.#state = 'authorizing';
    this.#dueUs = NEVER;
    this.#renewNext = false;
    this.#outputs.push({ kind: 'connect', renewToken });
  }

  #retryLater(nowUs: number, leastUs: number, renewToken: boolean): void {
    if (this.#attempts >= this.#retry.maxAttempts) {
      this.#outputs.push({ kind: 'exhausted', attempts: this.#attempts });
      this.#giveUp(this.#lastError);
      return;
    }
    this.#state = 'waiting';
    this.#renewNext = renewToken;
    const step = renewToken ? Math.max(this.#attempts, this.#refusals++) : this.#attempts;
    this.#dueUs = nowUs + Math.max(leastUs, backoffUs(this.#retry, step, this.#settings.random));
    this.#attempts++;
  }

  #giveUp(detail: string): void {
    this.#interests.abandon('lost', detail);
    this.#end();
  }

  #report(message: string): void {
    this.#lastError = message;
    this.#outputs.push({ kind: 'error', error: new TrunklineError('CONNECTION_FAILED', message) });
  }

  /** Ends the socket without ceremony; what follows from it waits for `closed`. */
  #drop(verdict: string | undefined): void {
    this.#state = 'closing';
    this.#dueUs = NEVER;
    this.#verdict = verdict;
    this.#outputs.push({ kind: 'terminate' });
  }

  #closeWhenEmpty(nowUs: number): void {
    if (this.#interests.size > 0) return;
    if (this.#state === 'open') {
      this.#stopping = true;
      this.#state = 'closing';
      this.#opened = true;
      this.#dueUs = nowUs + this.#partingUs;
      this.#outputs.push({ kind: 'close', code: NORMAL_CLOSURE });
    } else if (this.#state === 'waiting') this.#end();
  }

  #end(): void {
    this.#state = 'closed';
    this.#stopping = true;
    this.#dueUs = NEVER;
    this.#outputs.push({ kind: 'closed' });
  }

  #send(text: string): void {
    this.#outputs.push({ kind: 'send', text });
  }
}

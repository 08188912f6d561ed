import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { Interaction } from '../interaction/interaction.js';
import { buildSubscription, buildUnsubscribe, type ControlMessage } from '../protocol/wire.js';
import type { Availability } from '../rest/conversations.js';
import { backoffUs, RETRY, type RetryPolicy } from '../rest/retry.js';
import { ConnectionInteractions } from './connection-interactions.js';
import type { ConnectionOutput, ConnectionSettings, ConnectionState, DialFailure } from './connection-outputs.js';

const NEVER = Number.POSITIVE_INFINITY;
/** RFC 6455 section 7.4.1. */
const NORMAL_CLOSURE = 1000;
/** Of the registry that section 7.4.2 sets up. */
const UNAUTHORIZED = 3000;
// A server that takes each token for one packet and then refuses it would otherwise cause sign-ins without a pause.
const FREE_RENEWAL_EVERY_US = 30 * US_PER_SECOND;
// A server that delivers one packet and closes would otherwise be connected to without a pause: the waits grow until
// media has come for this long.
const STABLE_US = 10 * US_PER_SECOND;
/** A time limit that is looked at later than this shows that the process did not run meanwhile. */
const LATE_US = US_PER_SECOND;

/**
 * One media connection, as a state machine without I/O: inputs are methods that take the time, outputs are drained with
 * `poll` after each. It never touches a packet: `mediaFlows` is called once for each interaction after each connect.
 */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #retry: RetryPolicy;
  readonly #pingUs: number;
  readonly #partingUs: number;
  readonly #interactions: ConnectionInteractions;
  readonly #outputs: ConnectionOutput[] = [];
  #state: ConnectionState = 'idle';
  /** When the state as a whole is due: end of the handshake, next attempt, next ping, last moment of a close. */
  #dueUs = NEVER;
  /** Since media last came; at the policy's limit the connection is given up. */
  #attempts = 0;
  /** Doublings of the wait before the next attempt. */
  #backoffStep = 0;
  /** When media first came on the connection that is open. */
  #mediaSinceUs = NEVER;
  #wasConnected = false;
  #awaitsPong = false;
  #stopping = false;
  /** The socket is closing because its token was refused. */
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
    this.#interactions = new ConnectionInteractions((interaction) =>
      this.#outputs.push({ kind: 'ended', interaction }),
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
    return Math.min(this.#dueUs, this.#interactions.deadlineUs);
  }

  // What the owner wants

  /** Adds an interaction that awaits its subscription, and connects if that has not been done. */
  add(interaction: Interaction): void {
    if (this.#stopping || this.#interactions.has(interaction)) return;
    this.#interactions.add(interaction);
    if (this.#state === 'idle') this.#connect(false);
    else if (this.#state === 'open') this.#send(buildSubscription([interaction.id], this.#settings));
  }

  /** Removes interactions; each has `ended` once the server has confirmed it, or after a second. */
  unsubscribe(interactions: readonly Interaction[], nowUs: number, reason: EndReason = 'unsubscribed'): void {
    const confirmByUs = this.#state === 'open' ? nowUs + this.#partingUs : undefined;
    const unconfirmed: string[] = [];
    this.#interactions.act(interactions, (interaction) => {
      if (interaction.unsubscribe(reason, confirmByUs, nowUs)) unconfirmed.push(interaction.id);
    });
    if (unconfirmed.length > 0) this.#send(buildUnsubscribe(unconfirmed));
    this.#closeWhenEmpty(nowUs);
  }

  /** Unsubscribes from everything, then closes. `closed` is the last output. */
  stop(nowUs: number): void {
    if (this.#stopping) return;
    this.unsubscribe(this.#interactions.all(), nowUs, 'stopped');
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

  /** There is no token. Wrong credentials are final; trying again does not help. */
  unauthorized(nowUs: number, error: unknown): void {
    if (this.#state !== 'authorizing') return;
    this.#lastError = messageOf(error);
    if (error instanceof TrunklineError && error.code === 'AUTH_FAILED') {
      this.#outputs.push({ kind: 'error', error });
      this.#giveUp(nowUs, 'no token');
      return;
    }
    this.#report(this.#lastError);
    this.#retryLater(nowUs, 0, false);
  }

  opened(nowUs: number): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    this.#awaitsPong = false;
    this.#mediaSinceUs = NEVER;
    this.#dueUs = nowUs + this.#pingUs;
    this.#outputs.push({ kind: 'connected', again: this.#wasConnected });
    this.#wasConnected = true;
    const awaiting = this.#interactions.all().filter((interaction) => interaction.awaitsSubscription);
    if (awaiting.length > 0) {
      const ids = awaiting.map(({ id }) => id);
      this.#send(buildSubscription(ids, this.#settings));
    }
    this.#closeWhenEmpty(nowUs);
  }

  pong(): void {
    if (this.#state !== 'open') return;
    this.#awaitsPong = false;
    this.#outputs.push({ kind: 'heartbeat' });
  }

  /** The first packet of an interaction since the connection was made: all is well. */
  mediaFlows(nowUs: number): void {
    this.#attempts = 0;
    this.#renewed = false;
    this.#mediaSinceUs = Math.min(this.#mediaSinceUs, nowUs);
  }

  control(message: ControlMessage, nowUs: number): void {
    if (this.#state !== 'open') return;
    switch (message.kind) {
      case 'subscribed': {
        const seen = new Set<Interaction>();
        for (const announced of message.interactions) {
          const interaction = this.#interactions.find(announced.interactionId);
          // The first time that a message names an interaction counts, and no other.
          if (interaction === undefined || seen.has(interaction)) continue;
          seen.add(interaction);
          this.#interactions.act([interaction], () => interaction.announced(announced, nowUs));
        }
        return;
      }
      case 'ended': {
        const { interactionId, reason } = message;
        this.#act(interactionId, (interaction) => interaction.endedByServer('ended', reason, nowUs));
        this.#closeWhenEmpty(nowUs);
        return;
      }
      case 'error':
        this.#serverError(message, nowUs);
    }
  }

  /** The answer to `ask`; `unknown` when REST could not tell. */
  available(interaction: Interaction, answer: Availability | 'unknown', nowUs: number): void {
    const before = interaction.state;
    this.#interactions.act([interaction], () => interaction.answered(answer, nowUs));
    const isSubscribing = before === 'wanted' && interaction.state === 'subscribing';
    if (isSubscribing && this.#state === 'open') this.#send(buildSubscription([interaction.id], this.#settings));
    this.#closeWhenEmpty(nowUs);
  }

  /** The socket is closed, or could not be opened; then `failure` says why. */
  closed(nowUs: number, code: number, reason: string, failure?: DialFailure): void {
    const was = this.#state;
    if (was !== 'dialing' && was !== 'open' && was !== 'closing') return;
    const verdict = this.#verdict;
    const tokenRefused = this.#tokenRefused || failure?.status === 401;
    this.#verdict = undefined;
    this.#tokenRefused = false;
    const opened = this.#opened || was === 'open';
    this.#opened = false;
    if (opened) {
      this.#outputs.push({ kind: 'disconnected', code, reason: verdict ?? reason });
      this.#lastError = verdict ?? `closed with ${code}${reason === '' ? '' : ` (${reason})`}`;
      if (nowUs - this.#mediaSinceUs >= STABLE_US) this.#backoffStep = 0;
      this.#mediaSinceUs = NEVER;
    }
    this.#interactions.act(this.#interactions.all(), (interaction) => interaction.disconnected(nowUs));
    if (this.#stopping || this.#interactions.size === 0) {
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
    if (!opened) this.#report(verdict ?? failure?.message ?? `The handshake failed (${code}).`);
    this.#retryLater(nowUs, failure?.retryAfterUs ?? 0, tokenRefused);
  }

  tick(nowUs: number): void {
    const due = this.#interactions.all().filter((interaction) => nowUs >= interaction.dueUs);
    this.#interactions.act(due, (interaction) => {
      if (interaction.due(nowUs)) this.#outputs.push({ kind: 'ask', interaction });
    });
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
        // After a stall of this process the pong may lie in the socket, with audio before it: one more ping decides.
        if (this.#awaitsPong && nowUs - this.#dueUs < LATE_US) {
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
      // A close, so that packets under way still arrive; the server may be too broken to answer it.
      this.#state = 'closing';
      this.#dueUs = nowUs + this.#partingUs;
      this.#verdict = 'the token was refused';
      this.#outputs.push({ kind: 'close', code: UNAUTHORIZED });
      return;
    }
    const { status, code, interactionId: id, message } = error;
    const interaction = id === undefined ? undefined : this.#interactions.find(id);
    if (code === 'mediaNotAvailable') {
      // Of those without media, when it does not say of which.
      const refused = id === undefined ? this.#interactions.all().filter((one) => !one.isStreaming) : [interaction];
      for (const one of refused) if (one !== undefined) this.#act(one.id, () => one.refused(nowUs));
    } else if (interaction?.state === 'leaving') {
      // The server says that it is not subscribed, which is what was wanted.
      this.#act(interaction.id, (one) => one.endedByServer('unsubscribed', code, nowUs));
    } else {
      const text = `The media server reports ${status} ${code} ${message}`.trimEnd();
      this.#lastError = text;
      this.#outputs.push({ kind: 'error', error: new TrunklineError('PROTOCOL_ERROR', `${text}.`) });
      if (interaction !== undefined && !interaction.isStreaming) {
        const isTemporary = status === 404 || status === 429 || status >= 500;
        this.#act(interaction.id, (one) =>
          isTemporary ? one.refused(nowUs) : one.endedByServer('error', text, nowUs),
        );
      }
    }
    this.#closeWhenEmpty(nowUs);
  }

  #act(interactionId: string, input: (interaction: Interaction) => void): void {
    const interaction = this.#interactions.find(interactionId);
    if (interaction !== undefined) this.#interactions.act([interaction], input);
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
      this.#giveUp(nowUs, this.#lastError);
      return;
    }
    this.#state = 'waiting';
    this.#renewNext = renewToken;
    const step = renewToken ? Math.max(this.#attempts, this.#refusals++) : this.#backoffStep++;
    this.#dueUs = nowUs + Math.max(leastUs, backoffUs(this.#retry, step, this.#settings.random));
    this.#attempts++;
  }

  #giveUp(nowUs: number, detail: string): void {
    this.#interactions.act(this.#interactions.all(), (interaction) => interaction.lost(detail, nowUs));
    this.#end();
  }

  #report(message: string): void {
    this.#lastError = message;
    this.#outputs.push({ kind: 'error', error: new TrunklineError('CONNECTION_FAILED', message) });
  }

  /** Terminates the socket; what follows waits for `closed`. */
  #drop(verdict: string | undefined): void {
    this.#state = 'closing';
    this.#dueUs = NEVER;
    this.#verdict = verdict;
    this.#outputs.push({ kind: 'terminate' });
  }

  #closeWhenEmpty(nowUs: number): void {
    if (this.#interactions.size > 0) return;
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

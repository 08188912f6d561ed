import type { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import { systemClock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { EndReason } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { US_PER_MS } from '../../core/units.js';
import type { StreamIngest } from '../../engine/input/ingest.js';
import { type SourceCounters, zeroCounters } from './counters.js';
import { Discovery } from './discovery/discovery.js';
import { InteractionStreams } from './interaction-streams.js';
import { checkInteractionId, type InteractionTable } from './interaction-table.js';
import type { ConnectionSettings } from './media/connection.js';
import { MediaSocket, type MediaSocketDependencies, type MediaSocketEvent } from './media/media-socket.js';
import { PacketIngest, type PacketIngestDependencies } from './media/packet-ingest.js';
import type { FormatPreferences } from './protocol/formats.js';
import { type ControlMessage, DEFAULT_CODEC_PREFERENCES } from './protocol/wire.js';
import { type Availability, Conversations } from './rest/conversations.js';
import { TokenBucket } from './rest/rate-limit.js';
import { resolveEndpoints } from './rest/region.js';
import { Rest } from './rest/rest.js';
import { SignIn, type SignInDependencies } from './rest/sign-in.js';
import { Transport } from './rest/transport.js';
import type { SourceEvents, SourceOptions, SourceStatus, SubscriptionResult } from './source-contract.js';
import { WHY_NOT } from './subscriptions.js';

// Requests kept back for sign-in and for interactions whose media did not come.
const BUDGET_RESERVE = 10;
// Notifications and media come over connections of their own: the end of a pause may overtake the last of its packets.
const RESUME_GUARD_US = 500 * US_PER_MS;

export type * from './source-contract.js';

/**
 * The client of the media subscription interface: signs in, asks what is to be had, opens as many connections as the
 * interactions need and feeds the engine with their packets.
 */
export class SubscriptionSource extends EventEmitter<SourceEvents> {
  readonly #options: SourceOptions;
  readonly #signIn: SignIn;
  readonly #bucket: TokenBucket;
  readonly #conversations: Conversations;
  readonly #surroundings: MediaSocketDependencies;
  readonly #intake: PacketIngest;
  readonly #streams: InteractionStreams;
  readonly #counters = zeroCounters();
  readonly #sockets = new Set<MediaSocket>();
  readonly #socketOf = new WeakMap<InteractionTable, MediaSocket>();
  /** Every interaction from `subscribe` to its end; undefined while its availability is being asked. */
  readonly #interactions = new Map<string, MediaSocket | undefined>();
  /** Subscribed to again while the server had yet to confirm the unsubscription. */
  readonly #returning = new Set<string>();
  readonly #discovery: Discovery | undefined;
  readonly #closing = new Map<MediaSocket, () => void>();
  readonly #abort = new AbortController();
  #connectionsMade = 0;
  #stopped: Promise<void> | undefined;

  /** @throws TrunklineError CONFIG_INVALID for settings that cannot be right. */
  constructor(ingest: StreamIngest, options: SourceOptions) {
    super();
    const clock = options.clock ?? systemClock;
    const endpoints = resolveEndpoints(options);
    const transport = new Transport(options);
    // A proxy that cannot be one is told now rather than at the first call.
    transport.webSocketOptions(endpoints.mediaUrl);
    this.#options = options;
    this.#bucket = new TokenBucket(clock);
    const environment: SignInDependencies = {
      clock,
      bucket: this.#bucket,
      signal: this.#abort.signal,
      random: options.random ?? Math.random,
    };
    this.#signIn = new SignIn(
      { clientId: options.clientId, clientSecret: options.clientSecret, endpoints, transport },
      environment,
    );
    this.#signIn.onFailure = (error) => this.#fail(error);
    const rest = new Rest(this.#signIn, environment);
    this.#conversations = new Conversations(rest, clock);
    const { queues = [], users = [], reconcileUs } = options;
    if (queues.length + users.length > 0) {
      this.#discovery = new Discovery(
        { queues, users, reconcileUs },
        { rest, transport, clock, random: options.random ?? Math.random },
        this.#conversations,
        {
          begin: (id) => this.#begin(id),
          end: (id) => this.unsubscribe([id]),
          pause: (id) => this.pause(id),
          resume: (id) => this.resume(id),
          notifications: (listening, reason) => this.emit('notifications', { listening, reason }),
          failed: (error) => this.#fail(error),
        },
      );
    }
    const host: PacketIngestDependencies = {
      firstPacket: (roster, slot, codec, channel, payload) => this.#firstPacket(roster, slot, codec, channel, payload),
      control: (roster, message) => this.#control(roster, message),
    };
    const formats: FormatPreferences = {
      codecPreferences: options.codecPreferences ?? DEFAULT_CODEC_PREFERENCES,
      opusSampleRate: options.opusSampleRate ?? 48_000,
    };
    this.#streams = new InteractionStreams(ingest, formats, {
      flush: () => this.#intake.flush(),
      isLeaving: (roster, id) => this.#socketOf.get(roster)?.connection.isLeaving(id) === true,
      giveUp: (roster, id, why) => this.#giveUp(roster, id, why),
    });
    this.#intake = new PacketIngest(ingest, clock, this.#counters, host, options.socketReader);
    this.#surroundings = {
      mediaUrl: endpoints.mediaUrl,
      transport,
      signIn: this.#signIn,
      clock,
      intake: this.#intake,
      counters: this.#counters,
      settings: connectionSettings(options),
      ask: (interactionId) => this.#ask(interactionId),
    };
  }

  /** Signs in, and follows the queues and users. @throws TrunklineError AUTH_FAILED, CONNECTION_FAILED, RATE_LIMITED. */
  async start(): Promise<void> {
    await this.#signIn.getToken();
    await this.#discovery?.start();
  }

  /** Withholds an interaction's audio from now on: it is counted and its time marked, but nobody hears it. */
  pause(interactionId: string): void {
    this.#streams.pause(interactionId, this.#interactions.get(interactionId)?.roster);
    this.emit('paused', { interactionId, paused: true });
  }

  /** Lets an interaction's audio out again, after half a second of grace for what is still under way. */
  resume(interactionId: string): void {
    const roster = this.#interactions.get(interactionId)?.roster;
    const fromUs = this.#surroundings.clock.nowUs() + RESUME_GUARD_US;
    if (this.#streams.resume(interactionId, roster, fromUs)) this.emit('paused', { interactionId, paused: false });
  }

  /**
   * Adds interactions; those that are there already are left as they are. Resolves when each has been checked and put
   * on a connection, which is before its media flows.
   *
   * @throws TrunklineError CONFIG_INVALID for an impossible id, LIMIT_EXCEEDED beyond LIMITS.maxStreams, AUTH_FAILED.
   */
  async subscribe(interactionIds: readonly string[]): Promise<SubscriptionResult[]> {
    if (this.#stopped !== undefined)
      throw new TrunklineError('ENGINE_CLOSED', 'The source has been stopped; make a new one.');
    for (const id of interactionIds) checkInteractionId(id);
    const fresh: string[] = [];
    for (const id of new Set(interactionIds)) {
      if (!this.#interactions.has(id)) fresh.push(id);
      else if (this.#isLeaving(id)) this.#returning.add(id);
    }
    if (this.#interactions.size + fresh.length > LIMITS.maxStreams) {
      throw new TrunklineError(
        'LIMIT_EXCEEDED',
        `One node captures at most ${LIMITS.maxStreams} interactions; start another.`,
      );
    }
    for (const id of fresh) this.#interactions.set(id, undefined);
    try {
      await this.#signIn.getToken();
    } catch (error) {
      for (const id of fresh) this.#interactions.delete(id);
      throw error;
    }
    return Promise.all(fresh.map((id) => this.#admit(id)));
  }

  /** Takes interactions away. Their streams end once the server has confirmed it, or after a second. */
  unsubscribe(interactionIds: readonly string[]): void {
    const ids = new Map<MediaSocket, string[]>();
    for (const id of interactionIds) {
      this.#returning.delete(id);
      const socket = this.#interactions.get(id);
      if (socket === undefined) {
        if (this.#interactions.has(id)) this.#ended(id, 'unsubscribed', '');
        continue;
      }
      const list = ids.get(socket);
      if (list === undefined) ids.set(socket, [id]);
      else list.push(id);
    }
    for (const [socket, list] of ids) socket.act((connection, nowUs) => connection.unsubscribe(list, nowUs));
  }

  /**
   * Unsubscribes from everything, waits up to a second for the server to confirm it, so that both sides' books agree,
   * and closes. All streams have ended when it resolves.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  counters(): SourceCounters {
    return { ...this.#counters };
  }

  status(): SourceStatus {
    const connections = [...this.#sockets].map(({ number, connection, roster }) => ({
      connection: number,
      state: connection.state,
      interactions: roster.size,
      streams: roster.stream.reduce((open, stream) => open + (stream >= 0 ? 1 : 0), 0),
      attempts: connection.attempts,
      lastError: connection.lastError,
    }));
    const discovery = this.#discovery?.status();
    return {
      connections,
      interactions: this.#interactions.size,
      paused: this.#streams.pausedCount,
      tokenAgeMs: this.#signIn.tokenAgeMs(),
      ...(discovery === undefined ? {} : { discovery }),
    };
  }

  async #stop(): Promise<void> {
    this.#discovery?.close();
    this.#signIn.close();
    this.#abort.abort();
    this.#returning.clear();
    for (const [id, socket] of this.#interactions) if (socket === undefined) this.#ended(id, 'stopped', '');
    const closed = [...this.#sockets].map(
      (socket) =>
        new Promise<void>((resolve) => {
          this.#closing.set(socket, resolve);
          socket.act((connection, nowUs) => connection.stop(nowUs));
        }),
    );
    await Promise.all(closed);
    this.#intake.flush();
  }

  #begin(interactionId: string): void {
    if (this.#stopped !== undefined) return;
    this.subscribe([interactionId]).catch((error: unknown) => {
      this.#discovery?.left(interactionId, false);
      this.#fail(error instanceof TrunklineError ? error : new TrunklineError('CONNECTION_FAILED', messageOf(error)));
    });
  }

  #isLeaving(id: string): boolean {
    return this.#interactions.get(id)?.connection.isLeaving(id) === true;
  }

  async #admit(interactionId: string): Promise<SubscriptionResult> {
    const check = this.#options.availabilityCheck ?? 'budgeted';
    let availability: Availability | 'unchecked' = 'unchecked';
    if (check === 'always' || (check === 'budgeted' && this.#bucket.tryTake(BUDGET_RESERVE))) {
      const answer = await this.#ask(interactionId, check === 'budgeted');
      availability = answer === 'unknown' ? 'unchecked' : answer;
    }
    // Unsubscribed or stopped in the meantime.
    if (!this.#interactions.has(interactionId)) return { interactionId, availability };
    if (availability === 'expired' || availability === 'notFound') {
      this.#ended(interactionId, 'mediaNotAvailable', WHY_NOT[availability]);
    } else this.#attach(interactionId);
    return { interactionId, availability };
  }

  async #ask(interactionId: string, tokenTaken = false): Promise<Availability | 'unknown'> {
    try {
      return await this.#conversations.availability(interactionId, tokenTaken);
    } catch (error) {
      if (error instanceof TrunklineError && !this.#abort.signal.aborted) this.#fail(error);
      return 'unknown';
    }
  }

  /**
   * Puts an interaction on the emptiest connection, among as many as all interactions together need, and no fewer than
   * `leastConnections`: a connection that is lost then costs the fewer streams.
   */
  #attach(interactionId: string): void {
    const limit = LIMITS.interactionsPerConnection;
    const room = Math.max(1, Math.min(this.#options.interactionsPerConnection ?? limit, limit));
    const least = Math.min(this.#interactions.size, this.#options.leastConnections ?? 1);
    const needed = Math.max(Math.ceil(this.#interactions.size / room), least);
    const open = [...this.#sockets].filter(({ connection }) => !connection.isEnding);
    let chosen: MediaSocket | undefined;
    for (const socket of open) {
      if (socket.roster.size < room && (chosen === undefined || socket.roster.size < chosen.roster.size))
        chosen = socket;
    }
    if (chosen === undefined || open.length < needed) {
      chosen = new MediaSocket(this.#connectionsMade++, this.#surroundings, (socket, event) => this.#on(socket, event));
      this.#sockets.add(chosen);
      this.#socketOf.set(chosen.roster, chosen);
    }
    chosen.roster.add(interactionId);
    this.#interactions.set(interactionId, chosen);
    chosen.act((connection) => connection.subscribe(interactionId));
  }

  #on(socket: MediaSocket, event: MediaSocketEvent): void {
    const connection = socket.number;
    switch (event.kind) {
      case 'connected':
        this.#connected(socket, event.again);
        return;
      case 'disconnected':
        this.emit('disconnected', {
          connection,
          interactions: socket.roster.size,
          code: event.code,
          reason: event.reason,
        });
        return;
      case 'heartbeat':
        this.emit('heartbeat', { connection });
        return;
      case 'exhausted':
        this.emit('maxReconnectReached', { connection, attempts: event.attempts });
        return;
      case 'error':
        this.#fail(event.error);
        return;
      case 'left':
        this.#left(socket, event.interactionId, event.reason, event.detail);
        return;
      case 'closed':
        this.#sockets.delete(socket);
        this.#closing.get(socket)?.();
    }
  }

  #connected(socket: MediaSocket, again: boolean): void {
    const { roster } = socket;
    roster.flowing.fill(0);
    if (again) {
      this.#counters.reconnects++;
      this.#streams.interrupted(roster);
    }
    this.emit('connected', { connection: socket.number, interactions: roster.size, again });
  }

  #left(socket: MediaSocket, interactionId: string, reason: EndReason, detail: string): void {
    const slot = socket.roster.slotOf(interactionId);
    if (slot >= 0) {
      this.#streams.end(socket.roster, slot, reason);
      socket.roster.remove(slot);
    }
    this.#ended(interactionId, reason, detail);
  }

  #ended(interactionId: string, reason: EndReason, detail: string): void {
    this.#interactions.delete(interactionId);
    const comesBack = this.#returning.has(interactionId);
    this.#streams.ended(interactionId, comesBack);
    if (!comesBack) {
      this.#discovery?.left(interactionId, reason !== 'lost' && reason !== 'mediaNotAvailable');
    }
    this.emit('interactionEnded', { interactionId, reason, detail });
    if (this.#returning.delete(interactionId)) {
      this.#interactions.set(interactionId, undefined);
      this.#attach(interactionId);
    } else if (this.#interactions.size === 0) this.emit('idle');
  }

  #control(roster: InteractionTable, message: ControlMessage): void {
    const socket = this.#socketOf.get(roster);
    if (socket === undefined) return;
    if (message.kind === 'subscribed') {
      const seen = new Set<string>();
      for (const announced of message.interactions) {
        if (seen.has(announced.interactionId)) continue;
        seen.add(announced.interactionId);
        this.#streams.announced(roster, announced);
      }
    } else if (message.kind === 'error') {
      this.#counters.controlErrors++;
      const slot = message.interactionId === undefined ? -1 : roster.slotOf(message.interactionId);
      if (slot >= 0) roster.flowing[slot] = 0;
    }
    socket.act((connection, nowUs) => connection.control(message, nowUs));
  }

  #firstPacket(roster: InteractionTable, slot: number, codec: number, channel: number, payload: Buffer): boolean {
    const socket = this.#socketOf.get(roster);
    if (socket === undefined) return false;
    if (!this.#streams.heard(roster, slot, codec, channel, payload)) {
      this.#counters.unknownInteraction++;
      return false;
    }
    roster.flowing[slot] = 1;
    const interactionId = roster.id(slot);
    socket.act((connection) => connection.mediaFlows(interactionId));
    return roster.flowing[slot] === 1;
  }

  #giveUp(roster: InteractionTable, interactionId: string, why: TrunklineError): void {
    this.#fail(why);
    this.#socketOf.get(roster)?.act((connection, nowUs) => connection.unsubscribe([interactionId], nowUs, 'error'));
  }

  /** `error` without a listener would end the process. */
  #fail(error: TrunklineError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}

function connectionSettings(options: SourceOptions): ConnectionSettings {
  const { random = Math.random, codecPreferences = DEFAULT_CODEC_PREFERENCES, retry, mediaRetry, pingUs } = options;
  return { random, codecPreferences, retry, mediaRetry, pingUs, handshakeUs: options.handshakeUs };
}

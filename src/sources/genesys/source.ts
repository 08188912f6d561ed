import { type Clock, systemClock } from '../../core/clock.js';
import { GuardedEmitter } from '../../core/emitter.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import type { StreamIngest } from '../../engine/input/ingest.js';
import type { SourceInteraction } from '../source.js';
import { Refusals, type SourceCounters, zeroCounters } from './counters.js';
import { CallDescriptions } from './discovery/call-attributes.js';
import { Discovery } from './discovery/discovery.js';
import { Interaction, type InteractionDependencies } from './interaction/interaction.js';
import type { PausedBy } from './interaction/transitions.js';
import { checkInteractionId, type InteractionTable, idKey } from './interaction-table.js';
import type { MediaSocket, MediaSocketEvent } from './media/media-socket.js';
import { PacketIngest } from './media/packet-ingest.js';
import { MediaSocketPool } from './media/socket-pool.js';
import { type ControlMessage, DEFAULT_CODEC_PREFERENCES } from './protocol/wire.js';
import { type Availability, Conversations } from './rest/conversations.js';
import { TokenBucket } from './rest/rate-limit.js';
import { resolveEndpoints } from './rest/region.js';
import { Rest } from './rest/rest.js';
import { MEDIA_RETRY } from './rest/retry.js';
import { SignIn, type SignInDependencies } from './rest/sign-in.js';
import { Transport } from './rest/transport.js';
import {
  connectionSettings,
  DISCONNECT_CAUSES,
  noDisconnects,
  type SourceEvents,
  type SourceOptions,
  type SourceStatus,
  type SubscriptionResult,
} from './source-contract.js';

// Requests kept back for sign-in and for interactions whose media did not come.
const BUDGET_RESERVE = 10;

export type * from './source-contract.js';

/**
 * The client of the media subscription interface: signs in, asks which interactions have media, opens as many
 * connections as they need and gives their packets to the engine. The state of each interaction is in its Interaction.
 */
export class SubscriptionSource extends GuardedEmitter<SourceEvents> {
  readonly #options: SourceOptions;
  readonly #clock: Clock;
  readonly #signIn: SignIn;
  readonly #bucket: TokenBucket;
  readonly #conversations: Conversations;
  readonly #packetIngest: PacketIngest;
  readonly #pool: MediaSocketPool;
  readonly #counters = zeroCounters();
  readonly #disconnects = noDisconnects();
  readonly #refusals = new Refusals(this.#counters, (refusal) => this.emit('refused', refusal));
  /** From `subscribe` until they end, by idKey. */
  readonly #interactions = new Map<string, Interaction>();
  readonly #interactionDependencies: InteractionDependencies;
  readonly #discovery: Discovery | undefined;
  readonly #abort = new AbortController();
  #stopped: Promise<void> | undefined;
  #isDraining = false;

  /** @throws TrunklineError CONFIG_INVALID for settings that cannot be right. */
  constructor(ingest: StreamIngest, options: SourceOptions) {
    super();
    const { random = Math.random, clock = systemClock, codecPreferences = DEFAULT_CODEC_PREFERENCES } = options;
    const endpoints = resolveEndpoints(options);
    const transport = new Transport(options);
    // An invalid proxy is reported now rather than at the first call.
    transport.webSocketOptions(endpoints.mediaUrl);
    this.#options = options;
    this.#clock = clock;
    this.#bucket = new TokenBucket(clock);
    const dependencies: SignInDependencies = { clock, bucket: this.#bucket, signal: this.#abort.signal, random };
    this.#signIn = new SignIn(
      { clientId: options.clientId, clientSecret: options.clientSecret, endpoints, transport },
      dependencies,
    );
    this.#signIn.onFailure = (error) => this.#fail(error);
    const rest = new Rest(this.#signIn, dependencies);
    const descriptions = new CallDescriptions((id, attributes) => this.emit('described', id, attributes));
    this.#conversations = new Conversations(rest, clock, (id, resource) => descriptions.seen(id, resource));
    const { queues = [], users = [], reconcileUs } = options;
    if (queues.length + users.length > 0) {
      this.#discovery = new Discovery(
        { queues, users, reconcileUs },
        { rest, transport, clock, random },
        this.#conversations,
        {
          descriptions,
          begin: (id, pausedBy) => this.#begin(id, pausedBy),
          end: (id) => this.unsubscribe([id]),
          pause: (id) => this.#pause(id, 'platform'),
          resume: (id) => this.#resume(id, 'platform'),
          notifications: (listening, reason) => this.emit('notifications', { listening, reason }),
          failed: (error) => this.#fail(error),
        },
      );
    }
    this.#interactionDependencies = {
      ingest,
      formats: { codecPreferences, opusSampleRate: options.opusSampleRate ?? 48_000 },
      mediaRetry: options.mediaRetry ?? MEDIA_RETRY,
      random,
      deliver: (stream, packet) => this.#packetIngest.deliver(stream, packet),
      giveUp: (interaction, why) => this.#giveUp(interaction, why),
      refusedPacket: ({ id }, why) => this.#refusals.add(why, id),
    };
    this.#packetIngest = new PacketIngest(
      ingest,
      clock,
      this.#counters,
      {
        control: (table, message) => this.#control(table, message),
        refusals: this.#refusals,
      },
      options.socketReader,
    );
    this.#pool = new MediaSocketPool(
      {
        mediaUrl: endpoints.mediaUrl,
        transport,
        signIn: this.#signIn,
        clock,
        packetIngest: this.#packetIngest,
        refusals: this.#refusals,
        settings: connectionSettings(options),
        ask: (interactionId) => this.#ask(interactionId),
      },
      options,
      (socket, event) => this.#on(socket, event),
    );
  }

  /**
   * Signs in, and follows the queues and users. Tries again, with an `error` event each time, for as long as success is
   * possible: without network, and after 429 and 5xx.
   *
   * @throws TrunklineError AUTH_FAILED for wrong credentials, CONNECTION_FAILED when stopped, CONFIG_INVALID.
   */
  async start(): Promise<void> {
    await this.#signIn.start();
    await this.#discovery?.start();
  }

  /**
   * Keeps nothing of an interaction until resume(); its recording keeps its time, marked *paused*. The pause goes on
   * over a reconnect and over a change of format. The platform's own secure pause is independent of it: audio is let
   * through when both are over. False when the interaction is not subscribed to.
   */
  pause(interactionId: string): boolean {
    return this.#pause(interactionId, 'operator');
  }

  /** Ends the pause of pause(): what arrives from now on is kept. False when the interaction is not subscribed to. */
  resume(interactionId: string): boolean {
    return this.#resume(interactionId, 'operator');
  }

  /**
   * Adds interactions; those that are subscribed to already stay as they are. Resolves when each has been checked and
   * put on a connection, which is before its media flows.
   *
   * @throws TrunklineError CONFIG_INVALID for an impossible id, LIMIT_EXCEEDED beyond LIMITS.maxStreams, AUTH_FAILED.
   */
  subscribe(interactionIds: readonly string[]): Promise<SubscriptionResult[]> {
    return this.#subscribe(interactionIds, []);
  }

  /** Removes interactions. Their streams end once the server has confirmed it, or after a second. */
  unsubscribe(interactionIds: readonly string[]): void {
    const bySocket = new Map<MediaSocket, Interaction[]>();
    for (const id of interactionIds) {
      const interaction = this.#interactions.get(idKey(id));
      if (interaction === undefined) continue;
      const socket = this.#pool.of(interaction.table);
      const group = socket === undefined ? undefined : bySocket.get(socket);
      if (socket === undefined) this.#cancel(interaction, 'unsubscribed');
      else if (group === undefined) bySocket.set(socket, [interaction]);
      else group.push(interaction);
    }
    for (const [socket, group] of bySocket) socket.act((connection, nowUs) => connection.unsubscribe(group, nowUs));
  }

  /** Takes no interactions from now on; those that there are go on. */
  takeNoMore(): void {
    this.#isDraining = true;
  }

  has(interactionId: string): boolean {
    return this.#interactions.has(idKey(interactionId));
  }

  /** Those that are captured or are to be. */
  *interactions(): IterableIterator<SourceInteraction> {
    for (const { id: interactionId, state, hasStream } of this.#interactions.values()) {
      if (!hasStream) yield { interactionId, state: 'subscribing' };
      else yield { interactionId, state: state === 'interrupted' ? 'interrupted' : 'streaming' };
    }
  }

  /**
   * Unsubscribes from everything, waits up to a second for the server to confirm it, so that both sides count the same,
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
    const discovery = this.#discovery?.status();
    const paused = [...this.#interactions.values()].filter(({ pausedBy }) => pausedBy.size > 0);
    return {
      connections: this.#pool.status(),
      interactions: this.#interactions.size,
      paused: paused.length,
      disconnects: { ...this.#disconnects },
      signIns: this.#signIn.counts,
      requests: this.#bucket.status(),
      tokenAgeMs: this.#signIn.tokenAgeMs(),
      ...(discovery === undefined ? {} : { discovery }),
    };
  }

  async #stop(): Promise<void> {
    this.#discovery?.close();
    this.#signIn.close();
    this.#abort.abort();
    for (const interaction of this.#interactions.values()) {
      if (interaction.table === undefined) this.#cancel(interaction, 'stopped');
    }
    await this.#pool.stop();
    this.#packetIngest.flush();
  }

  /** Discovery has found a call. */
  #begin(interactionId: string, pausedBy: readonly PausedBy[]): void {
    if (this.#stopped !== undefined || this.#isDraining) return;
    for (const by of pausedBy) this.emit('paused', { interactionId, paused: true, by });
    this.#subscribe([interactionId], pausedBy).catch((error: unknown) => {
      this.#discovery?.captureEnded(interactionId, { final: false, pausedBy });
      this.#fail(error instanceof TrunklineError ? error : new TrunklineError('CONNECTION_FAILED', messageOf(error)));
    });
  }

  async #subscribe(interactionIds: readonly string[], pausedBy: readonly PausedBy[]): Promise<SubscriptionResult[]> {
    if (this.#stopped !== undefined) {
      throw new TrunklineError('ENGINE_CLOSED', 'The source has been stopped; make a new one.');
    }
    if (this.#isDraining) throw new TrunklineError('ENGINE_CLOSED', 'The node is draining: it takes no new calls.');
    for (const id of interactionIds) checkInteractionId(id);
    const added = this.#add(interactionIds, pausedBy);
    try {
      await this.#signIn.getToken();
    } catch (error) {
      for (const interaction of added) this.#forget(interaction);
      throw error;
    }
    return Promise.all(added.map((interaction) => this.#admit(interaction)));
  }

  /** Returns those that are new. */
  #add(interactionIds: readonly string[], pausedBy: readonly PausedBy[]): Interaction[] {
    const added = new Map<string, Interaction>();
    for (const id of interactionIds) {
      const key = idKey(id);
      const known = this.#interactions.get(key);
      if (known !== undefined) known.subscribe(this.#clock.nowUs());
      else if (!added.has(key)) added.set(key, new Interaction(id, this.#interactionDependencies, pausedBy));
    }
    if (this.#interactions.size + added.size > LIMITS.maxStreams) {
      const sentence = `One node captures at most ${LIMITS.maxStreams} interactions; start another.`;
      throw new TrunklineError('LIMIT_EXCEEDED', sentence);
    }
    for (const [key, interaction] of added) this.#interactions.set(key, interaction);
    return [...added.values()];
  }

  async #admit(interaction: Interaction): Promise<SubscriptionResult> {
    const { id: interactionId } = interaction;
    const check = this.#options.availabilityCheck ?? 'budgeted';
    let answer: Availability | 'unknown' = 'unknown';
    if (check === 'always' || (check === 'budgeted' && this.#bucket.tryTake(BUDGET_RESERVE))) {
      answer = await this.#ask(interactionId, check === 'budgeted');
    }
    // Unsubscribed or stopped in the meantime, it has ended, and no answer changes that.
    if (interaction.state === 'wanted') {
      interaction.answered(answer, this.#clock.nowUs());
      if (interaction.awaitsSubscription) this.#attach(interaction);
      else this.#ended(interaction);
    }
    return { interactionId, availability: answer === 'unknown' ? 'unchecked' : answer };
  }

  async #ask(interactionId: string, tokenTaken = false): Promise<Availability | 'unknown'> {
    try {
      return await this.#conversations.availability(interactionId, tokenTaken);
    } catch (error) {
      if (error instanceof TrunklineError && !this.#abort.signal.aborted) this.#fail(error);
      return 'unknown';
    }
  }

  #attach(interaction: Interaction): void {
    this.#pool.attach(interaction, this.#interactions.size);
  }

  /** Ends an interaction that is on no connection yet. */
  #cancel(interaction: Interaction, reason: 'unsubscribed' | 'stopped'): void {
    interaction.unsubscribe(reason, undefined, this.#clock.nowUs());
    this.#ended(interaction);
  }

  #forget(interaction: Interaction): void {
    const key = idKey(interaction.id);
    if (this.#interactions.get(key) === interaction) this.#interactions.delete(key);
  }

  #ended(interaction: Interaction): void {
    const { id: interactionId, endReason: reason, endDetail: detail, pausedBy } = interaction;
    const returns = interaction.isWantedAgain && this.#stopped === undefined;
    this.#forget(interaction);
    if (!returns) {
      const final = reason !== 'lost' && reason !== 'mediaNotAvailable';
      this.#discovery?.captureEnded(interactionId, { final, pausedBy: [...pausedBy] });
    }
    this.emit('interactionEnded', { interactionId, reason, detail });
    if (returns && !this.#interactions.has(idKey(interactionId))) {
      const next = new Interaction(interactionId, this.#interactionDependencies, pausedBy);
      this.#interactions.set(idKey(interactionId), next);
      next.answered('unknown', this.#clock.nowUs());
      this.#attach(next);
    } else if (this.#interactions.size === 0) this.emit('idle');
  }

  #pause(interactionId: string, by: PausedBy): boolean {
    const interaction = this.#interactions.get(idKey(interactionId));
    if (interaction === undefined) return false;
    if (interaction.pause(by, this.#clock.nowUs())) {
      this.emit('paused', { interactionId: interaction.id, paused: true, by });
    }
    return true;
  }

  #resume(interactionId: string, by: PausedBy): boolean {
    const interaction = this.#interactions.get(idKey(interactionId));
    if (interaction === undefined) return false;
    if (interaction.resume(by, this.#clock.nowUs())) {
      this.emit('paused', { interactionId: interaction.id, paused: false, by });
    }
    return true;
  }

  #on(socket: MediaSocket, event: MediaSocketEvent): void {
    const { number: connection, table } = socket;
    const interactions = table.size;
    switch (event.kind) {
      case 'connected':
        if (event.again) this.#counters.reconnects++;
        this.emit('connected', { connection, interactions, again: event.again });
        return;
      case 'disconnected':
        this.#disconnects[DISCONNECT_CAUSES[event.code] ?? 'other']++;
        this.emit('disconnected', { connection, interactions, code: event.code, reason: event.reason });
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
      case 'ended':
        this.#ended(event.interaction);
    }
  }

  #control(table: InteractionTable, message: ControlMessage): void {
    if (message.kind === 'error') this.#counters.controlErrors++;
    this.#pool.of(table)?.act((connection, nowUs) => connection.control(message, nowUs));
  }

  #giveUp(interaction: Interaction, why: TrunklineError): void {
    this.#fail(why);
    const socket = this.#pool.of(interaction.table);
    socket?.act((connection, nowUs) => connection.unsubscribe([interaction], nowUs, 'error'));
  }

  /** `error` without a listener would end the process. */
  #fail(error: TrunklineError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}

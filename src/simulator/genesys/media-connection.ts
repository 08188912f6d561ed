import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '../../core/clock.js';
import { LIMITS } from '../../core/limits.js';
import { SendQueue } from '../network/send-queue.js';
import type { Faults } from './faults.js';
import type { Carrier, Interaction } from './interaction.js';
import type { ChannelLedger } from './ledger.js';
import {
  BadRequest,
  badRequest,
  type ClientRequest,
  type ErrorMessage,
  endedMessage,
  mediaNotAvailable,
  parseRequest,
  subscribedMessage,
  tooManyInteractions,
} from './wire.js';

export interface MediaContext {
  readonly interactions: ReadonlyMap<string, Interaction>;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly board: Faults;
  /** Says `subscribed` and `ended`, as our own rules have it. */
  readonly announces: boolean;
  /** How long after its end an interaction can still be subscribed to. */
  readonly availabilitySeconds: number;
  /** A client that leaves more unread is cut off. */
  readonly backlogBytes: number;
  /** An interaction has become live. */
  started(interaction: Interaction): void;
  closed(connection: MediaConnection): void;
}

/** Close codes of a client that leaves on purpose (RFC 6455 7.4.1): normal, going away, none given. */
const LEAVING = new Set([1000, 1001, 1005]);
const OPEN = 1;
const DRAIN_MS = 20;
const MAX_DRAIN_TRIES = 50;

/** One client's media WebSocket. */
export class MediaConnection implements Carrier {
  readonly #socket: WebSocket;
  readonly #sendQueue: SendQueue;
  readonly #context: MediaContext;
  readonly #subscribed = new Set<Interaction>();
  readonly #stream: Socket;
  /** Closed from this side. The close code that the client answers with does not matter then. */
  #wasCut = false;
  #isSilent = false;

  constructor(socket: WebSocket, stream: Socket, context: MediaContext) {
    this.#socket = socket;
    this.#stream = stream;
    this.#sendQueue = new SendQueue(stream);
    this.#context = context;
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('ping', (data) => {
      if (!this.#isSilent) socket.pong(data);
    });
    socket.on('close', (code) => this.#closed(code));
    // What the client did wrong is in the close code; the event only must not go unheard.
    socket.on('error', () => {});
  }

  get isOpen(): boolean {
    return this.#socket.readyState === OPEN && !this.#isSilent && !this.#wasCut;
  }

  sendPacket(
    text: string,
    ledger: ChannelLedger,
    index: number,
    sequence: number,
    timestamp: number,
    payload: string,
  ): void {
    this.#sendQueue.pushPacket(text, ledger, index, sequence, timestamp, payload);
  }

  interactionTaken(interaction: Interaction): void {
    this.#subscribed.delete(interaction);
  }

  interactionEnded(interaction: Interaction): void {
    this.#subscribed.delete(interaction);
    if (this.#context.announces) this.#sendMessage(endedMessage(interaction.id, interaction.endReason ?? 'ended'));
  }

  /** Writes what has gathered, and cuts off a client that does not read. */
  flush(): void {
    if (!this.isOpen) return;
    this.#sendQueue.flush();
    if (this.#sendQueue.backlogBytes > this.#context.backlogBytes) {
      this.#wasCut = true;
      this.#socket.terminate();
    }
  }

  /** Closes the connection from this side, with a close code or, without one, by a TCP reset. */
  cut(code?: number): void {
    void this.quieten().then(() => {
      if (code === undefined) this.#stream.resetAndDestroy();
      else this.#socket.close(code);
    });
  }

  /**
   * Sends no packet any more, and resolves when what was sent has left. A reset throws away what the receiver's system
   * has not taken yet; only behind nothing are the ledger exact about what had gone out.
   */
  async quieten(): Promise<void> {
    this.flush();
    this.#wasCut = true;
    for (let tries = 0; this.#sendQueue.backlogBytes > 0 && tries < MAX_DRAIN_TRIES; tries++) await delay(DRAIN_MS);
    await delay(DRAIN_MS);
  }

  /** Sends nothing any more and answers nothing, as when the network between has gone. */
  fallSilent(): void {
    this.flush();
    this.#isSilent = true;
  }

  /** Tells the client that its token is good no more. */
  refuseToken(): void {
    this.#complain({ status: 401, code: 'bad.credentials', message: 'the token has expired' });
    this.flush();
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#isSilent) return;
    let request: ClientRequest;
    try {
      if (isBinary) throw new BadRequest('messages are text');
      request = parseRequest(data.toString());
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      this.#complain(badRequest(error.message));
      this.flush();
      return;
    }
    this.#unsubscribe(request.unsubscribe);
    if (request.subscribe.length > 0) this.#subscribe(request.subscribe);
    this.flush();
  }

  #unsubscribe(ids: readonly string[]): void {
    const { interactions, clock } = this.#context;
    for (const id of ids) {
      const interaction = interactions.get(id);
      if (interaction?.carrier === this) interaction.finish('unsubscribed', clock.nowUs(), clock.wallMs());
      else this.#complain({ status: 400, code: 'notSubscribed', interactionId: id });
    }
  }

  #subscribe(ids: readonly string[]): void {
    const added = ids.filter((id) => {
      const interaction = this.#context.interactions.get(id);
      return interaction === undefined || !this.#subscribed.has(interaction);
    });
    if (this.#subscribed.size + added.length > LIMITS.interactionsPerConnection) {
      this.#complain(tooManyInteractions());
      return;
    }
    const accepted = ids.map((id) => this.#admit(id)).filter((interaction) => interaction !== undefined);
    if (accepted.length > 0 && this.#context.announces) {
      this.#sendMessage(subscribedMessage(accepted.map(({ id, format }) => ({ interactionId: id, ...format }))));
    }
    const nowUs = this.#context.clock.nowUs();
    for (const interaction of accepted) {
      const isNew = interaction.state === 'waiting';
      this.#subscribed.add(interaction);
      interaction.subscribe(this, nowUs);
      if (isNew) this.#context.started(interaction);
    }
  }

  /** The interaction, when its media can be had; otherwise the client is told what it can expect. */
  #admit(id: string): Interaction | undefined {
    const { faults, board } = this.#context;
    const fault = faults.subscribe?.(id) ?? board.subscribe?.(id);
    const interaction = this.#context.interactions.get(id);
    const isToCome = interaction?.call?.phase === 'planned' || interaction?.call?.phase === 'alerting';
    if (fault !== undefined || interaction === undefined || isToCome) {
      this.#complain(fault ?? mediaNotAvailable(id));
      return undefined;
    }
    if (interaction.endedAtMs === null) return interaction;
    const endedForMs = this.#context.clock.wallMs() - interaction.endedAtMs;
    if (endedForMs > this.#context.availabilitySeconds * 1e3 || !this.#context.announces) {
      this.#complain(mediaNotAvailable(id));
    } else {
      this.#sendMessage(endedMessage(id, interaction.endReason ?? 'ended'));
    }
    return undefined;
  }

  #complain(error: ErrorMessage): void {
    this.#sendMessage(JSON.stringify(error));
  }

  #sendMessage(text: string): void {
    this.#sendQueue.pushMessage(text);
  }

  #closed(code: number): void {
    this.#sendQueue.takeBackUnsent();
    const { clock } = this.#context;
    for (const interaction of this.#subscribed) {
      interaction.detach(this);
      if (LEAVING.has(code) && !this.#wasCut) interaction.finish('unsubscribed', clock.nowUs(), clock.wallMs());
    }
    this.#subscribed.clear();
    this.#context.closed(this);
  }
}

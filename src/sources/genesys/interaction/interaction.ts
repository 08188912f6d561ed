import type { TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import type { StreamIngest } from '../../../engine/input/ingest.js';
import type { InteractionTable, RowOwner, UndecidedPacket } from '../interaction-table.js';
import type { SubscribedInteraction } from '../protocol/wire.js';
import type { Availability } from '../rest/conversations.js';
import { EngineStream } from './engine-stream.js';
import {
  type Handler,
  type Inputs,
  type InteractionData,
  type InteractionSettings,
  type InteractionState,
  NEVER,
  type PausedBy,
  TRANSITIONS,
} from './transitions.js';

export interface InteractionDependencies extends InteractionSettings {
  readonly ingest: StreamIngest;
  /** The engine refused a stream, or the server behaves so that no stream can be kept: unsubscribe. */
  giveUp(interaction: Interaction, why: TrunklineError): void;
  /** A packet was refused: there is no stream for it, or it is in another format. */
  refusedPacket(interaction: Interaction, why: 'unknownInteraction' | 'wrongFormat'): void;
}

/**
 * One interaction that is captured: its state, its stream in the engine and its row in the table of its connection.
 * Without I/O: what happens comes in by methods that take the time. The connection that it is on sends what follows
 * from its state, and looks at `dueUs`.
 */
export class Interaction implements RowOwner {
  readonly #dependencies: InteractionDependencies;
  readonly #data: InteractionData;
  #table: InteractionTable | undefined;
  #slot = -1;
  #onMedia: () => void = () => {};

  constructor(id: string, dependencies: InteractionDependencies, pausedBy: Iterable<PausedBy> = []) {
    this.#dependencies = dependencies;
    this.#data = {
      id,
      settings: dependencies,
      stream: new EngineStream(dependencies.ingest, id),
      state: 'wanted',
      dueUs: NEVER,
      refusals: 0,
      isSettled: false,
      pausedBy: new Set(pausedBy),
      isWantedAgain: false,
      endReason: 'ended',
      endDetail: '',
      failure: undefined,
      firstPackets: undefined,
      previous: undefined,
      outcome: 'refused',
    };
  }

  /** As it was asked for. */
  get id(): string {
    return this.#data.id;
  }

  get state(): InteractionState {
    return this.#data.state;
  }

  /** When `due` must be called; infinity for never. */
  get dueUs(): number {
    return this.#data.dueUs;
  }

  /** The table that it has a row in; undefined before it is on a connection. */
  get table(): InteractionTable | undefined {
    return this.#table;
  }

  /** Its connection subscribes to it as soon as it can. */
  get awaitsSubscription(): boolean {
    return this.state === 'subscribing' || this.state === 'interrupted';
  }

  /** Packets have come since the connection was made. */
  get isStreaming(): boolean {
    return this.state === 'flowing' || this.state === 'paused';
  }

  get pausedBy(): ReadonlySet<PausedBy> {
    return this.#data.pausedBy;
  }

  get isWantedAgain(): boolean {
    return this.#data.isWantedAgain;
  }

  get hasStream(): boolean {
    return this.#data.stream.isOpen;
  }

  /** Of an interaction that has ended. */
  get endReason(): EndReason {
    return this.#data.endReason;
  }

  /** Of an interaction that has ended: a sentence or the server's own words; may be empty. */
  get endDetail(): string {
    return this.#data.endDetail;
  }

  /** Puts it on a connection. `onMedia` is called when packets begin to come on it. */
  attach(table: InteractionTable, onMedia: () => void): void {
    this.#table = table;
    this.#slot = table.add(this);
    this.#onMedia = onMedia;
    this.#project();
  }

  answered(answer: Availability | 'unknown', nowUs: number): void {
    this.#apply('answered', answer, nowUs);
  }

  announced(announced: SubscribedInteraction, nowUs: number): void {
    this.#apply('announced', announced, nowUs);
  }

  takePacket(packet: UndecidedPacket): boolean {
    const data = this.#data;
    data.outcome = 'refused' as InteractionData['outcome'];
    this.#apply('packet', packet, packet.arrivalUs);
    // What the call has led to may have ended the stream.
    if (data.outcome === 'taken' && this.hasStream) return true;
    if (data.outcome !== 'kept') {
      this.#dependencies.refusedPacket(this, data.outcome === 'wrongFormat' ? 'wrongFormat' : 'unknownInteraction');
    }
    return false;
  }

  refused(nowUs: number): void {
    this.#apply('refused', undefined, nowUs);
  }

  disconnected(nowUs: number): void {
    this.#apply('disconnected', undefined, nowUs);
  }

  /** Withholds its audio: packets are counted and their time is marked. False when that was so already. */
  pause(by: PausedBy, nowUs: number): boolean {
    const isNew = !this.pausedBy.has(by);
    this.#apply('pause', by, nowUs);
    return isNew;
  }

  /** False when `by` had not paused it. */
  resume(by: PausedBy, nowUs: number): boolean {
    const wasPaused = this.pausedBy.has(by);
    this.#apply('resume', by, nowUs);
    return wasPaused;
  }

  subscribe(nowUs: number): void {
    this.#apply('subscribe', undefined, nowUs);
  }

  /** True when the server has to confirm it: send the unsubscription. */
  unsubscribe(reason: EndReason, confirmByUs: number | undefined, nowUs: number): boolean {
    const before = this.state;
    this.#apply('unsubscribe', { reason, confirmByUs }, nowUs);
    return before !== 'leaving' && this.state === 'leaving';
  }

  endedByServer(reason: EndReason, detail: string, nowUs: number): void {
    this.#apply('ended', { reason, detail }, nowUs);
  }

  lost(detail: string, nowUs: number): void {
    this.#apply('lost', detail, nowUs);
  }

  /** `dueUs` has come. True when REST is to be asked; call `answered` then. */
  due(nowUs: number): boolean {
    this.#data.dueUs = NEVER;
    this.#apply('due', undefined, nowUs);
    return this.state === 'wanted';
  }

  #apply<Input extends keyof Inputs>(input: Input, argument: Inputs[Input], nowUs: number): void {
    const data = this.#data;
    const before = data.state;
    const handler: Handler<Input> = TRANSITIONS[before][input];
    const wasStreaming = this.isStreaming;
    data.state = handler(data, argument, nowUs);
    if (data.state === 'ended' && before !== 'ended') {
      data.dueUs = NEVER;
      data.stream.end(data.endReason);
      this.#table?.remove(this.#slot);
      return;
    }
    this.#project();
    const { failure } = data;
    data.failure = undefined;
    if (!wasStreaming && this.isStreaming) this.#onMedia();
    if (failure !== undefined) this.#dependencies.giveUp(this, failure);
  }

  /** The one place that writes its row. */
  #project(): void {
    const { state, stream, isSettled } = this.#data;
    if (state === 'ended') return;
    const { index, codec, channels } = stream;
    this.#table?.set(this.#slot, { stream: index, codec, channels, flowing: isSettled && stream.isOpen });
  }
}

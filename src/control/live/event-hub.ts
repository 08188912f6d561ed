import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { Clock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import type { NodeEvents, SourceEvent } from '../../sinks/events/event-sink.js';
import { EVENT_FORMS, type EventForm, eventJson, type ForwardedEvent, sourceForm } from './event-forms.js';
import { EventRing } from './event-ring.js';
import { EventBatches, type EventFilter, type EventOutput, EventStream, type Missed } from './event-stream.js';

export interface EventHubOptions {
  /** Default LIMITS.keptEvents. */
  readonly keptEvents?: number;
  /** Default LIMITS.keptEventBytes. */
  readonly keptBytes?: number;
  /** Default LIMITS.eventClients. */
  readonly maxClients?: number;
  /** A client that takes nothing for so long is cut off. */
  readonly stalledMs: number;
}

/** What the hub has counted. */
export interface EventHubStats {
  readonly clients: number;
  /** Events recorded for clients. */
  readonly events: number;
  /** Events that slow clients were told to have missed, all of them together. */
  readonly missed: number;
  /** Clients that were cut off because they took nothing. */
  readonly cut: number;
  /** Clients that were refused because there were too many. */
  readonly refused: number;
}

const NODE_EVENTS = Object.keys(EVENT_FORMS) as ForwardedEvent[];
/** Events of all sources come by one event of the node. */
const SOURCE_EVENT = 'sourceEvent';
/** Events wait so long for others, to be written together: so much for each client, whose write costs some 50 µs. */
const FLUSH_MS_PER_CLIENT = 10;
const LEAST_FLUSH_MS = 50;
const MOST_FLUSH_MS = 500;
const CHECK_MS = 1_000;
const HEARTBEAT_US = 15 * US_PER_SECOND;
/** Events of a type are recorded for so long after its last client has left, for clients that come back. */
const LINGER_US = 60 * US_PER_SECOND;

/** What the hub listens to on the node. */
interface Recording {
  readonly listener: (...values: never[]) => void;
  /** Number of the first event since which all of this type are in the ring. */
  readonly since: number;
  /** When the last client that wants it left; undefined while there is one. */
  unusedSinceUs: number | undefined;
}

/**
 * The node's events for clients of the event stream. An event is written as text once, into a ring that all clients read
 * from, each at its own pace: a client costs its position in the ring and what its socket holds. It listens only to what a
 * client wants, or wanted a minute ago.
 *
 * Ids are `<boot>-<number>`: after a restart the boot differs, and a client that resumes learns that it has missed
 * events.
 */
export class EventHub {
  readonly #node: EventEmitter<NodeEvents>;
  readonly #clock: Clock;
  readonly #ring: EventRing;
  readonly #batches: EventBatches;
  readonly #boot = randomBytes(4).toString('hex');
  readonly #maxClients: number;
  readonly #stalledUs: number;
  readonly #clients = new Set<EventStream>();
  readonly #recordings = new Map<string, Recording>();
  #flushTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #heartbeatUs = 0;
  #events = 0;
  /** Of clients that have left. */
  #missed = 0;
  #cut = 0;
  #refused = 0;
  #isClosed = false;

  constructor(node: EventEmitter<NodeEvents>, clock: Clock, options: EventHubOptions) {
    const { keptEvents = LIMITS.keptEvents, keptBytes = LIMITS.keptEventBytes } = options;
    this.#node = node;
    this.#clock = clock;
    this.#ring = new EventRing(keptEvents, keptBytes);
    this.#batches = new EventBatches(this.#ring);
    this.#maxClients = options.maxClients ?? LIMITS.eventClients;
    this.#stalledUs = options.stalledMs * US_PER_MS;
  }

  /** Whether another client is admitted; a refusal is counted. */
  admits(): boolean {
    if (!this.#isClosed && this.#clients.size < this.#maxClients) return true;
    this.#refused++;
    return false;
  }

  /**
   * Sends a client the events that it wants, until its output closes.
   * @param lastEventId the id that the client has seen last, to resume from there.
   * @throws TrunklineError LIMIT_EXCEEDED when there are too many clients.
   */
  add(output: EventOutput, filter: EventFilter, lastEventId?: string): void {
    if (!this.admits()) throw new TrunklineError('LIMIT_EXCEEDED', 'There are too many clients of the event stream.');
    this.#record(filter);
    const { from, missed } = this.#resume(filter, lastEventId);
    const client = new EventStream(output, this.#batches, filter, { boot: this.#boot, from });
    this.#clients.add(client);
    output.on('close', () => this.#remove(client));
    output.on('drain', () => client.drained(this.#clock.nowUs()));
    this.#checkTimer ??= setInterval(this.#check, CHECK_MS).unref();
    client.begin(missed);
    client.send(this.#clock.nowUs());
  }

  stats(): EventHubStats {
    let missed = this.#missed;
    for (const client of this.#clients) missed += client.missed;
    const { size: clients } = this.#clients;
    return { clients, events: this.#events, missed, cut: this.#cut, refused: this.#refused };
  }

  /** Ends every client's response. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#flushTimer);
    clearInterval(this.#checkTimer);
    for (const client of this.#clients) {
      client.send(this.#clock.nowUs());
      client.end();
    }
    for (const name of [...this.#recordings.keys()]) this.#stopRecording(name);
  }

  // ---- Resuming

  #resume(filter: EventFilter, lastEventId: string | undefined): { from: number; missed: Missed | undefined } {
    const { first, end } = this.#ring;
    if (lastEventId === undefined || lastEventId === '') return { from: end, missed: undefined };
    const [, boot, digits = ''] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(lastEventId) ?? [];
    const next = Number(digits) + 1;
    if (boot !== this.#boot || next > end) return { from: first, missed: { count: null, reason: 'restarted' } };
    if (next < first) return { from: first, missed: { count: first - next, reason: 'tooOld' } };
    const since = Math.max(...this.#namesOf(filter).map((name) => this.#recordings.get(name)?.since ?? end));
    return { from: next, missed: next < since ? { count: null, reason: 'notRecorded' } : undefined };
  }

  // ---- Recording

  /** The node's events behind the types of a filter. */
  #namesOf({ types }: EventFilter): string[] {
    if (types === undefined) return [...NODE_EVENTS, SOURCE_EVENT];
    return [...new Set([...types].map((type) => (type in EVENT_FORMS ? type : SOURCE_EVENT)))];
  }

  /** Listens from now on to what a filter wants. */
  #record(filter: EventFilter): void {
    for (const name of this.#namesOf(filter)) {
      const recording = this.#recordings.get(name);
      if (recording === undefined) this.#startRecording(name);
      else recording.unusedSinceUs = undefined;
    }
  }

  #startRecording(name: string): void {
    // Takes a number, so that an id from before is known to be from before.
    this.#ring.push({ type: '', interactionId: undefined, text: '' });
    const listener = name === SOURCE_EVENT ? this.#onSourceEvent : this.#listenerOf(name as ForwardedEvent);
    this.#recordings.set(name, { listener, since: this.#ring.end, unusedSinceUs: undefined });
    // Which of the node's events it is, is not known here.
    (this.#node as EventEmitter).on(name, listener as (...values: unknown[]) => void);
  }

  #stopRecording(name: string): void {
    const recording = this.#recordings.get(name);
    this.#recordings.delete(name);
    if (recording === undefined) return;
    (this.#node as EventEmitter).off(name, recording.listener as (...values: unknown[]) => void);
  }

  #listenerOf(name: ForwardedEvent): (...values: never[]) => void {
    const form = EVENT_FORMS[name] as (...values: unknown[]) => EventForm;
    return (...values: unknown[]) => this.#take(name, form(...values));
  }

  readonly #onSourceEvent = ({ source, name, values }: SourceEvent): void => {
    // An event of a source cannot pass for one of the node, or break the stream's lines.
    if (!(name in EVENT_FORMS) && /^[\w.-]{1,64}$/.test(name)) this.#take(name, sourceForm(source, values));
  };

  #take(type: string, form: EventForm): void {
    const id = `${this.#boot}-${this.#ring.end}`;
    const text = `id: ${id}\nevent: ${type}\ndata: ${eventJson(type, this.#clock.wallMs(), form)}\n\n`;
    this.#ring.push({ type, interactionId: form.interactionId, text });
    this.#events++;
    if (this.#clients.size > 0) this.#flushTimer ??= setTimeout(this.#flush, this.#flushMs()).unref();
  }

  // ---- Clients

  #flushMs(): number {
    return Math.max(LEAST_FLUSH_MS, Math.min(this.#clients.size * FLUSH_MS_PER_CLIENT, MOST_FLUSH_MS));
  }

  readonly #flush = (): void => {
    this.#flushTimer = undefined;
    const nowUs = this.#clock.nowUs();
    for (const client of this.#clients) client.send(nowUs);
    this.#batches.forget();
  };

  readonly #check = (): void => {
    const nowUs = this.#clock.nowUs();
    this.#batches.forget();
    for (const client of this.#clients) {
      if (!client.isStalled(nowUs, this.#stalledUs)) continue;
      this.#cut++;
      client.destroy();
    }
    if (nowUs >= this.#heartbeatUs + HEARTBEAT_US) {
      this.#heartbeatUs = nowUs;
      for (const client of this.#clients) client.heartbeat();
    }
    for (const [name, { unusedSinceUs }] of this.#recordings) {
      if (unusedSinceUs !== undefined && nowUs >= unusedSinceUs + LINGER_US) this.#stopRecording(name);
    }
    if (this.#recordings.size > 0) return;
    clearInterval(this.#checkTimer);
    this.#checkTimer = undefined;
  };

  #remove(client: EventStream): void {
    if (!this.#clients.delete(client)) return;
    this.#missed += client.missed;
    const wanted = new Set([...this.#clients].flatMap(({ filter }) => this.#namesOf(filter)));
    const nowUs = this.#clock.nowUs();
    for (const [name, recording] of this.#recordings) {
      if (!wanted.has(name)) recording.unusedSinceUs ??= nowUs;
    }
  }
}

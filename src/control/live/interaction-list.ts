import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../core/clock.js';
import { zeroCounts } from '../../core/counts.js';
import { TrunklineError } from '../../core/errors.js';
import type { ChannelReception, ReceptionCounts } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { US_PER_MS } from '../../core/units.js';
import type { SourceInteraction } from '../../sources/source.js';
import type { Interaction, InteractionDetail, InteractionState } from '../api/interaction-schema.js';
import {
  ageMs,
  countsOf,
  interactionDetail,
  interactionRow,
  lateRatio,
  lossRatio,
  pendingRow,
  type RowDependencies,
  stateOf,
} from './interaction-row.js';
import type { InteractionEntry, InteractionView } from './interaction-view.js';
import { Page, type Place, type Value } from './page.js';

/** What interactions can be sorted by. */
export const SORT_KEYS = [
  ...(['startedAt', 'ageSeconds', 'id', 'source', 'codec', 'state', 'levelDbfs', 'latencyMs'] as const),
  ...(['packetsReceived', 'packetsLost', 'packetsRepaired', 'lossRatio', 'lateRatio', 'jitterMs'] as const),
] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface InteractionQuery {
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** How many to leave out after the place of the cursor, or from the start. */
  readonly offset?: number | undefined;
  readonly sort: SortKey;
  readonly descending: boolean;
  /** Any of these; all when absent. */
  readonly states?: readonly InteractionState[] | undefined;
  readonly source?: string | undefined;
  readonly codec?: string | undefined;
  /** Only those of which one side has no signal. */
  readonly oneWayAudio?: boolean | undefined;
  /** A part of the id, in any case. */
  readonly text?: string | undefined;
}

export interface InteractionPage {
  readonly items: Interaction[];
  /** That match, on all pages. */
  readonly total: number;
  readonly nextCursor: string | null;
}

/** What the list needs of the node. */
export interface ListedNode {
  readonly sources: readonly { readonly name: string; interactions?(): Iterable<SourceInteraction> }[];
  streamCounts(interactionId: string): ReceptionCounts | undefined;
  reception(interactionId: string): readonly ChannelReception[] | undefined;
}

interface Candidate extends Place {
  readonly entry: InteractionEntry | undefined;
  readonly source: string;
}

/** Interactions that are looked at before other work has its turn: a few hundred microseconds. */
const LIST_SLICE = 1_024;
/** Streams whose reception is read before other work has its turn: a quarter of a millisecond. */
const SLICE = 128;
/** Reception is at most so old when interactions are sorted by it. */
const COUNTS_US = 500 * US_PER_MS;

const BY_COUNTS = {
  packetsReceived: (counts: ReceptionCounts) => counts.packetsReceived,
  packetsLost: (counts: ReceptionCounts) => counts.packetsLost,
  packetsRepaired: (counts: ReceptionCounts) => counts.packetsRepaired,
  lossRatio,
  lateRatio,
  jitterMs: (counts: ReceptionCounts) => counts.jitterUs,
} as const;

/** Where interactions come that have no such value: after the loudest, say. */
const NO_LEVEL_DBFS = -1_000;
/** An interaction without a packet is newer than all others. */
const NEWEST_MS = Number.MAX_SAFE_INTEGER;

/** Finds the page that is asked for among thousands of interactions, in one pass and without sorting all of them. */
export class InteractionList {
  readonly #view: InteractionView;
  readonly #node: ListedNode;
  readonly #clock: Clock;
  /** Reception of the live interactions, by stream. */
  readonly #counted: (ReceptionCounts | undefined)[] = new Array(LIMITS.maxStreams).fill(undefined);
  #countedUs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(view: InteractionView, clock: Clock, node: ListedNode) {
    this.#view = view;
    this.#node = node;
    this.#clock = clock;
  }

  async list(query: InteractionQuery): Promise<InteractionPage> {
    if (query.sort in BY_COUNTS) await this.#countAll();
    const pending = this.#pending();
    const row = this.#rowDependencies(pending.interrupted);
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    const { limit, offset = 0, sort, descending } = query;
    const page = new Page<Candidate>(offset + limit, descending, after);
    let looked = 0;
    // Entries that come or go meanwhile are met or not; the iterator of a Map stands that.
    for (const entries of [this.#view.live(), this.#view.ended()]) {
      for (const entry of entries) {
        if (++looked % LIST_SLICE === 0) await setImmediate();
        if (matches(entry, query, row)) page.add(this.#candidate(entry, sort, row));
      }
    }
    for (const { id, source } of pending.subscribing) {
      if (!matchesPending(id, source, query)) continue;
      page.add({ value: pendingValue(sort, id, source), id, startedAtMs: NEWEST_MS, entry: undefined, source });
    }
    const kept = page.sorted();
    const last = kept.at(-1);
    const items = kept
      .slice(offset)
      .map(({ entry, id, source }) => (entry === undefined ? pendingRow(id, source) : interactionRow(entry, row)));
    return { items, total: page.total, nextCursor: page.isMore && last !== undefined ? cursorOf(last) : null };
  }

  /** Everything that is known of one; of the newest when there were several of that id. */
  get(interactionId: string): InteractionDetail | undefined {
    const pending = this.#pending();
    const entry = this.#view.find(interactionId);
    if (entry !== undefined && entry.ended === undefined) return this.#detail(entry, pending.interrupted);
    const waiting = pending.subscribing.find(({ id }) => id === interactionId);
    if (waiting !== undefined) {
      const none = { organizationId: null, attributes: {}, segment: 1, reception: [], spans: [], spansComplete: true };
      return { ...pendingRow(waiting.id, waiting.source), ...none };
    }
    return entry && this.#detail(entry, pending.interrupted);
  }

  /** Name of the source of an interaction that is captured or is to be; undefined when it is not known. */
  sourceOf(interactionId: string): string | undefined {
    const entry = this.#view.find(interactionId);
    if (entry !== undefined && entry.ended === undefined) return entry.info.source;
    return this.#pending().subscribing.find(({ id }) => id === interactionId)?.source;
  }

  #detail(entry: InteractionEntry, interrupted: ReadonlySet<string>): InteractionDetail {
    return interactionDetail(entry, this.#rowDependencies(interrupted));
  }

  #rowDependencies(interrupted: ReadonlySet<string>): RowDependencies {
    return {
      view: this.#view,
      nowUs: this.#clock.nowUs(),
      nowMs: this.#clock.wallMs(),
      interrupted,
      counts: (id) => this.#node.streamCounts(id),
      reception: (id) => this.#node.reception(id),
    };
  }

  /** Interactions that bring no packets at the moment. */
  #pending(): { subscribing: { id: string; source: string }[]; interrupted: Set<string> } {
    const subscribing: { id: string; source: string }[] = [];
    const interrupted = new Set<string>();
    for (const source of this.#node.sources) {
      for (const { interactionId: id, state } of source.interactions?.() ?? []) {
        if (state === 'interrupted') interrupted.add(id);
        else if (state === 'subscribing' && !this.#view.isLive(id)) subscribing.push({ id, source: source.name });
      }
    }
    return { subscribing, interrupted };
  }

  #candidate(entry: InteractionEntry, sort: SortKey, row: RowDependencies): Candidate {
    const { id, startedAtMs, info } = entry;
    return { value: this.#value(entry, sort, row), id, startedAtMs, entry, source: info.source ?? '' };
  }

  #value(entry: InteractionEntry, sort: SortKey, row: RowDependencies): Value {
    const { info, ended } = entry;
    const { view, nowUs, nowMs } = row;
    switch (sort) {
      case 'startedAt':
        return entry.startedAtMs;
      case 'ageSeconds':
        return ageMs(entry, nowMs);
      case 'id':
        return entry.id;
      case 'source':
        return info.source ?? '';
      case 'codec':
        return info.codec;
      case 'state':
        return stateOf(entry, row);
      case 'levelDbfs':
        if (ended !== undefined) return NO_LEVEL_DBFS;
        return Math.max(view.levelDbfs(info.stream, 0, nowUs), view.levelDbfs(info.stream, 1, nowUs));
      case 'latencyMs':
        return ended === undefined ? view.latencyUs(info.stream) : 0;
      default:
        return BY_COUNTS[sort](ended ?? this.#counted[info.stream] ?? zeroCounts());
    }
  }

  #countAll(): Promise<void> {
    if (this.#counting === undefined && this.#clock.nowUs() - this.#countedUs >= COUNTS_US) {
      this.#counting = this.#count().finally(() => {
        this.#counting = undefined;
      });
    }
    return this.#counting ?? Promise.resolve();
  }

  /** Reads the reception of every live interaction, in slices: thousands at once would delay packets. */
  async #count(): Promise<void> {
    const row = this.#rowDependencies(new Set());
    let done = 0;
    for (const entry of [...this.#view.live()]) {
      if (++done % SLICE === 0) await setImmediate();
      this.#counted[entry.info.stream] = countsOf(entry, row);
    }
    this.#countedUs = this.#clock.nowUs();
  }
}

function matches(entry: InteractionEntry, query: InteractionQuery, row: RowDependencies): boolean {
  const { source, codec, text, states, oneWayAudio } = query;
  if (oneWayAudio && entry.oneWayAudio === undefined) return false;
  if (source !== undefined && entry.info.source !== source) return false;
  if (codec !== undefined && entry.info.codec !== codec) return false;
  if (text !== undefined && !isIn(entry.id, text)) return false;
  return states === undefined || states.includes(stateOf(entry, row));
}

function matchesPending(id: string, ofSource: string, query: InteractionQuery): boolean {
  const { source, codec, text, states } = query;
  if (query.oneWayAudio || (source !== undefined && ofSource !== source) || codec !== undefined) return false;
  if (text !== undefined && !isIn(id, text)) return false;
  return states === undefined || states.includes('subscribing');
}

function isIn(id: string, text: string): boolean {
  return id.toLowerCase().includes(text.toLowerCase());
}

function pendingValue(sort: SortKey, id: string, source: string): Value {
  switch (sort) {
    case 'id':
      return id;
    case 'source':
      return source;
    case 'codec':
      return '';
    case 'state':
      return 'subscribing';
    case 'startedAt':
      return NEWEST_MS;
    case 'levelDbfs':
      return NO_LEVEL_DBFS;
    default:
      return 0;
  }
}

function cursorOf({ value, id, startedAtMs }: Place): string {
  return Buffer.from(JSON.stringify([value, id, startedAtMs])).toString('base64url');
}

/** @throws TrunklineError CONFIG_INVALID */
function parseCursor(cursor: string): Place {
  try {
    const [value, id, startedAtMs] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    const isValue = typeof value === 'number' || typeof value === 'string';
    if (isValue && typeof id === 'string' && typeof startedAtMs === 'number') return { value, id, startedAtMs };
  } catch {
    // Not JSON: as wrong as one of another form.
  }
  throw new TrunklineError('CONFIG_INVALID', 'The cursor is not one that an earlier page has given.');
}

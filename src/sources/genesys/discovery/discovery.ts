import { z } from 'zod';
import type { Clock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../../core/units.js';
import { idKey } from '../interaction-table.js';
import { bodyOf, type Conversations } from '../rest/conversations.js';
import { readFailure, requestError } from '../rest/platform.js';
import type { CallDescriptions } from './call-attributes.js';
import { type CallDependencies, Calls, type CaptureEnd, readCall } from './calls.js';
import {
  CHANNEL_LIMITS,
  type ChannelStatus,
  NotificationChannel,
  type NotificationChannelDependencies,
} from './notification-channel.js';
import { findUnknownTargets } from './target-check.js';

export interface DiscoverySettings {
  readonly queues: readonly string[];
  readonly users: readonly string[];
  /** Between two comparisons with REST when nothing is known to have been missed; default 5 minutes. */
  readonly reconcileUs?: number | undefined;
}

export interface DiscoveryDependencies extends CallDependencies {
  /** Takes what is said of calls. */
  readonly descriptions: CallDescriptions;
  /** A notification channel delivers, or no longer. */
  notifications(listening: boolean, reason: string): void;
  failed(error: TrunklineError): void;
}

export interface DiscoveryStatus {
  readonly calls: number;
  readonly channels: readonly ChannelStatus[];
}

const RECONCILE_US = 300 * US_PER_SECOND;
/** After a comparison with REST that failed. */
const RECONCILE_RETRY_US = 15 * US_PER_SECOND;
const PAGE = 100;
const MAX_PAGES = 50;
const IDS_A_QUERY = 100;
const DAY_MS = 86_400 * MS_PER_SECOND;

const details = z.object({
  conversations: z.array(z.object({ conversationId: z.string().min(1) })).nullish(),
});

/**
 * Finds the calls of queues and users and follows them: by notifications, and by REST at the start, after every gap in
 * notifications and now and then.
 */
export class Discovery {
  readonly #settings: DiscoverySettings;
  readonly #dependencies: NotificationChannelDependencies;
  readonly #conversations: Conversations;
  readonly #events: DiscoveryDependencies;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #channels: NotificationChannel[];
  #ticks: NodeJS.Timeout | undefined;
  #reconcileDueUs = Number.POSITIVE_INFINITY;
  #isReconciling = false;
  #closed = false;

  /** @throws TrunklineError LIMIT_EXCEEDED for more queues and users than 20 channels can follow. */
  constructor(
    settings: DiscoverySettings,
    dependencies: NotificationChannelDependencies,
    conversations: Conversations,
    events: DiscoveryDependencies,
  ) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#conversations = conversations;
    this.#events = events;
    this.#clock = dependencies.clock;
    this.#calls = new Calls(events);
    this.#channels = groupTopics(settings).map(
      (topics) =>
        new NotificationChannel(topics, dependencies, {
          notified: (body) => this.#notified(body),
          listening: () => {
            this.#reconcileDueUs = this.#clock.nowUs();
            events.notifications(true, '');
          },
          lost: (reason) => events.notifications(false, reason),
          failed: (error) => events.failed(error),
        }),
    );
  }

  /** Resolves when the channels have been asked for. @throws TrunklineError AUTH_FAILED. */
  async start(): Promise<void> {
    this.#ticks = setInterval(() => this.#tick(), 100);
    for (const channel of this.#channels) await channel.start();
    void this.#checkTargets();
  }

  /** The source no longer captures an interaction. */
  captureEnded(id: string, end: CaptureEnd): void {
    this.#calls.captureEnded(id, this.#clock.nowUs(), end);
  }

  status(): DiscoveryStatus {
    return { calls: this.#calls.size, channels: this.#channels.map((channel) => channel.status()) };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#ticks);
    for (const channel of this.#channels) channel.close();
  }

  #notified(body: unknown): void {
    const view = readCall(body);
    if (view === undefined) return;
    if (view.phase !== 'waiting') this.#events.descriptions.seen(idKey(view.id), body);
    this.#calls.observe(view, this.#clock.nowUs());
  }

  #tick(): void {
    const nowUs = this.#clock.nowUs();
    for (const id of this.#calls.tick(nowUs)) {
      void this.#lookAt(id).catch((error: unknown) => this.#report(error));
    }
    if (nowUs >= this.#reconcileDueUs && !this.#isReconciling) void this.#reconcile(nowUs);
  }

  async #checkTargets(): Promise<void> {
    const { rest } = this.#dependencies;
    const { queues, users } = this.#settings;
    for (const targets of [
      { kind: 'queue', ids: queues },
      { kind: 'user', ids: users },
    ] as const) {
      const learn = (id: string, name: string) => targets.kind === 'queue' && this.#events.descriptions.learn(id, name);
      for (const error of await findUnknownTargets(rest, targets, learn)) this.#report(error);
    }
  }

  /** Compares what is known with what REST says: first what is new or gone, then the pauses of the rest. */
  async #reconcile(gapUs: number): Promise<void> {
    this.#isReconciling = true;
    this.#reconcileDueUs = gapUs + (this.#settings.reconcileUs ?? RECONCILE_US);
    try {
      const live = await this.#liveCalls();
      const isSame = (id: string): boolean => live.has(id) && this.#calls.has(id);
      const all = [...new Set([...live, ...this.#calls.ids()])];
      for (const id of [...all.filter((one) => !isSame(one)), ...all.filter(isSame)]) {
        if (this.#closed) return;
        if (!this.#calls.notifiedSince(id, gapUs)) await this.#lookAt(id);
      }
    } catch (error) {
      this.#report(error);
      this.#reconcileDueUs = Math.min(this.#reconcileDueUs, this.#clock.nowUs() + RECONCILE_RETRY_US);
    } finally {
      this.#isReconciling = false;
    }
  }

  async #lookAt(id: string): Promise<void> {
    const askedUs = this.#clock.nowUs();
    const resource = await this.#conversations.resource(id);
    const view = resource === undefined ? undefined : readCall(resource);
    if (this.#closed) return;
    this.#calls.observe(view ?? { id, phase: 'over', securePause: false }, this.#clock.nowUs(), askedUs);
  }

  /** Ids of the conversations of our queues and users that have no end yet. */
  async #liveCalls(): Promise<Set<string>> {
    const live = new Set<string>();
    const { queues, users } = this.#settings;
    const predicates = [
      ...queues.map((value) => ({ type: 'dimension', dimension: 'queueId', operator: 'matches', value })),
      ...users.map((value) => ({ type: 'dimension', dimension: 'userId', operator: 'matches', value })),
    ];
    const nowMs = this.#clock.wallMs();
    const interval = `${new Date(nowMs - DAY_MS).toISOString()}/${new Date(nowMs + DAY_MS / 24).toISOString()}`;
    for (let from = 0; from < predicates.length; from += IDS_A_QUERY) {
      for (let pageNumber = 1; pageNumber <= MAX_PAGES; pageNumber++) {
        const found = await this.#page({
          interval,
          order: 'desc',
          orderBy: 'conversationStart',
          paging: { pageSize: PAGE, pageNumber },
          segmentFilters: [{ type: 'or', predicates: predicates.slice(from, from + IDS_A_QUERY) }],
          conversationFilters: [
            {
              type: 'and',
              predicates: [{ type: 'dimension', dimension: 'conversationEnd', operator: 'notExists' }],
            },
          ],
        });
        for (const id of found) live.add(id);
        if (found.length < PAGE) break;
      }
    }
    return live;
  }

  async #page(query: object): Promise<string[]> {
    try {
      const answer = await this.#dependencies.rest.request(({ analytics }) =>
        analytics.postAnalyticsConversationsDetailsQuery(query),
      );
      return (details.safeParse(bodyOf(answer)).data?.conversations ?? []).map((one) => one.conversationId);
    } catch (error) {
      if (error instanceof TrunklineError) throw error;
      throw requestError('Looking for calls that are under way', readFailure(error));
    }
  }

  #report(error: unknown): void {
    if (this.#closed) return;
    this.#events.failed(
      error instanceof TrunklineError ? error : new TrunklineError('CONNECTION_FAILED', 'Calls cannot be looked for.'),
    );
  }
}

/** The topics of all queues and users, as many to a channel as it takes. */
export function groupTopics({ queues, users }: Pick<DiscoverySettings, 'queues' | 'users'>): string[][] {
  const topics = [
    ...new Set(queues.map((id) => `v2.routing.queues.${id}.conversations.calls`)),
    ...new Set(users.map((id) => `v2.users.${id}.conversations.calls`)),
  ];
  const most = CHANNEL_LIMITS.channels * CHANNEL_LIMITS.topics;
  if (topics.length > most) {
    throw new TrunklineError('LIMIT_EXCEEDED', `One node follows at most ${most} queues and users; start another.`);
  }
  const groups: string[][] = [];
  for (let from = 0; from < topics.length; from += CHANNEL_LIMITS.topics) {
    groups.push(topics.slice(from, from + CHANNEL_LIMITS.topics));
  }
  return groups;
}

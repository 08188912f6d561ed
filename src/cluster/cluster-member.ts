import { type CallCapture, Claims } from './claims/claims.js';
import { COMMANDS, keyPart, LEADER, type PlacementEntry, readClaim, readCommand } from './entries.js';
import type { KeyValueStore, StoreEntry, Watch } from './key-value-store.js';
import type { Member } from './membership/member-view.js';
import { type Identity, Membership } from './membership/membership.js';
import { Planner, type PlannerCounters } from './placement/planner.js';
import type { ClusterTiming } from './timing.js';

/** Finds calls, at one node of the cluster at a time. */
export interface CallDiscovery {
  start(): void;
  stop(): void;
  captureEnded(interactionId: string, end: NonNullable<PlacementEntry['ended']>): void;
}

export interface ClusterMemberDependencies {
  readonly store: KeyValueStore;
  readonly timing: ClusterTiming;
  readonly capture: CallCapture;
  readonly discovery: CallDiscovery;
  otherCost(): number;
  /** Asks a peer for its consent to go on without a renewal. */
  ask(peer: Member, askedUs: number): void;
  /** Whether a process of this machine has ended; false when that cannot be seen. */
  hasProcessEnded(process: string): boolean;
  /** The lease has ended; nothing is written any more. */
  lost(why: string): void;
  nowUs(): number;
}

/** Between the first and the second instance that try to become the leader, and so on. */
const RANK_US = 100_000;

/** One run of a node in its cluster: its lease, the calls that it owns, and the leader's work while it is the leader. */
export class ClusterMember {
  readonly membership: Membership;
  readonly claims: Claims;
  readonly counters: PlannerCounters = { placed: 0, moved: 0, unplaced: 0 };
  readonly #identity: Identity;
  readonly #dependencies: ClusterMemberDependencies;
  readonly #watches: Watch[] = [];
  #planner: Planner | undefined;
  #leader: { readonly instance: string; readonly revision: number } | undefined;
  #leaderKnown = false;
  #leaderlessSinceUs = Number.NaN;
  #isElecting = false;
  #isFenced = false;
  #isStopped = false;

  constructor(identity: Identity, dependencies: ClusterMemberDependencies) {
    const { store, timing, capture, nowUs } = dependencies;
    this.#identity = identity;
    this.#dependencies = dependencies;
    this.membership = new Membership(identity, {
      ...{ store, timing, nowUs },
      otherCost: () => dependencies.otherCost(),
      ask: (peer, askedUs) => dependencies.ask(peer, askedUs),
      hasProcessEnded: (process) => dependencies.hasProcessEnded(process),
      changed: () => this.#membersChanged(),
      lost: (why) => this.#lost(why),
    });
    const { membership } = this;
    this.claims = new Claims({ store, timing, membership, node: identity.node, capture, nowUs });
  }

  get isLeader(): boolean {
    return this.#planner !== undefined;
  }

  /** The instance that leads, as far as is known. */
  get leader(): string | undefined {
    return this.#leader?.instance;
  }

  get planner(): Planner | undefined {
    return this.#planner;
  }

  /** The lease does not allow to write at the moment. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  start(nowUs: number): void {
    const { store } = this.#dependencies;
    this.membership.start(nowUs);
    this.claims.start();
    this.#watches.push(
      store.watch(LEADER, {
        changed: ({ value, revision }) => {
          const claim = readClaim(value);
          this.#leader = claim && { instance: claim.instance, revision };
          if (claim?.instance !== this.#identity.instance) this.#stopLeading();
        },
        current: () => {
          this.#leaderKnown = true;
        },
      }),
      store.watch(COMMANDS, { changed: (entry) => this.#commanded(entry), current: () => {} }),
    );
  }

  /** To be called about ten times a second. */
  tick(nowUs: number): void {
    if (this.#isStopped) return;
    this.membership.tick(nowUs);
    this.fence(nowUs);
    this.claims.tick(nowUs);
    this.#elect(nowUs);
    this.#planner?.tick(nowUs);
  }

  /** Stops writing when the lease does not allow it any more, and goes on when it does again. */
  fence(nowUs: number): void {
    const isFenced = nowUs >= this.membership.writableUntilUs;
    if (isFenced === this.#isFenced) return;
    this.#isFenced = isFenced;
    if (isFenced) this.claims.suspend();
    else this.claims.resume();
  }

  /** Ends it in order, when all calls have been given away or have ended. */
  async leave(): Promise<void> {
    const { store } = this.#dependencies;
    const isLeader = this.#leader?.instance === this.#identity.instance;
    const revision = this.#leader?.revision ?? 0;
    this.stop();
    if (isLeader) await store.remove(LEADER, revision);
    await this.membership.leave();
  }

  /** Nothing is written any more; the others find out by themselves. */
  stop(): void {
    this.#isStopped = true;
    for (const watch of this.#watches) watch.stop();
    this.#stopLeading();
    this.claims.stop();
  }

  /** As a process that is killed, for tests. */
  kill(): void {
    this.stop();
    this.membership.stop();
  }

  #membersChanged(): void {
    this.claims.membersChanged();
    this.#planner?.membersChanged();
  }

  #lost(why: string): void {
    this.stop();
    this.#dependencies.lost(why);
  }

  /** A leader that is gone is replaced. Nothing depends on there being one leader at a time but the platform's limits. */
  #elect(nowUs: number): void {
    const { membership } = this;
    const leader = this.#leader;
    const isVacant = this.#leaderKnown && (leader === undefined || membership.view.hasEnded(leader.instance));
    if (!isVacant || this.#isElecting || !membership.isFresh(nowUs) || membership.state !== 'live') {
      this.#leaderlessSinceUs = Number.NaN;
      return;
    }
    if (Number.isNaN(this.#leaderlessSinceUs)) this.#leaderlessSinceUs = nowUs;
    const rank = membership.view.all().findIndex(({ instance }) => instance === this.#identity.instance);
    if (nowUs >= this.#leaderlessSinceUs + Math.min(rank, 5) * RANK_US) void this.#claimLead(leader?.revision ?? 0);
  }

  async #claimLead(revision: number): Promise<void> {
    this.#isElecting = true;
    const { instance, node } = this.#identity;
    const { store } = this.#dependencies;
    const claim = { instance, node, interactionId: LEADER };
    const result = await (revision === 0 ? store.create(LEADER, claim) : store.update(LEADER, claim, revision));
    this.#isElecting = false;
    if (result.kind === 'written' && !this.#isStopped) this.#lead(result.revision);
  }

  #lead(revision: number): void {
    this.#leader = { instance: this.#identity.instance, revision };
    if (this.#planner !== undefined) return;
    const { store, timing, discovery, nowUs } = this.#dependencies;
    const { membership, counters } = this;
    this.#planner = new Planner({
      ...{ store, timing, membership, counters, nowUs },
      captureEnded: (interactionId, end) => discovery.captureEnded(interactionId, end),
    });
    this.#planner.start();
    discovery.start();
  }

  #stopLeading(): void {
    if (this.#planner === undefined) return;
    this.#planner.stop();
    this.#planner = undefined;
    this.#dependencies.discovery.stop();
  }

  #commanded({ key, value }: StoreEntry): void {
    const command = readCommand(value);
    if (command === undefined) return;
    if (command.command === 'rebalance') {
      if (this.#planner?.isReady === true) this.#planner.rebalance();
    } else if (key === COMMANDS + keyPart(this.#identity.node))
      this.membership.setDraining(command.command === 'drain');
  }
}

import { type InstanceState, NODES, type NodeEntry, nodeKey, readNode } from '../entries.js';
import type { KeyValueStore, Watch } from '../key-value-store.js';
import type { ClusterTiming } from '../timing.js';
import { Consents } from './consents.js';
import { type Member, MemberView } from './member-view.js';

const NEVER = Number.NEGATIVE_INFINITY;
/** Between the first and the second instance that try to revoke the same lease, and so on up to the sixth. */
const RANK_US = 100_000;
const RANKS = 5;

/** What one run of a node is in its cluster. */
export type Identity = Pick<NodeEntry, 'instance' | 'node' | 'address' | 'capacity' | 'process'>;

export interface MembershipDependencies {
  readonly store: KeyValueStore;
  readonly timing: ClusterTiming;
  /** What the node carries that no placement has brought. */
  otherCost(): number;
  /** Asks a peer for its consent; what it answers comes to consented(). */
  ask(peer: Member, askedUs: number): void;
  /** Whether a process of this machine has ended; false when that cannot be seen. */
  hasProcessEnded(process: string): boolean;
  /** An instance came, went or began to drain. */
  changed(nowUs: number): void;
  /** The lease has ended: nothing may be written any more. */
  lost(why: string, nowUs: number): void;
  nowUs(): number;
}

/**
 * The lease of this instance and those of all others. It says until when the instance may write, and revokes the leases
 * that are no longer renewed. README.md has the rules and why at most one instance ever writes a call.
 *
 * Without I/O of its own: tick() is to be called about ten times a second.
 */
export class Membership {
  readonly #identity: Identity;
  readonly #dependencies: MembershipDependencies;
  readonly #timing: ClusterTiming;
  readonly #view: MemberView;
  readonly #consents: Consents;
  #watch: Watch | undefined;
  #state: InstanceState = 'live';
  #isCurrent = false;
  /** Of our entry, as far as we know; 0: it has not been created. */
  #revision = 0;
  #renewal = 0;
  /** By number: when renewals without an answer were sent. */
  readonly #sentUs = new Map<number, number>();
  #isSending = false;
  #lastSentUs = NEVER;
  #renewedUs = NEVER;
  /** The others can know whose consent we would ask for. */
  #hasToldMembers = false;
  #revokesFromUs = NEVER;
  #askedUs = NEVER;
  /** Instances whose lease we tried to revoke, at which revision and when, while we do not know whether we did. */
  readonly #revoking = new Map<string, { readonly revision: number; readonly sentUs: number }>();
  #hasEnded = false;

  constructor(identity: Identity, dependencies: MembershipDependencies) {
    this.#identity = identity;
    this.#dependencies = dependencies;
    this.#timing = dependencies.timing;
    this.#view = new MemberView(identity.instance);
    this.#consents = new Consents(dependencies.timing);
  }

  get view(): MemberView {
    return this.#view;
  }

  get instance(): string {
    return this.#identity.instance;
  }

  get state(): InstanceState {
    return this.#state;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  start(nowUs: number): void {
    this.#watch = this.#dependencies.store.watch(NODES, {
      changed: ({ value, revision }) => this.#observed(value, revision),
      current: () => {
        this.#isCurrent = true;
      },
    });
    this.tick(nowUs);
  }

  /** The time up to which this instance may write. It can move on, and back to the past when the lease is lost. */
  get writableUntilUs(): number {
    if (this.#hasEnded) return NEVER;
    const { stopUs, outageUs, flightUs } = this.#timing;
    const nowUs = this.#dependencies.nowUs();
    const ofLeaseUs = this.#renewedUs + stopUs;
    if (nowUs < ofLeaseUs || !this.#hasToldMembers) return ofLeaseUs;
    // A request of a peer that has gone may still be on its way to the broker, and that peer cannot be asked.
    if (nowUs < this.#view.lastEndedUs + flightUs) return ofLeaseUs;
    const ofConsentUs = this.#consents.untilUs(this.#peerNames());
    return Math.max(ofLeaseUs, Math.min(this.#renewedUs + outageUs, ofConsentUs));
  }

  /** Whether the lease alone allows to write, so that calls may be taken and leases revoked. */
  isFresh(nowUs: number): boolean {
    return !this.#hasEnded && this.#isCurrent && nowUs < this.#renewedUs + this.#timing.stopUs;
  }

  /** Time since the last renewal that was confirmed, in microseconds; infinity before the first. */
  unrenewedUs(nowUs: number): number {
    return nowUs - this.#renewedUs;
  }

  /** Gives the calls away, or no longer. */
  setDraining(draining: boolean): void {
    if (this.#hasEnded) return;
    this.#state = draining ? 'draining' : 'live';
    this.#lastSentUs = NEVER;
  }

  /** Ends the lease in order. To be called when nothing is written any more. */
  async leave(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#watch?.stop();
    if (this.#revision === 0) return;
    await this.#dependencies.store.update(nodeKey(this.instance), this.#entry('left'), this.#revision);
  }

  /** Without a word to the others, as a process that is killed. */
  stop(): void {
    this.#hasEnded = true;
    this.#watch?.stop();
  }

  tick(nowUs: number): void {
    if (this.#hasEnded) return;
    if (!this.#isSending && nowUs >= this.#lastSentUs + this.#timing.renewUs) void this.#renew(nowUs);
    if (this.#revision === 0) return;
    if (nowUs >= this.#renewedUs + 1.5 * this.#timing.renewUs) this.#askPeers(nowUs);
    if (this.isFresh(nowUs)) this.#revokeExpired(nowUs);
  }

  /** A peer has consented to what was asked at `askedUs`. */
  consented(peer: string, askedUs: number): void {
    this.#consents.received(peer, askedUs);
  }

  /** A peer asks for our consent. */
  consentTo(peer: string, nowUs: number): boolean {
    if (this.#hasEnded || this.#revoking.has(peer) || this.#view.hasEnded(peer)) return false;
    this.#consents.give(peer, nowUs);
    return true;
  }

  #entry(state: InstanceState): NodeEntry {
    const members = this.#isCurrent ? this.#view.digest : '';
    const otherCost = this.#dependencies.otherCost();
    return { ...this.#identity, state, otherCost, renewal: this.#renewal, members };
  }

  async #renew(nowUs: number): Promise<void> {
    const { store } = this.#dependencies;
    const key = nodeKey(this.instance);
    this.#isSending = true;
    this.#lastSentUs = nowUs;
    this.#renewal++;
    const renewal = this.#renewal;
    this.#sentUs.set(renewal, nowUs);
    const entry = this.#entry(this.#state);
    const result =
      this.#revision === 0 ? await store.create(key, entry) : await store.update(key, entry, this.#revision);
    if (result.kind === 'written') this.#confirmed(entry, result.revision);
    else if (result.kind === 'conflict') await this.#readOwn(key);
    this.#isSending = false;
  }

  /** Another write has come before ours: an earlier renewal that got no answer, or somebody who revoked the lease. */
  async #readOwn(key: string): Promise<void> {
    const result = await this.#dependencies.store.read(key);
    if (result.kind === 'read' && result.entry !== undefined) this.#observed(result.entry.value, result.entry.revision);
  }

  #confirmed({ renewal, members }: NodeEntry, revision: number): void {
    const sentUs = this.#sentUs.get(renewal);
    if (this.#hasEnded || sentUs === undefined || revision < this.#revision) return;
    const nowUs = this.#dependencies.nowUs();
    const { stopUs, revokeUs } = this.#timing;
    // Others were as cut off as we were, perhaps, and get as long to renew as if they had just done so.
    if (sentUs - this.#renewedUs > stopUs) this.#revokesFromUs = nowUs + revokeUs;
    this.#revision = revision;
    if (members !== '') this.#hasToldMembers = true;
    this.#renewedUs = Math.max(this.#renewedUs, sentUs);
    for (const number of this.#sentUs.keys()) if (number <= renewal) this.#sentUs.delete(number);
  }

  #observed(value: unknown, revision: number): void {
    const entry = readNode(value);
    if (entry === undefined || this.#hasEnded) return;
    const nowUs = this.#dependencies.nowUs();
    if ((this.#revoking.get(entry.instance)?.revision ?? revision) < revision) this.#revoking.delete(entry.instance);
    const hasChanged = this.#view.observe(entry, revision, nowUs);
    if (entry.instance === this.instance) {
      if (entry.state === 'revoked') this.#lost('the lease was revoked', nowUs);
      else this.#confirmed(entry, revision);
    }
    if (this.#view.hasEnded(entry.instance)) this.#consents.forget(entry.instance);
    if (hasChanged && !this.#hasEnded) this.#dependencies.changed(nowUs);
  }

  #lost(why: string, nowUs: number): void {
    this.stop();
    this.#dependencies.lost(why, nowUs);
  }

  *#peerNames(): IterableIterator<string> {
    for (const { instance } of this.#view.peers()) yield instance;
  }

  #askPeers(nowUs: number): void {
    if (nowUs < this.#askedUs + this.#timing.askEveryUs) return;
    this.#askedUs = nowUs;
    for (const peer of this.#view.peers()) this.#dependencies.ask(peer, nowUs);
  }

  #revokeExpired(nowUs: number): void {
    if (nowUs < this.#revokesFromUs) return;
    const { renewUs, revokeUs, outageUs, flightUs, clockRateTolerance } = this.#timing;
    for (const peer of this.#view.peers()) {
      const unseenUs = nowUs - peer.receivedUs;
      if (unseenUs < 1.5 * renewUs || nowUs < (this.#revoking.get(peer.instance)?.sentUs ?? NEVER) + flightUs) continue;
      if (!this.#dependencies.hasProcessEnded(peer.process)) {
        // One that does not know us would not ask for our consent.
        const asksUs = peer.members === '' || this.#view.knowsUs(peer.instance);
        const waitUs = asksUs ? revokeUs : outageUs * (1 + 2 * clockRateTolerance);
        if (unseenUs < waitUs + this.#rank(peer.instance) * RANK_US) continue;
        if (this.#consents.binds(peer.instance, nowUs)) continue;
      }
      void this.#revoke(peer, nowUs);
    }
  }

  /** Our place among those that could revoke it, so that not all try at once. */
  #rank(instance: string): number {
    let before = 0;
    for (const member of this.#view.peers()) {
      if (member.instance !== instance && member.instance < this.instance) before++;
    }
    return Math.min(before, RANKS);
  }

  async #revoke({ revision, receivedUs: _, ...entry }: Member, sentUs: number): Promise<void> {
    const { instance } = entry;
    this.#revoking.set(instance, { revision, sentUs });
    const { store } = this.#dependencies;
    const result = await store.update(nodeKey(instance), { ...entry, state: 'revoked' }, revision);
    if (result.kind === 'written') this.#observed({ ...entry, state: 'revoked' }, result.revision);
    // After no answer it stays in doubt until a newer revision is seen, or the request can no longer take effect.
    else if (result.kind === 'conflict') this.#revoking.delete(instance);
  }
}

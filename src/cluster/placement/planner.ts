import type { CallAttributes } from '../../core/attributes/attributes.js';
import {
  CALLS,
  callKey,
  instanceOfPlacement,
  PLACEMENTS,
  type PlacementEntry,
  placementKey,
  REQUESTS,
  readClaim,
  readPlacement,
  readRequest,
  requestKey,
} from '../entries.js';
import type { KeyValueStore, StoreEntry, Watch, WriteResult } from '../key-value-store.js';
import type { Membership } from '../membership/membership.js';
import type { ClusterTiming } from '../timing.js';
import { type PlacementNode, placeCall, rebalance } from './placement.js';
import { type PlannedCall, plannedCall } from './planned-call.js';

export interface PlannerCounters {
  /** Calls that were placed for the first time. */
  placed: number;
  /** Calls that were placed on another node, since theirs ended, was drained or was too full. */
  moved: number;
  /** Calls that fit on no node when they were to be placed; they are tried again. */
  unplaced: number;
}

export interface PlannerDependencies {
  readonly store: KeyValueStore;
  readonly timing: ClusterTiming;
  readonly membership: Membership;
  readonly counters: PlannerCounters;
  /** The capture of a call has ended by itself. */
  captureEnded(interactionId: string, end: NonNullable<PlacementEntry['ended']>): void;
  nowUs(): number;
}

/**
 * The leader's work: it has one placement written for each call that is wanted, on an instance that lives and has
 * capacity. It keeps no state but what the store says and which calls are wanted, so that the next leader goes on where
 * this one stopped; two leaders for a moment disturb each other by nothing but conflicts.
 */
export class Planner {
  readonly #dependencies: PlannerDependencies;
  /** By the key of the claim. */
  readonly #calls = new Map<string, PlannedCall>();
  readonly #toDo = new Set<PlannedCall>();
  readonly #loads = new Map<string, number>();
  readonly #watches: Watch[] = [];
  #awaited = 0;
  #retryUs = Number.POSITIVE_INFINITY;
  #isStopped = false;

  constructor(dependencies: PlannerDependencies) {
    this.#dependencies = dependencies;
  }

  /** Everything in the store has been seen. */
  get isReady(): boolean {
    return this.#watches.length > 0 && this.#awaited === 0;
  }

  get size(): number {
    return this.#calls.size;
  }

  start(): void {
    this.#follow(PLACEMENTS, (entry) => this.#placementSeen(entry));
    this.#follow(CALLS, (entry) => this.#claimSeen(entry));
    this.#follow(REQUESTS, (entry) => this.#requestSeen(entry));
  }

  stop(): void {
    this.#isStopped = true;
    for (const watch of this.#watches) watch.stop();
  }

  /** Discovery has found a call, or knows more of it. */
  want(interactionId: string, cost: number, pausedBy: PlacementEntry['pausedBy'], attributes?: CallAttributes): void {
    const call = this.#call(interactionId, cost);
    call.isWanted = true;
    call.pausedBy = pausedBy;
    call.attributes = attributes ?? call.attributes;
    this.#look(call);
  }

  /** A call is over, or no longer of interest. */
  unwant(interactionId: string): void {
    const call = this.#calls.get(callKey(interactionId));
    if (call === undefined) return;
    call.isWanted = false;
    this.#look(call);
  }

  /** The platform's secure pause of a call. */
  setPaused(interactionId: string, by: 'operator' | 'platform', paused: boolean): void {
    const call = this.#calls.get(callKey(interactionId));
    if (call === undefined) return;
    const others = call.pausedBy.filter((one) => one !== by);
    call.pausedBy = paused ? [...others, by] : others;
    this.#look(call);
  }

  /** Moves calls until all nodes carry the same share of their capacity, or nearly. Returns how many. */
  rebalance(): number {
    const placed = [...this.#calls.values()].flatMap((call) => {
      const [instance, ...others] = call.placements.keys();
      return instance === undefined || others.length > 0 ? [] : [{ ...call, instance }];
    });
    const movements = rebalance(placed, this.#nodes());
    for (const { interactionId, to } of movements) {
      const call = this.#calls.get(callKey(interactionId));
      if (call === undefined) continue;
      call.moveTo = to;
      this.#look(call);
    }
    return movements.length;
  }

  /** Instances came, went or drain: every call may be concerned. */
  membersChanged(): void {
    for (const call of this.#calls.values()) this.#toDo.add(call);
    this.tick(this.#dependencies.nowUs());
  }

  tick(nowUs: number): void {
    if (this.#isStopped || !this.isReady || !this.#dependencies.membership.isFresh(nowUs)) return;
    if (nowUs >= this.#retryUs) {
      this.#retryUs = Number.POSITIVE_INFINITY;
      for (const call of this.#calls.values()) this.#toDo.add(call);
    }
    for (const call of this.#toDo) {
      this.#toDo.delete(call);
      if (call.pending === 0) this.#settle(call, nowUs);
    }
  }

  #follow(prefix: string, changed: (entry: StoreEntry) => void): void {
    this.#awaited++;
    let isCurrent = false;
    const watch = this.#dependencies.store.watch(prefix, {
      changed: (entry) => {
        if (!this.#isStopped) changed(entry);
      },
      current: () => {
        if (!isCurrent) this.#awaited--;
        isCurrent = true;
        this.tick(this.#dependencies.nowUs());
      },
    });
    this.#watches.push(watch);
  }

  #call(interactionId: string, cost: number): PlannedCall {
    const key = callKey(interactionId);
    let call = this.#calls.get(key);
    if (call === undefined) {
      call = plannedCall(interactionId, cost);
      this.#calls.set(key, call);
    }
    return call;
  }

  #look(call: PlannedCall): void {
    this.#toDo.add(call);
    this.tick(this.#dependencies.nowUs());
  }

  #placementSeen({ key, value, revision }: StoreEntry): void {
    const instance = instanceOfPlacement(key);
    const entry = readPlacement(value);
    if (entry === undefined) {
      const call = this.#calls.get(CALLS + key.slice(PLACEMENTS.length + instance.length + 1));
      if (call !== undefined && (call.placements.get(instance)?.revision ?? revision) < revision)
        this.#unplace(call, instance);
      if (call !== undefined) this.#look(call);
      return;
    }
    const call = this.#call(entry.interactionId, entry.cost);
    const known = call.placements.get(instance);
    if (known !== undefined && known.revision >= revision) return;
    // What an earlier leader placed is wanted until somebody says otherwise.
    if (known === undefined && call.placements.size === 0 && !this.isReady) {
      call.isWanted = true;
      call.pausedBy = entry.pausedBy;
      call.attributes = entry.attributes;
    }
    this.#place(call, instance, entry, revision);
    this.#look(call);
  }

  #claimSeen({ key, value, revision }: StoreEntry): void {
    const claim = readClaim(value);
    const call = claim === undefined ? this.#calls.get(key) : this.#call(claim.interactionId, 1);
    if (call === undefined) return;
    call.claim = claim === undefined ? undefined : { instance: claim.instance, revision };
    this.#look(call);
  }

  #requestSeen({ key, value, revision }: StoreEntry): void {
    const request = readRequest(value);
    if (request === undefined) {
      const call = this.#calls.get(CALLS + key.slice(REQUESTS.length));
      if (call === undefined || call.requestRevision === 0) return;
      call.requestRevision = 0;
      this.unwant(call.interactionId);
      return;
    }
    const call = this.#call(request.interactionId, request.cost);
    call.requestRevision = revision;
    call.isWanted = true;
    this.#look(call);
  }

  /** One step of a call towards one placement on an instance that takes it. */
  #settle(call: PlannedCall, nowUs: number): void {
    const { view } = this.#dependencies.membership;
    for (const [instance, { entry }] of call.placements) {
      if (view.hasEnded(instance)) this.#remove(call, instance);
      else if (entry.ended !== undefined) this.#ended(call, instance, entry.ended);
    }
    if (call.pending > 0) return;
    if (!call.isWanted) {
      for (const instance of call.placements.keys()) this.#remove(call, instance);
      if (call.placements.size === 0) this.#forget(call);
      return;
    }
    const placed = [...call.placements.keys()];
    if (placed.length === 0) this.#placeElsewhere(call, undefined);
    else if (placed.length === 1) this.#keepOrMove(call, placed[0] as string, nowUs);
    else this.#finishMove(call, placed, nowUs);
  }

  #keepOrMove(call: PlannedCall, instance: string, nowUs: number): void {
    const member = this.#dependencies.membership.view.get(instance);
    const seen = call.placements.get(instance);
    if (seen === undefined) return;
    const { moveTo } = call;
    if (member?.state === 'draining' || (moveTo !== undefined && moveTo !== instance)) {
      call.movingSinceUs = nowUs;
      if (this.#placeElsewhere(call, instance)) return;
    }
    call.moveTo = undefined;
    const { pausedBy, attributes } = call;
    if (seen.entry.pausedBy.join() === pausedBy.join()) return;
    void this.#write(call, instance, { ...seen.entry, pausedBy, ...(attributes && { attributes }) }, seen.revision);
  }

  /** The instance that owns the call stops as soon as the other one has media of it, or has taken too long. */
  #finishMove(call: PlannedCall, placed: readonly string[], nowUs: number): void {
    call.movingSinceUs ||= nowUs;
    const target = placed.find(
      (one) => call.placements.get(one)?.entry.handOver !== undefined && one !== call.claim?.instance,
    );
    const isReady = target !== undefined && call.placements.get(target)?.entry.handOver === 'ready';
    const dueUs = call.movingSinceUs + this.#dependencies.timing.handOverUs;
    if (!isReady && nowUs < dueUs) {
      this.#retryUs = Math.min(this.#retryUs, dueUs);
      return;
    }
    const stays = target ?? call.claim?.instance ?? placed[0];
    for (const instance of placed) if (instance !== stays) this.#remove(call, instance);
    call.moveTo = undefined;
    call.movingSinceUs = 0;
  }

  /** False when no node takes it; then it stays where it is. */
  #placeElsewhere(call: PlannedCall, from: string | undefined): boolean {
    const { timing, counters, nowUs } = this.#dependencies;
    const nodes = this.#nodes().filter(({ instance }) => instance !== from);
    const chosen = nodes.find(({ instance }) => instance === call.moveTo)?.instance;
    const instance = chosen ?? placeCall(call.interactionId, call.cost, nodes);
    if (instance === undefined) {
      counters.unplaced++;
      this.#retryUs = Math.min(this.#retryUs, nowUs() + timing.renewUs);
      return false;
    }
    const isMove = from !== undefined || call.claim !== undefined;
    if (isMove) counters.moved++;
    else counters.placed++;
    const { interactionId, cost, pausedBy, attributes } = call;
    const handOver = from === undefined ? {} : { handOver: 'wanted' as const };
    void this.#write(
      call,
      instance,
      { interactionId, cost, pausedBy, ...(attributes && { attributes }), ...handOver },
      0,
    );
    return true;
  }

  #ended(call: PlannedCall, instance: string, end: NonNullable<PlacementEntry['ended']>): void {
    call.isWanted = false;
    this.#remove(call, instance);
    const { store, captureEnded } = this.#dependencies;
    if (call.requestRevision > 0)
      void this.#attempt(call, store.remove(requestKey(call.interactionId), call.requestRevision));
    captureEnded(call.interactionId, end);
  }

  #forget(call: PlannedCall): void {
    const key = callKey(call.interactionId);
    const { claim } = call;
    if (claim === undefined) {
      this.#calls.delete(key);
      return;
    }
    const { membership, store } = this.#dependencies;
    if (membership.view.hasEnded(claim.instance)) void this.#attempt(call, store.remove(key, claim.revision));
  }

  async #write(call: PlannedCall, instance: string, entry: PlacementEntry, revision: number): Promise<void> {
    const { store } = this.#dependencies;
    const key = placementKey(instance, call.interactionId);
    // Counts at once, or the next calls would all go there.
    if (revision === 0) this.#place(call, instance, entry, 0);
    const writing = revision === 0 ? store.create(key, entry) : store.update(key, entry, revision);
    const result = await this.#attempt(call, writing);
    const known = call.placements.get(instance);
    if (result.kind === 'written' && (known?.revision ?? 0) < result.revision)
      this.#place(call, instance, entry, result.revision);
    else if (result.kind !== 'written' && known?.revision === 0) this.#unplace(call, instance);
    this.#look(call);
  }

  #remove(call: PlannedCall, instance: string): void {
    const seen = call.placements.get(instance);
    if (seen === undefined || seen.revision === 0) return;
    const { store } = this.#dependencies;
    const key = placementKey(instance, call.interactionId);
    void this.#attempt(call, store.remove(key, seen.revision)).then((result) => {
      if (result.kind === 'written') this.#unplace(call, instance);
      this.#look(call);
    });
  }

  async #attempt(call: PlannedCall, writing: Promise<WriteResult>): Promise<WriteResult> {
    call.pending++;
    const result = await writing;
    call.pending--;
    if (result.kind !== 'written') {
      const { timing, nowUs } = this.#dependencies;
      this.#retryUs = Math.min(this.#retryUs, nowUs() + timing.retryUs);
    }
    return result;
  }

  #place(call: PlannedCall, instance: string, entry: PlacementEntry, revision: number): void {
    if (!call.placements.has(instance)) this.#loads.set(instance, this.#load(instance) + call.cost);
    call.placements.set(instance, { entry, revision });
  }

  #unplace(call: PlannedCall, instance: string): void {
    if (call.placements.delete(instance)) this.#loads.set(instance, this.#load(instance) - call.cost);
  }

  #load(instance: string): number {
    return this.#loads.get(instance) ?? 0;
  }

  /** Those that take calls. */
  #nodes(): PlacementNode[] {
    const nodes: PlacementNode[] = [];
    for (const { instance, state, capacity, otherCost } of this.#dependencies.membership.view.all()) {
      if (state === 'live') nodes.push({ instance, capacity, load: this.#load(instance) + otherCost });
    }
    return nodes;
  }
}

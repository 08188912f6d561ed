import {
  type ClaimEntry,
  callKey,
  PLACEMENTS,
  type PlacementEntry,
  placementKey,
  readClaim,
  readPlacement,
} from '../entries.js';
import type { KeyValueStore, StoreEntry, Watch } from '../key-value-store.js';
import type { Membership } from '../membership/membership.js';
import type { ClusterTiming } from '../timing.js';
import type { HeldCall } from './held-call.js';

/** How many released calls are remembered; a replica is not behind by so many. */
const RELEASED = 10_000;

/** What captures the calls of a node. */
export interface CallCapture {
  /** Gets the media of a call ready and withholds all of it; tells it by Claims.prepared(). */
  prepare(placement: PlacementEntry): void;
  /** The call is ours: what arrives from now on is written. */
  begin(placement: PlacementEntry, token: number): void;
  /** Who pauses the call has changed. */
  pausedByChanged(placement: PlacementEntry): void;
  /** Nothing that arrives from now on is written. In force when it returns. */
  drop(interactionId: string): void;
}

export interface ClaimsDependencies {
  readonly store: KeyValueStore;
  readonly timing: ClusterTiming;
  readonly membership: Membership;
  readonly node: string;
  readonly capture: CallCapture;
  nowUs(): number;
}

/**
 * Claims the calls that the leader has placed on this instance, and releases them. A call is written between the moment
 * that its claim is confirmed and the moment before its release is sent, and only while the lease allows it.
 */
export class Claims {
  readonly #dependencies: ClaimsDependencies;
  readonly #prefix: string;
  readonly #calls = new Map<string, HeldCall>();
  /** The last token of calls that were released: a replica may still show the claim. */
  readonly #released = new Map<string, number>();
  #watch: Watch | undefined;
  #isStopped = false;

  constructor(dependencies: ClaimsDependencies) {
    this.#dependencies = dependencies;
    this.#prefix = `${PLACEMENTS}${dependencies.membership.instance}.`;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** The calls that this instance may write, with their fencing tokens. */
  *owned(): IterableIterator<{ readonly interactionId: string; readonly token: number }> {
    for (const { interactionId, state, token } of this.#calls.values()) {
      if (state === 'owned') yield { interactionId, token };
    }
  }

  start(): void {
    this.#watch = this.#dependencies.store.watch(this.#prefix, {
      changed: (entry) => this.#placed(entry),
      current: () => {},
    });
  }

  tick(nowUs: number): void {
    if (this.#isStopped || !this.#dependencies.membership.isFresh(nowUs)) return;
    for (const held of this.#calls.values()) if (nowUs >= held.dueUs && !held.isBusy) this.#act(held);
  }

  /** The media of a call that was prepared comes. */
  prepared(interactionId: string): void {
    const held = this.#calls.get(callKey(interactionId));
    if (held === undefined || held.isPrepared) return;
    held.isPrepared = true;
    if (held.placement.handOver === 'wanted') void this.#answer(held, { ...held.placement, handOver: 'ready' });
  }

  /** The capture of a call has ended by itself. */
  ended(interactionId: string, ended: NonNullable<PlacementEntry['ended']>): void {
    const held = this.#calls.get(callKey(interactionId));
    if (held === undefined || held.state === 'releasing' || held.state === 'ended') return;
    held.watch?.stop();
    held.state = 'ended';
    held.placement = { ...held.placement, ended };
    held.dueUs = 0;
    if (!held.isBusy) this.#act(held);
  }

  /** The lease does not allow to write: nothing is written until resume(). */
  suspend(): void {
    for (const held of this.#calls.values()) this.#dependencies.capture.drop(held.interactionId);
  }

  /** The lease allows it again, and nobody else has had the calls meanwhile. */
  resume(): void {
    const { capture } = this.#dependencies;
    for (const { state, placement, token } of this.#calls.values()) {
      if (state === 'owned') capture.begin(placement, token);
      else if (state === 'waiting') capture.prepare(placement);
    }
  }

  /** Nothing is written any more: the lease has ended, or everything is given away. Claims stay as they are. */
  stop(): void {
    this.#isStopped = true;
    this.#watch?.stop();
    for (const held of this.#calls.values()) {
      held.watch?.stop();
      this.#dependencies.capture.drop(held.interactionId);
    }
    this.#calls.clear();
  }

  #placed({ key, value, revision }: StoreEntry): void {
    if (this.#isStopped) return;
    const placement = readPlacement(value);
    const held = this.#calls.get(this.#callKeyOf(key));
    if (placement === undefined) {
      if (held !== undefined && revision > held.revision) this.#removed(held);
      return;
    }
    if (held === undefined) {
      this.#add(placement, revision);
      return;
    }
    if (revision <= held.revision) return;
    const pausedByChanged = held.placement.pausedBy.join() !== placement.pausedBy.join();
    held.revision = revision;
    held.isPlaced = true;
    const { ended } = held.placement;
    held.placement = ended === undefined || held.state !== 'ended' ? placement : { ...placement, ended };
    if (pausedByChanged && held.state !== 'ended') this.#dependencies.capture.pausedByChanged(placement);
  }

  #add(placement: PlacementEntry, revision: number): void {
    const { interactionId } = placement;
    const held: HeldCall = {
      ...{ interactionId, placement, revision, isPlaced: true, state: 'claiming', token: 0, dueUs: 0 },
      ...{ inDoubtUntilUs: 0, isBusy: false, isPrepared: false, watch: undefined },
    };
    this.#calls.set(callKey(interactionId), held);
    if (placement.ended !== undefined) held.state = 'ended';
    else if (placement.handOver !== undefined) this.#await(held);
    this.tick(this.#dependencies.nowUs());
  }

  #removed(held: HeldCall): void {
    held.isPlaced = false;
    held.watch?.stop();
    if (held.state === 'owned' || held.state === 'waiting') this.#dependencies.capture.drop(held.interactionId);
    if (held.token !== 0 || this.#dependencies.nowUs() < held.inDoubtUntilUs) held.state = 'releasing';
    else if (held.isBusy) return;
    else if (held.state !== 'releasing') {
      this.#forget(held);
      return;
    }
    held.dueUs = 0;
    if (!held.isBusy) this.#act(held);
  }

  #act(held: HeldCall): void {
    const { state } = held;
    if (state === 'claiming') void this.#busy(held, () => this.#claim(held));
    else if (state === 'releasing') void this.#busy(held, () => this.#release(held));
    else if (state === 'ended') void this.#busy(held, () => this.#reportEnd(held));
    else held.dueUs = Number.POSITIVE_INFINITY;
  }

  async #busy(held: HeldCall, work: () => Promise<void>): Promise<void> {
    held.isBusy = true;
    held.dueUs = Number.POSITIVE_INFINITY;
    const { state } = held;
    await work();
    held.isBusy = false;
    if (this.#isStopped || this.#calls.get(callKey(held.interactionId)) !== held) return;
    // It was removed, or has ended, meanwhile.
    if (!held.isPlaced && held.state !== 'releasing') this.#removed(held);
    else if (held.state !== state && held.state !== 'owned') this.#act(held);
  }

  async #claim(held: HeldCall): Promise<void> {
    const { store, membership, node, timing, nowUs } = this.#dependencies;
    const { interactionId } = held;
    const key = callKey(interactionId);
    const claim: ClaimEntry = { instance: membership.instance, node, interactionId };
    let result = await store.create(key, claim);
    if (result.kind === 'conflict') {
      const read = await store.read(key);
      const owner = read.kind === 'read' ? readClaim(read.entry?.value) : undefined;
      if (read.kind === 'read' && read.entry !== undefined && owner !== undefined) {
        const { revision } = read.entry;
        // An attempt of our own that got no answer has taken effect.
        const isOwn = owner.instance === membership.instance && revision > (this.#released.get(key) ?? 0);
        if (isOwn) result = { kind: 'written', revision };
        else if (membership.view.hasEnded(owner.instance)) result = await store.update(key, claim, revision);
        else if (held.state === 'claiming' && held.isPlaced && !this.#isStopped) {
          this.#await(held);
          return;
        }
      }
    }
    if (this.#isStopped) return;
    if (result.kind === 'written') {
      this.#own(held, result.revision);
      return;
    }
    if (result.kind === 'unknown') held.inDoubtUntilUs = nowUs() + timing.flightUs;
    held.dueUs = nowUs() + timing.retryUs;
  }

  #own(held: HeldCall, token: number): void {
    held.token = token;
    if (!held.isPlaced || held.state === 'ended') {
      if (held.state !== 'ended') held.state = 'releasing';
      return;
    }
    held.state = 'owned';
    this.#dependencies.capture.begin(held.placement, token);
  }

  /** Gets the media ready until the instance that owns the call has released it or has lost its lease. */
  #await(held: HeldCall): void {
    const { store, membership, capture } = this.#dependencies;
    held.state = 'waiting';
    held.dueUs = Number.POSITIVE_INFINITY;
    if (!held.isPrepared) capture.prepare(held.placement);
    let isFree = true;
    held.watch?.stop();
    held.watch = store.watch(callKey(held.interactionId), {
      changed: ({ value }) => {
        const owner = readClaim(value);
        isFree =
          owner === undefined || owner.instance === membership.instance || membership.view.hasEnded(owner.instance);
        if (isFree) this.#claimNow(held);
      },
      current: () => {
        if (isFree) this.#claimNow(held);
      },
    });
  }

  /** Instances have come or gone: what they owned may be free. */
  membersChanged(): void {
    for (const held of this.#calls.values()) if (held.state === 'waiting') this.#await(held);
  }

  #claimNow(held: HeldCall): void {
    if (held.state !== 'waiting' || held.isBusy) return;
    held.watch?.stop();
    held.watch = undefined;
    held.state = 'claiming';
    held.dueUs = 0;
    this.tick(this.#dependencies.nowUs());
  }

  async #release(held: HeldCall): Promise<void> {
    const { timing, nowUs } = this.#dependencies;
    if (await this.#removeClaim(held)) {
      // Placed here again in the meantime.
      if (held.isPlaced && !this.#isStopped) {
        this.#calls.delete(callKey(held.interactionId));
        this.#add(held.placement, held.revision);
      } else this.#forget(held);
      return;
    }
    held.dueUs = nowUs() + timing.retryUs;
  }

  async #reportEnd(held: HeldCall): Promise<void> {
    const { timing, nowUs } = this.#dependencies;
    const isReleased = await this.#removeClaim(held);
    const isTold = isReleased && (!held.isPlaced || (await this.#answer(held, held.placement)));
    if (!isTold) held.dueUs = nowUs() + timing.retryUs;
  }

  /** True when the claim is not ours any more. */
  async #removeClaim(held: HeldCall): Promise<boolean> {
    const { store, nowUs } = this.#dependencies;
    const key = callKey(held.interactionId);
    if (held.token === 0) {
      if (nowUs() >= held.inDoubtUntilUs) return true;
      await this.#findClaim(held);
      if (held.token === 0) return false;
    }
    const result = await store.remove(key, held.token);
    if (result.kind === 'unknown') return false;
    // At another revision it has another owner, or an attempt without an answer was written after this one.
    if (result.kind === 'conflict' && (await this.#findClaim(held))) return false;
    this.#remember(key, held.token);
    held.token = 0;
    held.inDoubtUntilUs = 0;
    return true;
  }

  /** Looks for a claim of ours at a later revision than the one that we know. */
  async #findClaim(held: HeldCall): Promise<boolean> {
    const { store, membership } = this.#dependencies;
    const key = callKey(held.interactionId);
    const read = await store.read(key);
    if (read.kind === 'unknown') return true;
    const owner = readClaim(read.entry?.value);
    const least = Math.max(held.token, this.#released.get(key) ?? 0);
    if (owner?.instance !== membership.instance || read.entry === undefined || read.entry.revision <= least)
      return false;
    held.token = read.entry.revision;
    return true;
  }

  #remember(key: string, token: number): void {
    this.#released.delete(key);
    this.#released.set(key, token);
    for (const oldest of this.#released.keys()) {
      if (this.#released.size <= RELEASED) break;
      this.#released.delete(oldest);
    }
  }

  /** Writes into the placement what the leader is to know. */
  async #answer(held: HeldCall, answer: PlacementEntry): Promise<boolean> {
    const { store, membership } = this.#dependencies;
    const key = placementKey(membership.instance, held.interactionId);
    const result = await store.update(key, answer, held.revision);
    if (result.kind === 'written' && result.revision > held.revision) {
      held.revision = result.revision;
      held.placement = answer;
    }
    return result.kind === 'written';
  }

  #forget(held: HeldCall): void {
    held.watch?.stop();
    const key = callKey(held.interactionId);
    if (this.#calls.get(key) === held) this.#calls.delete(key);
  }

  #callKeyOf(placement: string): string {
    return `call.${placement.slice(this.#prefix.length)}`;
  }
}

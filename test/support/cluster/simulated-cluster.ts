import { ClusterMember } from '../../../src/cluster/cluster-member.js';
import type { PlacementEntry } from '../../../src/cluster/entries.js';
import { CLUSTER_TIMING, type ClusterTiming } from '../../../src/cluster/timing.js';
import type { Random } from '../random.js';
import { type Link, SimulatedStore } from './simulated-store.js';
import { VirtualTime } from './virtual-time.js';

const TICK_US = 100_000;

/** A call of the platform, with when it had nobody who wrote it. */
export interface SimulatedCall {
  readonly id: string;
  readonly startedUs: number;
  /** Nodes that have begun to write it and have not stopped. */
  readonly writers: Set<SimulatedNode>;
  /** Since when nobody writes it. */
  unownedSinceUs: number | undefined;
  isOver: boolean;
  longestUnownedUs: number;
}

/** One process of the cluster in virtual time, with a clock of its own. */
export class SimulatedNode implements Link {
  readonly name: string;
  readonly #cluster: SimulatedCluster;
  readonly #clockOffsetUs: number;
  readonly #clockRate: number;
  readonly #queue: (() => void)[] = [];
  readonly capacity: number;
  member: ClusterMember;
  isCut = false;
  /** Peers cannot be reached either. */
  isIsolated = false;
  isDead = false;
  #isStalled = false;
  #runs = 0;
  readonly #prepared = new Set<string>();

  constructor(cluster: SimulatedCluster, name: string, capacity: number) {
    const { random } = cluster;
    this.name = name;
    this.capacity = capacity;
    this.#cluster = cluster;
    this.#clockOffsetUs = random() * 1e12;
    this.#clockRate = 1 + (random() - 0.5) * 0.01;
    this.member = this.#join();
    this.#scheduleTick(random() * TICK_US);
  }

  get nowUs(): number {
    return this.#clockOffsetUs + this.#cluster.time.nowUs * this.#clockRate;
  }

  /** A process that is stopped writes nothing; one that runs looks at its clock before it writes. */
  get canWrite(): boolean {
    return !this.isDead && !this.#isStalled && this.nowUs < this.member.membership.writableUntilUs;
  }

  latencyUs(): number {
    return 1_000 + this.#cluster.random() * 4_000;
  }

  run(work: () => void): void {
    if (this.isDead) return;
    if (this.#isStalled) this.#queue.push(work);
    else work();
  }

  kill(): void {
    this.isDead = true;
    this.member.kill();
    for (const call of this.#cluster.calls.values()) this.#cluster.stopped(call, this);
  }

  cut(isolated: boolean): void {
    this.isCut = true;
    this.isIsolated = isolated;
  }

  heal(): void {
    this.isCut = false;
    this.isIsolated = false;
    this.#cluster.store.reconnect(this);
  }

  stall(us: number): void {
    this.#isStalled = true;
    this.#cluster.time.after(us, () => {
      this.#isStalled = false;
      for (const work of this.#queue.splice(0)) this.run(work);
    });
  }

  #scheduleTick(us: number): void {
    this.#cluster.time.after(us, () => {
      if (this.isDead) return;
      if (!this.#isStalled) this.member.tick(this.nowUs);
      this.#scheduleTick(TICK_US);
    });
  }

  #join(): ClusterMember {
    const cluster = this.#cluster;
    const instance = `${this.name}-${++this.#runs}`;
    const member: ClusterMember = new ClusterMember(
      { instance, node: this.name, address: this.name, capacity: this.capacity, process: '' },
      {
        store: cluster.store.client(this),
        timing: cluster.timing,
        capture: {
          prepare: ({ interactionId }) => this.#prepare(interactionId),
          begin: ({ interactionId }) => cluster.began(interactionId, this),
          pausedByChanged: () => {},
          drop: (interactionId) => {
            this.#prepared.delete(interactionId);
            const call = cluster.calls.get(interactionId);
            if (call !== undefined) cluster.stopped(call, this);
          },
        },
        discovery: {
          start: () => cluster.discover(this),
          stop: () => {},
          captureEnded: () => {},
        },
        otherCost: () => 0,
        hasProcessEnded: () => false,
        ask: (peer, askedUs) => cluster.ask(this, peer.node, askedUs),
        lost: () => {
          // In another turn, as the node does it: this instance is still at work.
          cluster.time.after(1_000, () => {
            if (!this.isDead) this.member = this.#join();
          });
        },
        nowUs: () => this.nowUs,
      },
    );
    member.start(this.nowUs);
    return member;
  }

  /** Media comes some 50 ms after it was subscribed to. */
  #prepare(interactionId: string): void {
    this.#prepared.add(interactionId);
    this.#cluster.time.after(50_000, () =>
      this.run(() => {
        if (this.#prepared.has(interactionId)) this.member.claims.prepared(interactionId);
      }),
    );
  }
}

/** Nodes, a broker and calls in virtual time. It sees each moment at which two nodes could write the same call. */
export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly store = new SimulatedStore(this.time);
  readonly nodes: SimulatedNode[] = [];
  readonly calls = new Map<string, SimulatedCall>();
  readonly timing: ClusterTiming;
  readonly random: Random;
  /** Calls that two nodes have begun to write. */
  readonly #doubtful = new Set<SimulatedCall>();
  violations: string[] = [];
  /** How long calls had no owner, each time. */
  readonly unownedUs: number[] = [];
  begins = 0;

  constructor(random: Random, timing: ClusterTiming = CLUSTER_TIMING) {
    this.random = random;
    this.timing = timing;
    this.#check();
  }

  add(name: string, capacity = 1_000): SimulatedNode {
    const node = new SimulatedNode(this, name, capacity);
    this.nodes.push(node);
    return node;
  }

  live(): SimulatedNode[] {
    return this.nodes.filter(({ isDead }) => !isDead);
  }

  get leader(): SimulatedNode | undefined {
    return this.live().find(({ member }) => member.isLeader);
  }

  startCall(id: string): void {
    const { nowUs } = this.time;
    this.calls.set(id, {
      ...{ id, startedUs: nowUs, writers: new Set(), unownedSinceUs: nowUs, isOver: false, longestUnownedUs: 0 },
    });
    for (const node of this.live()) node.member.planner?.want(id, 1, []);
  }

  endCall(id: string): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    call.isOver = true;
    this.#owned(call);
    for (const node of call.writers) {
      const ended: PlacementEntry['ended'] = { final: true, pausedBy: [] };
      this.stopped(call, node);
      node.run(() => node.member.claims.ended(id, ended));
    }
    for (const node of this.live()) node.member.planner?.unwant(id);
    this.calls.delete(id);
  }

  setAway(isAway: boolean): void {
    this.store.isAway = isAway;
    if (!isAway) for (const node of this.live()) this.store.reconnect(node);
  }

  /** A new leader asks the platform which calls there are. */
  discover(node: SimulatedNode): void {
    this.time.after(100_000, () =>
      node.run(() => {
        for (const { id } of this.calls.values()) node.member.planner?.want(id, 1, []);
      }),
    );
  }

  began(id: string, node: SimulatedNode): void {
    this.begins++;
    const call = this.calls.get(id);
    if (call === undefined) return;
    call.writers.add(node);
    if (call.writers.size > 1) this.#doubtful.add(call);
    this.#checkCall(call);
    this.#owned(call);
  }

  stopped(call: SimulatedCall, node: SimulatedNode): void {
    if (!call.writers.delete(node)) return;
    if (call.writers.size < 2) this.#doubtful.delete(call);
    if (!call.isOver && call.writers.size === 0) call.unownedSinceUs ??= this.time.nowUs;
  }

  /** Datagrams between nodes; those of isolated nodes are lost. */
  ask(from: SimulatedNode, to: string, askedUs: number): void {
    const { instance } = from.member.membership;
    this.time.after(from.latencyUs(), () => {
      const peer = this.live().find(({ name }) => name === to);
      if (peer === undefined || peer.isIsolated || from.isIsolated) return;
      peer.run(() => {
        const { membership } = peer.member;
        if (!membership.consentTo(instance, peer.nowUs)) return;
        this.time.after(from.latencyUs(), () => {
          if (from.isIsolated || peer.isIsolated) return;
          from.run(() => from.member.membership.consented(membership.instance, askedUs));
        });
      });
    });
  }

  /** Calls that nobody writes. */
  unowned(): SimulatedCall[] {
    return [...this.calls.values()].filter(({ writers }) => ![...writers].some(({ canWrite }) => canWrite));
  }

  #owned(call: SimulatedCall): void {
    if (call.unownedSinceUs === undefined) return;
    const us = this.time.nowUs - call.unownedSinceUs;
    this.unownedUs.push(us);
    call.longestUnownedUs = Math.max(call.longestUnownedUs, us);
    call.unownedSinceUs = undefined;
  }

  #check(): void {
    for (const call of this.#doubtful) this.#checkCall(call);
    this.time.after(20_000, () => this.#check());
  }

  #checkCall({ id, writers }: SimulatedCall): void {
    const able = [...writers].filter(({ canWrite }) => canWrite);
    if (able.length < 2) return;
    const names = able.map(({ member }) => member.membership.instance).join(' and ');
    this.violations.push(`${id} is written by ${names} at ${this.time.nowUs / 1e6} s`);
  }
}

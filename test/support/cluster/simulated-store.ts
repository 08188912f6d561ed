import type {
  KeyValueStore,
  ReadResult,
  StoreEntry,
  Watch,
  WatchListener,
  WriteResult,
} from '../../../src/cluster/key-value-store.js';
import type { VirtualTime } from './virtual-time.js';

const TIMEOUT_US = 1_000_000;

/** What a client is like. */
export interface Link {
  /** Neither requests nor answers nor changes pass. */
  isCut: boolean;
  /** One way. */
  latencyUs(): number;
  /** Runs what arrives, at once or when the client goes on. */
  run(work: () => void): void;
}

interface SimulatedWatch {
  readonly link: Link;
  readonly prefix: string;
  readonly listener: WatchListener;
  deliveredRevision: number;
  isLoaded: boolean;
  isBehind: boolean;
  isStopped: boolean;
  lastArrivalUs: number;
}

/** A broker in virtual time: one order of writes, links that lose requests or answers, watches that catch up. */
export class SimulatedStore {
  readonly #time: VirtualTime;
  readonly #entries = new Map<string, StoreEntry>();
  readonly #watches = new Map<string, Set<SimulatedWatch>>();
  #revision = 0;
  /** No majority of the servers is there. */
  isAway = false;
  requests = 0;
  deliveries = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** All keys, for assertions. */
  entries(): ReadonlyMap<string, StoreEntry> {
    return this.#entries;
  }

  client(link: Link): KeyValueStore {
    const write = (key: string, value: unknown, isExpected: (entry: StoreEntry | undefined) => boolean) =>
      this.#request<WriteResult>(link, { kind: 'unknown', reason: 'no answer' }, () => {
        if (!isExpected(this.#entries.get(key))) return { kind: 'conflict' };
        return { kind: 'written', revision: this.#write(key, value) };
      });
    return {
      create: (key, value) => write(key, value, (entry) => entry?.value === undefined),
      update: (key, value, revision) => write(key, value, (entry) => entry?.revision === revision),
      remove: (key, revision) => write(key, undefined, (entry) => entry?.revision === revision),
      read: (key) =>
        this.#request<ReadResult>(link, { kind: 'unknown', reason: 'no answer' }, () => ({
          kind: 'read',
          entry: this.#entries.get(key),
        })),
      watch: (prefix, listener) => this.#watch(link, prefix, listener),
    };
  }

  /** The link, or the broker, is back: watches get what they have missed. */
  reconnect(link: Link): void {
    for (const group of this.#watches.values()) {
      for (const watch of group) if (watch.link === link) this.#catchUp(watch);
    }
  }

  #request<Result>(link: Link, unknown: Result, work: () => Result): Promise<Result> {
    this.requests++;
    return new Promise((resolve) => {
      let isAnswered = false;
      const answer = (result: Result) => {
        if (isAnswered) return;
        isAnswered = true;
        link.run(() => resolve(result));
      };
      const sendable = !link.isCut;
      this.#time.after(TIMEOUT_US, () => answer(unknown));
      this.#time.after(link.latencyUs(), () => {
        if (!sendable || link.isCut || this.isAway) return;
        const result = work();
        this.#time.after(link.latencyUs(), () => {
          if (!link.isCut) answer(result);
        });
      });
    });
  }

  #write(key: string, value: unknown): number {
    const entry = { key, value, revision: ++this.#revision };
    this.#entries.set(key, entry);
    for (const prefix of prefixesOf(key)) {
      for (const watch of this.#watches.get(prefix) ?? []) this.#send(watch, entry);
    }
    return entry.revision;
  }

  #watch(link: Link, prefix: string, listener: WatchListener): Watch {
    const watch: SimulatedWatch = {
      ...{ link, prefix, listener, deliveredRevision: 0, isLoaded: false },
      ...{ isBehind: true, isStopped: false, lastArrivalUs: 0 },
    };
    const group = this.#watches.get(prefix) ?? new Set();
    this.#watches.set(prefix, group.add(watch));
    this.#catchUp(watch);
    return {
      stop: () => {
        watch.isStopped = true;
        group.delete(watch);
      },
    };
  }

  /** The newest value of each key that it has not seen; after the first time, that it is current. */
  #catchUp(watch: SimulatedWatch): void {
    this.#time.after(watch.link.latencyUs(), () => {
      if (watch.isStopped || watch.link.isCut || this.isAway) return;
      watch.isBehind = false;
      const missed = [...this.#entries.values()]
        .filter(({ key, revision }) => prefixesOf(key).includes(watch.prefix) && revision > watch.deliveredRevision)
        .toSorted((a, b) => a.revision - b.revision);
      for (const entry of missed) this.#send(watch, entry);
      this.#arrive(watch, () => {
        if (!watch.isLoaded) watch.listener.current();
        watch.isLoaded = true;
      });
    });
  }

  #send(watch: SimulatedWatch, entry: StoreEntry): void {
    if (watch.isBehind) return;
    this.#arrive(watch, () => {
      if (entry.revision <= watch.deliveredRevision) return;
      watch.deliveredRevision = entry.revision;
      this.deliveries++;
      watch.listener.changed(entry);
    });
  }

  /** In the order in which it was sent. */
  #arrive(watch: SimulatedWatch, work: () => void): void {
    const atUs = Math.max(watch.lastArrivalUs, this.#time.nowUs + watch.link.latencyUs());
    watch.lastArrivalUs = atUs;
    this.#time.after(atUs - this.#time.nowUs, () => {
      if (watch.isStopped || watch.isBehind) return;
      if (watch.link.isCut || this.isAway) watch.isBehind = true;
      else
        watch.link.run(() => {
          if (!watch.isStopped) work();
        });
    });
  }
}

function prefixesOf(key: string): string[] {
  const parts = key.split('.');
  return parts.map((_, count) => (count + 1 === parts.length ? key : `${parts.slice(0, count + 1).join('.')}.`));
}

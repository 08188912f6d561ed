/** A key with its value at one revision. Revisions rise over all keys of a store. */
export interface StoreEntry {
  readonly key: string;
  /** Undefined: the key has been removed. */
  readonly value: unknown;
  readonly revision: number;
}

/**
 * `conflict`: the key was at another revision, and nothing was written. `unknown`: no answer came, and the write may have
 * taken effect or may do so within the next seconds.
 */
export type WriteResult =
  | { readonly kind: 'written'; readonly revision: number }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** `entry` may be older than the newest one: it can come from a replica. Undefined: there was never such a key. */
export type ReadResult =
  | { readonly kind: 'read'; readonly entry: StoreEntry | undefined }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface WatchListener {
  /** Each key first with its present value, then with each change, in the order of the revisions. */
  changed(entry: StoreEntry): void;
  /** All present values have come. */
  current(): void;
}

export interface Watch {
  stop(): void;
}

/**
 * What a cluster needs of its broker: keys whose writes are decided in one order for all clients. Values are JSON. No
 * method throws and no promise rejects: what fails is a result.
 */
export interface KeyValueStore {
  /** Writes a key that does not exist or has been removed. */
  create(key: string, value: unknown): Promise<WriteResult>;
  /** Writes a key that is at `revision`. */
  update(key: string, value: unknown, revision: number): Promise<WriteResult>;
  /** Removes a key that is at `revision`. */
  remove(key: string, revision: number): Promise<WriteResult>;
  read(key: string): Promise<ReadResult>;
  /** Watches all keys that begin with `prefix`, or the one key that it names if it does not end in a dot. */
  watch(prefix: string, listener: WatchListener): Watch;
}

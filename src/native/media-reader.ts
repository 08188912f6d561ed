import type { InteractionTable } from '../sources/genesys/interaction-table.js';
import { emptyPackets, type MediaReader } from '../sources/genesys/protocol/media-reader.js';
import { type Addon, type AddonInteractionTable, type AddonMediaReader, loadAddon } from './addon.js';

/** The Rust reader of media frames (native/dsp/src/media.rs), behind the same interface as the one in JavaScript. */
class NativeMediaReader implements MediaReader {
  readonly packets = emptyPackets();
  readonly #addon: Addon;
  readonly #reader: AddonMediaReader;
  readonly #rosters = new WeakMap<InteractionTable, AddonInteractionTable>();

  constructor(addon: Addon, arena: ArrayBufferLike) {
    this.#addon = addon;
    this.#reader = new addon.NativeMediaReader(new Uint8Array(arena), this.packets);
  }

  read(bytes: Uint8Array, from: number, to: number, roster: InteractionTable, at: number, most: number): number {
    return this.#reader.read(bytes, from, to, this.#rosters.get(roster) ?? this.#enter(roster), at, most);
  }

  #enter(roster: InteractionTable): AddonInteractionTable {
    const { idBytes, idLengths, buckets, flowing } = roster;
    const entered = new this.#addon.NativeRoster(idBytes, idLengths, buckets, flowing);
    this.#rosters.set(roster, entered);
    return entered;
  }
}

/**
 * The native reader for the memory that an engine's arena lies in, or undefined: whether it may do without is decided,
 * and said, where the engine starts its shards.
 */
export function nativeMediaReader(arena: ArrayBufferLike): MediaReader | undefined {
  try {
    return new NativeMediaReader(loadAddon(), arena);
  } catch {
    return undefined;
  }
}

import type { AddonRegularPackets, AddonRegularPacketsState, AddonRing } from '#addon';
import { loadAddon } from './addon.js';

/** native/rtp, behind the interface that the engine's input sees. */
export type RegularPackets = Pick<AddonRegularPackets, 'take'>;

/** Where payloads and the input rings of the shards lie. */
export interface PacketMemory {
  readonly memory: SharedArrayBuffer;
  readonly arena: AddonRing;
  readonly rings: readonly AddonRing[];
}

/**
 * native/rtp on what the main thread keeps, or undefined when the addon cannot be used. Whether JavaScript may do it all
 * instead is decided, and reported, where the engine starts its shards.
 */
export function nativeRegularPackets(
  { memory, arena, rings }: PacketMemory,
  state: AddonRegularPacketsState,
): RegularPackets | undefined {
  try {
    return new (loadAddon().NativeRegularPackets)(new Uint8Array(memory), arena, rings, state);
  } catch {
    return undefined;
  }
}

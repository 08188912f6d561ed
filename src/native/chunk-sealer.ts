import { loadAddon } from './addon.js';

/**
 * Encrypts chunks of recordings in `scratch`, the bytes of a ChunkScratch of `sinks/recorder/encryption/chunk-format.ts`: the
 * content lies where the ciphertext is to be, and has the given length. Undefined when the addon cannot be used, or Node's own
 * OpenSSL by it. Whether JavaScript may replace the addon is decided, and reported, where the engine starts its shards.
 */
export function nativeChunkSealer(scratch: Uint8Array): ((length: number) => void) | undefined {
  try {
    const sealer = new (loadAddon().NativeChunkSealer)(scratch);
    return (length) => sealer.seal(length);
  } catch {
    return undefined;
  }
}

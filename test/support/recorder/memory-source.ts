import type { ByteSource } from '../../../src/audio/files/byte-source.js';

/** A file in memory. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (into, at, length, position) => {
      const part = bytes.subarray(position, position + length);
      into.set(part, at);
      return part.length;
    },
    close: () => undefined,
  };
}

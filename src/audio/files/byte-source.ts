/** Bytes that are read at any position. */
export interface ByteSource {
  readonly size: number;
  /** Fills `length` bytes of `into` from byte `at` on; returns how many there are. */
  read(into: Uint8Array, at: number, length: number, position: number): number;
  close(): void;
}

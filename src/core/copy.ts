/**
 * Copies `count` times eight bytes; the places must not overlap. For what a packet or a frame holds, this takes a half
 * or a third of copyWithin() or set(), which are calls out of compiled code, and set() needs a view made for it. Several
 * in a turn, so that the processor waits for several lines of memory at once; compiled code makes no BigInt of what only
 * goes from one array to another.
 */
export function copyQuads(source: BigInt64Array, from: number, target: BigInt64Array, to: number, count: number): void {
  const end = from + count;
  let read = from;
  let write = to;
  for (; read + 8 <= end; read += 8, write += 8) {
    target[write] = source[read] as bigint;
    target[write + 1] = source[read + 1] as bigint;
    target[write + 2] = source[read + 2] as bigint;
    target[write + 3] = source[read + 3] as bigint;
    target[write + 4] = source[read + 4] as bigint;
    target[write + 5] = source[read + 5] as bigint;
    target[write + 6] = source[read + 6] as bigint;
    target[write + 7] = source[read + 7] as bigint;
  }
  for (; read < end; read++, write++) target[write] = source[read] as bigint;
}

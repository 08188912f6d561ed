import process from 'node:process';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Size of each of the two halves of a thread's young generation. */
const SEMI_SPACE_MB = 4;
const YOUNG_GENERATION_BYTES = 2 * SEMI_SPACE_MB * (1 << 20);
/** How much larger than what lives in it the old generation may grow between two full collections, in percent. */
const GROWING_PERCENT = 300;

/**
 * Sets the garbage collector of this process for audio over many sockets. Call it before the first node is made.
 *
 * - The young generation of each thread gets no larger than 8 MB. By default it grows to 32 MB while a thousand streams
 *   open, and does not shrink; of what a packet needs hardly anything survives, so that a small one is collected as
 *   cheaply. A size that Node was started with (`--max-semi-space-size`) stays.
 * - The old generation may grow further between two full collections. Node makes a buffer for each read of a socket,
 *   which V8 counts to the old generation: with its usual growth, a node of 1,000 calls has a full collection of some
 *   20 ms more than once a second. It costs memory only where the old generation really grows.
 */
export function tuneHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  if (isSemiSpaceSet()) return;
  // Threads made from now on take this flag; for the main thread V8 reads it only when it starts.
  setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MB}`);
  growYoungGeneration();
  setFlagsFromString('--semi-space-growth-factor=1');
}

function isSemiSpaceSet(): boolean {
  return [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((text) => /semi[-_]space/.test(text));
}

/** V8 doubles the young generation when enough survives a collection: lets it, up to the size that is to stay. */
function growYoungGeneration(): void {
  const survivors: unknown[] = [];
  for (let round = 0; round < 64 && youngGenerationBytes() < YOUNG_GENERATION_BYTES; round++) {
    for (let i = 0; i < 2_000; i++) survivors.push(new Array(16).fill(i));
  }
}

function youngGenerationBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;
}

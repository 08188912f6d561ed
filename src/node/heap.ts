import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/** Size of each of the two halves of a thread's young generation, for threads made after tuneHeap(). */
const SEMI_SPACE_MB = 4;
/** How much larger than what lives in it the old generation may grow between two full collections, in percent. */
const GROWING_PERCENT = 300;

let isTuned = false;

/**
 * Sets the garbage collector of this process for audio over many sockets. Call it as early as possible.
 *
 * - The young generation stops growing: that of the main thread stays as large as it is now (1 to 2 MB at the start of a
 *   process), that of later threads grows to 8 MB. By default each grows to 32 MB while a thousand streams open, and does
 *   not shrink; of what a packet needs hardly anything survives, so that a small one is collected as cheaply. A size that
 *   Node was started with (`--max-semi-space-size`) stays.
 * - The old generation may grow further between two full collections. Node makes a buffer for each read of a socket,
 *   which V8 counts to the old generation: with its usual growth, a node of 1,000 calls has a full collection of some
 *   20 ms more than once a second. It costs memory only where the old generation really grows.
 */
export function tuneHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  if (isSemiSpaceSet()) return;
  isTuned = true;
  // V8 reads it when a thread starts, so that it comes too late for the main thread.
  setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MB}`);
  stopGrowth();
}

/** Call it when threads have been started: V8 sets the growth back to its default with each of them. */
export function tuneHeapAgain(): void {
  if (isTuned) stopGrowth();
}

function stopGrowth(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

function isSemiSpaceSet(): boolean {
  return [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((text) => /semi[-_]space/.test(text));
}

import process from 'node:process';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Size of each of the two halves of the young generation, of the thread that calls tuneHeap(). */
const SEMI_SPACE_MB = 4;
/** The same of threads made later: shards, recorder, audit, archive. */
const THREAD_SEMI_SPACE_MB = 1;
/** How much larger than what lives in it the old generation may grow between two full collections, in percent. */
const GROWING_PERCENT = 300;

const BYTES_PER_MB = 1 << 20;
/** A full young generation is at most this many allocations of FILLER_LENGTH numbers away. */
const MAX_FILLERS = 8_192;
const FILLER_LENGTH = 1_000;
/** Fillers that stay alive together: enough for a collection to find the young generation nearly full. */
const LIVE_FILLERS = 120;

let isTuned = false;

/**
 * Sets the garbage collector of this process for audio over many sockets. Call it as early as possible.
 *
 * - The young generation of this thread is 8 MB, at once, which takes some 10 ms; that of threads made later 2 MB at most,
 *   for they allocate next to nothing and would fill 8 MB with what their start leaves. By default each grows to 32 MB while a
 *   thousand streams open, and does not shrink; of what a packet needs hardly anything survives, so that a smaller one is
 *   collected as cheaply. In one of 1 MB, with which a process begins, messages of 200 ms survive: with a thousand
 *   AudioHook calls the pauses of the collector are five times as long.
 *   A size that Node was started with (`--max-semi-space-size`) stays.
 * - The old generation may grow further between two full collections. Node makes a buffer for each read of a socket,
 *   which V8 counts to the old generation: with its usual growth, a node of 1,000 calls has a full collection of some
 *   20 ms more than once a second. It costs memory only where the old generation really grows.
 */
export function tuneHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  if (isSemiSpaceSet()) return;
  isTuned = true;
  // V8 reads it when a thread starts, so that it comes too late for the main thread.
  setFlagsFromString(`--max-semi-space-size=${THREAD_SEMI_SPACE_MB}`);
  grow();
  stopGrowth();
}

/** Call it when threads have been started: V8 sets the growth back to its default with each of them. */
export function tuneHeapAgain(): void {
  if (isTuned) stopGrowth();
}

/** Fills the young generation of this thread until V8 has enlarged it; there is no call that does. */
function grow(): void {
  let live: number[][] = [];
  for (let count = 0; count < MAX_FILLERS && youngGenerationMb() < 2 * SEMI_SPACE_MB; count++) {
    live.push(new Array<number>(FILLER_LENGTH).fill(0.5));
    if (live.length > LIVE_FILLERS) live = [];
  }
}

function youngGenerationMb(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return (space?.space_size ?? Number.POSITIVE_INFINITY) / BYTES_PER_MB;
}

function stopGrowth(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

function isSemiSpaceSet(): boolean {
  return [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((text) => /semi[-_]space/.test(text));
}

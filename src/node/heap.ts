import { setFlagsFromString } from 'node:v8';

/** How much larger than what lives in it the old generation may grow between two full collections, in percent. */
const GROWING_PERCENT = 300;
/** By what the young generation is multiplied when much of it survives. */
const YOUNG_GROWTH = 1;

/**
 * Sets the garbage collector of this process, worker threads included, for audio over many sockets. Call it once, before
 * the node is made.
 *
 * What is allocated for a packet lives for microseconds. V8 counts the buffers among it to the old generation, and with
 * its usual growth a node of 1,000 calls comes to a full collection, which stops it for some 20 ms in steps, more than
 * once a second; with more room between two of them there is hardly ever one. It costs memory only where the old
 * generation really grows. The young generation, on the other hand, grows when a thousand calls are opened, to some
 * 30 MB, and never shrinks: where nearly nothing survives, a small one is collected as cheaply, and stays in the cache.
 */
export function tuneHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  setFlagsFromString(`--semi-space-growth-factor=${YOUNG_GROWTH}`);
}

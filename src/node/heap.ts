import { setFlagsFromString } from 'node:v8';

/** How much larger than what lives in it the old generation may grow between two full collections, in percent. */
const GROWING_PERCENT = 300;

/**
 * Sets the garbage collector of this process for audio over many sockets. Node makes a buffer for each read of a socket.
 * They live for microseconds, and a young collection of 2 ms frees thousands of them; but V8 counts them to the old
 * generation, and with its usual growth a node of 1,000 calls comes to a full collection, which stops it for some 20 ms
 * in steps, more than once a second. With more room between two of them there is hardly ever one. It costs memory only
 * where the old generation really grows.
 */
export function tuneHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
}

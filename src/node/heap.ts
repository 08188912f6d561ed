import { setFlagsFromString } from 'node:v8';

/**
 * What to start Node with for a node of many streams, as the commands are: the young generation of each thread gets no
 * larger than twice these 4 MB. By default it grows to 32 MB while a thousand streams open, and never shrinks; but of
 * what a packet needs, hardly anything survives, so that a small one is collected as cheaply. V8 takes this at the
 * start of a process only.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4'];

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

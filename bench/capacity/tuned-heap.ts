import { tuneHeap } from '../../src/node/heap.js';

/** As the commands that run a node have it; the baselines get it as well. */
tuneHeap();

import type { RecorderAgent } from '../engine/engine.js';
import type { RecorderData } from '../record/entry.js';
import { type RecorderCounters, RecorderStatus, slabBytes } from '../record/slab.js';
import { LAYOUT_VERSION } from '../ring/layout.js';
import { workerUrl } from '../worker/location.js';

/** The recorder's thread for an engine, and a look at how it does. */
export class NodeRecorder implements RecorderAgent {
  readonly entry = workerUrl('record/entry');
  readonly #outDir: string;
  readonly #slab: SharedArrayBuffer;
  readonly #status: RecorderStatus;

  constructor(outDir: string, maxStreams: number) {
    this.#outDir = outDir;
    this.#slab = new SharedArrayBuffer(slabBytes(maxStreams));
    this.#status = new RecorderStatus(this.#slab);
  }

  data: RecorderAgent['data'] = ({ recorderControl, shards }) =>
    ({
      layoutVersion: LAYOUT_VERSION,
      control: recorderControl,
      rings: shards.flatMap(({ recorder }) => (recorder === undefined ? [] : [recorder])),
      outDir: this.#outDir,
      slab: this.#slab,
    }) satisfies RecorderData;

  counters(): RecorderCounters {
    return this.#status.counters();
  }

  /** What went wrong since the last call, in a sentence; undefined when nothing did. */
  takeReport(): string | undefined {
    return this.#status.takeReport();
  }
}

import type { RecorderAgent } from '../../engine/options.js';
import { LAYOUT_VERSION } from '../../ring/layout.js';
import { RingGauge } from '../../ring/ring.js';
import { workerUrl } from '../../shard/location.js';
import type { RecorderData } from './entry.js';
import { type RecorderCounters, RecorderStatus, recorderMemoryBytes } from './recorder-memory.js';

/** The recorder itself looks at its rings every 100 ms when it has little to do. */
const LOOK_MS = 20;

/** The recorder's thread for an engine, and a look at how it does. */
export class NodeRecorder implements RecorderAgent {
  readonly entry = workerUrl('sinks/recorder/entry');
  readonly #outDir: string;
  #status: RecorderStatus | undefined;
  #rings: readonly RingGauge[] = [];
  readonly #waiting: { readonly tails: readonly number[]; readonly resolve: () => void }[] = [];
  #looking: NodeJS.Timeout | undefined;

  constructor(outDir: string) {
    this.#outDir = outDir;
  }

  data: RecorderAgent['data'] = ({ recorderControl, shards, streamTable }) => {
    const memory = new SharedArrayBuffer(recorderMemoryBytes(streamTable.capacity));
    this.#status = new RecorderStatus(memory);
    const rings = shards.flatMap(({ recorder }) => (recorder === undefined ? [] : [recorder]));
    this.#rings = rings.map((place) => new RingGauge(place));
    return {
      layoutVersion: LAYOUT_VERSION,
      control: recorderControl,
      rings,
      outDir: this.#outDir,
      memory,
    } satisfies RecorderData;
  };

  /** Resolves when everything that the shards have handed to the recorder by now lies in its files, or cannot. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ tails: this.#rings.map((ring) => ring.tail), resolve });
      this.#looking ??= setInterval(() => this.#look(), LOOK_MS).unref();
    });
  }

  // Tails only grow, so whoever has waited longest is the first to be done.
  #look(): void {
    const waiting = this.#waiting;
    const first = waiting.findIndex(({ tails }) => !this.#rings.every((ring, i) => ring.hasReached(tails[i] ?? 0)));
    for (const { resolve } of waiting.splice(0, first < 0 ? waiting.length : first)) resolve();
    if (waiting.length > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** All zero before the engine has been made. */
  counters(): RecorderCounters {
    this.#status ??= new RecorderStatus(new SharedArrayBuffer(recorderMemoryBytes(0)));
    return this.#status.counters();
  }

  /** What went wrong since the last call, in a sentence; undefined when nothing did. */
  takeReport(): string | undefined {
    return this.#status?.takeReport();
  }
}

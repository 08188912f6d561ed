import type { RetentionSettings } from '../../core/retention/policy.js';
import type { RecorderAgent } from '../../engine/options.js';
import type { EngineMemory } from '../../engine/threads/memory.js';
import { LAYOUT_VERSION } from '../../ring/layout.js';
import { RingGauge } from '../../ring/ring.js';
import { workerUrl } from '../../shard/location.js';
import { SHARD_COUNTERS } from '../../shard/shard-data.js';
import type { ArchivePlace, RecordingResult } from '../sink.js';
import { encryptionKeys } from './encryption/encryption.js';
import type { RecorderData } from './entry.js';
import type { FileAccess } from './files/folder.js';
import type { AudioFormat } from './files/manifest.js';
import { FLAT_TEMPLATE } from './folders/directory-template.js';
import { RecorderLag } from './recorder-gauges.js';
import { type RecorderCounters, RecorderStatus, recorderMemoryBytes, writeBufferBytesFor } from './recorder-memory.js';
import { RecordingResults, recordingResultsBytes } from './recording-results.js';

/** The recorder itself looks at its rings every 100 ms when it has little to do. */
const POLL_MS = 20;
/** Parts of a ring in use at which the disk counts as slow, and as recovered. */
const SLOW_PART = 0.5;
const RECOVERED_PART = 0.1;

export interface RecorderThreadOptions {
  readonly directory: string;
  /** What recordings are stored as; `wav` by default. */
  readonly format?: AudioFormat;
  /** Where in the directory each recording goes; `{interactionId}` by default. */
  readonly directoryTemplate?: string;
  readonly access: FileAccess;
  /** Those who can open the recordings; none when they are not encrypted. */
  readonly encryptTo?: readonly string[];
  /** How long recordings are kept; for ever when absent. */
  readonly retention?: RetentionSettings | undefined;
  /** Space for audio that waits for a slow disk, in the rings of all shards together. */
  readonly bufferBytes: number;
}

/** The recorder's thread for an engine: what it needs to start, and how it does. */
export class RecorderThread implements RecorderAgent {
  readonly entry = workerUrl('sinks/recorder/entry');
  readonly bufferBytes: number;
  readonly storesPackets: boolean;
  readonly #options: RecorderThreadOptions;
  #status: RecorderStatus | undefined;
  #results: RecordingResults | undefined;
  #rings: readonly RingGauge[] = [];
  #engine: EngineMemory | undefined;
  readonly #waiting: { readonly tails: readonly number[]; readonly resolve: () => void }[] = [];
  #polling: NodeJS.Timeout | undefined;
  readonly #lag = new RecorderLag();
  #isSlow = false;
  #refused = 0;
  #isArchived = false;
  #usesNative = true;

  constructor(options: RecorderThreadOptions) {
    this.#options = options;
    this.bufferBytes = options.bufferBytes;
    this.storesPackets = options.format === 'opus';
  }

  archive(): ArchivePlace {
    this.#isArchived = true;
    const { directory, access, retention } = this.#options;
    return { directory, fileMode: access.fileMode, retention };
  }

  get retention(): RetentionSettings | undefined {
    return this.#options.retention;
  }

  /** Whether calls that begin from now on are not recorded. */
  refuseNew(isRefusing: boolean): void {
    this.#status?.refuseNew(isRefusing);
  }

  get isArchived(): boolean {
    return this.#isArchived;
  }

  /** Whether the native addon may be used, once the engine has been made. */
  get usesNative(): boolean {
    return this.#usesNative;
  }

  data: RecorderAgent['data'] = (engine, native) => {
    this.#usesNative = native !== 'off';
    const { recorderControl, shards, streamTable } = engine;
    const { encryptTo = [] } = this.#options;
    const writeBufferBytes = writeBufferBytesFor(streamTable.capacity);
    const memory = new SharedArrayBuffer(recorderMemoryBytes(streamTable.capacity, writeBufferBytes));
    this.#engine = engine;
    const results = new SharedArrayBuffer(recordingResultsBytes(streamTable.capacity));
    this.#results = new RecordingResults(results);
    this.#status = new RecorderStatus(memory);
    const rings = shards.flatMap(({ recorder }) => (recorder === undefined ? [] : [recorder]));
    this.#rings = rings.map((place) => new RingGauge(place));
    return {
      layoutVersion: LAYOUT_VERSION,
      control: recorderControl,
      rings,
      outDir: this.#options.directory,
      format: this.#options.format ?? 'wav',
      directoryTemplate: this.#options.directoryTemplate ?? FLAT_TEMPLATE,
      access: this.#options.access,
      isArchived: this.#isArchived,
      usesNative: this.#usesNative,
      memory,
      results,
      writeBufferBytes,
      ...(encryptTo.length > 0 && {
        encryption: { recipients: encryptTo, keys: encryptionKeys(streamTable.capacity), native: native !== 'off' },
      }),
    } satisfies RecorderData;
  };

  /** Resolves when everything that the shards have given to the recorder by now is in its files, or cannot be. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ tails: this.#rings.map((ring) => ring.tail), resolve });
      this.#polling ??= setInterval(() => this.#poll(), POLL_MS).unref();
    });
  }

  // Tails only grow, so those who have waited longest are done first.
  #poll(): void {
    const waiting = this.#waiting;
    const first = waiting.findIndex(({ tails }) => !this.#rings.every((ring, i) => ring.hasReached(tails[i] ?? 0)));
    for (const { resolve } of waiting.splice(0, first < 0 ? waiting.length : first)) resolve();
    if (waiting.length > 0) return;
    clearInterval(this.#polling);
    this.#polling = undefined;
  }

  /** All zero before the engine has been made. */
  counters(): RecorderCounters {
    this.#status ??= new RecorderStatus(new SharedArrayBuffer(recorderMemoryBytes(0)));
    return this.#status.counters();
  }

  /** What became of the recordings whose streams have ended since the last call. */
  takeResults(): readonly RecordingResult[] {
    return this.#results?.take() ?? [];
  }

  /** Frames and edges that the rings had no space for. */
  get refused(): number {
    if (this.#engine === undefined) return 0;
    const words = new Int32Array(this.#engine.memory);
    return this.#engine.shards.reduce(
      (sum, { counters }) => sum + Atomics.load(words, (counters.offset + SHARD_COUNTERS.RECORDER_REFUSED) >> 2),
      0,
    );
  }

  /** To be called about twice a second. */
  markLag(nowUs: number): void {
    this.#lag.mark(this.#rings, nowUs);
  }

  /** How long what is next to be written has been waiting, in seconds; exact to half a second. */
  lagSeconds(nowUs: number): number {
    return this.#lag.seconds(this.#rings, nowUs);
  }

  /** What went wrong since the last call, a sentence each. */
  takeFaults(): string[] {
    const faults: string[] = [];
    const report = this.#status?.takeReport();
    if (report !== undefined) faults.push(report);
    const { refused } = this;
    if (refused > 0 && this.#refused === 0) {
      faults.push(
        `The disk under ${this.#options.directory} is too slow for the recordings: audio is being lost. Their manifests ` +
          'show where; use a faster disk, record fewer calls at a time, or set a larger recording buffer.',
      );
    }
    this.#refused = refused;
    return faults;
  }

  /** Whether the disk has become slow, or fast enough again, since the last call; undefined when nothing changed. */
  takeSlowness(): boolean | undefined {
    const used = Math.max(0, ...this.#rings.map((ring) => ring.usedBytes() / ring.capacity));
    const isSlow = used > (this.#isSlow ? RECOVERED_PART : SLOW_PART);
    if (isSlow === this.#isSlow) return undefined;
    this.#isSlow = isSlow;
    return isSlow;
  }
}

import { type FSWatcher, lstatSync, statSync, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AttributeCondition, meets } from '../../core/attributes/attribute-rule.js';
import type { Clock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { US_PER_MS } from '../../core/units.js';
import { folderName, newestNumber, numberedName } from '../../sinks/recorder/files/folder.js';
import {
  appendFinished,
  type FinishedRow,
  mayWriteIndex,
  readFinished,
  replaceFinished,
} from '../../sinks/recorder/folders/finished-index.js';
import { isRecordingPath, recordingFolders } from '../../sinks/recorder/folders/recording-folders.js';
import { isChanging, type RecordingRow, type RecordingState, readRecording } from './recording.js';

export interface RecordingQuery {
  /** Most recordings that are returned. */
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** Recordings that began at or after this, and before `toMs`; wall clock in milliseconds. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly interactionId?: string | undefined;
  readonly state?: RecordingState | undefined;
  /** All of these hold for its attributes. */
  readonly attributes?: AttributeCondition | undefined;
}

/** Recordings, the newest first. */
export interface RecordingPage {
  readonly items: readonly RecordingRow[];
  /** That match, on all pages. */
  readonly total: number;
  readonly nextCursor: string | null;
  /** False while the folder is still being read: there may be more. */
  readonly isComplete: boolean;
}

export interface RecordingIndexOptions {
  /**
   * Share of the time that reading the folder may take; default 0.5. The rest of the machine has calls to capture.
   */
  readonly share?: number;
  /** How long a query waits for the first reading of the folder, in milliseconds; default 2,000. */
  readonly firstWaitMs?: number;
  /** The only recordings to read, by name; default all. */
  readonly only?: readonly string[];
}

/** Reads folders for so long before other work has its turn. */
const SLICE_US = 10 * US_PER_MS;
/** How often all recordings that are being written are looked at again: more seldom the more there are. */
const CHANGING_US = 1_000 * US_PER_MS;
const CHANGING_EACH_US = 2 * US_PER_MS;
/** How often the folder is read as a whole for what the watch has not reported, such as on a network drive. */
const WHOLE_US = 15_000 * US_PER_MS;
/** A large folder takes longer, and is listed as far as it has been read. */
const FIRST_WAIT_MS = 2_000;
/** Recordings of one interaction that are looked up by its name. */
const MAX_OF_INTERACTION = 1_000;
/** Rows that are added to the index of finished recordings at a time, and the lines that it may have too many. */
const INDEX_SHARE = 1_000;

/** What is known of a recording without reading its manifest, or all of it. */
type ListedRow = Pick<RecordingRow, 'id' | 'interactionId' | 'state' | 'startedAtMs' | 'attributes'>;

/**
 * The recordings in a folder, however many: each finished one is read once, those being written when they are asked for.
 * New ones are found by watching the folder, so that a query costs no more than what has changed. Reads with blocking
 * calls in short slices: it belongs into a thread of its own, or into a command.
 */
export class RecordingIndex {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #restShare: number;
  readonly #firstWaitMs: number;
  readonly #only: readonly string[] | undefined;
  readonly #rows = new Map<string, ListedRow>();
  readonly #changing = new Set<string>();
  /** Names that the watch has reported. */
  readonly #reported = new Set<string>();
  #sorted: ListedRow[] | undefined;
  /** Recordings lie in folders of a layout, which are not watched. */
  #hasLayout = false;
  #watcher: FSWatcher | undefined;
  #whole: Promise<void> | undefined;
  #wholeUs = Number.NEGATIVE_INFINITY;
  #wholeMtimeMs = Number.NaN;
  #changingUs = Number.NEGATIVE_INFINITY;
  #isComplete = false;
  #isClosed = false;

  constructor(directory: string, clock: Clock, options: RecordingIndexOptions = {}) {
    const { share = 0.5, firstWaitMs = FIRST_WAIT_MS, only } = options;
    this.#directory = directory;
    this.#clock = clock;
    this.#restShare = (1 - share) / share;
    this.#firstWaitMs = firstWaitMs;
    this.#only = only;
  }

  /**
   * One page. @throws TrunklineError FILE_FAILED when the folder cannot be read; CONFIG_INVALID for a cursor that is none.
   */
  async query(query: RecordingQuery): Promise<RecordingPage> {
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    await this.#refresh();
    if (query.interactionId !== undefined) this.#look(foldersOf(this.#directory, query.interactionId));
    const items: ListedRow[] = [];
    let total = 0;
    let isMore = false;
    for (const row of this.#inOrder()) {
      if (!matches(row, query)) continue;
      total++;
      if (after !== undefined && compare(row, after) <= 0) continue;
      if (items.length < query.limit) items.push(row);
      else isMore = true;
    }
    const last = items.at(-1);
    const fresh = items.flatMap((row) => (isWhole(row) && !isChanging(row) ? row : (this.get(row.id) ?? [])));
    const nextCursor = isMore && last !== undefined ? cursorOf(last) : null;
    return { items: fresh, total, nextCursor, isComplete: this.#isComplete };
  }

  /** The recording of that name, as it is now. */
  get(id: string): RecordingRow | undefined {
    this.#look([id]);
    const row = this.#rows.get(id);
    return row !== undefined && isWhole(row) ? row : undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
  }

  async #refresh(): Promise<void> {
    const nowUs = this.#clock.nowUs();
    const isDue = nowUs - this.#wholeUs >= WHOLE_US && (this.#hasLayout || this.#mtimeMs() !== this.#wholeMtimeMs);
    if (this.#whole === undefined && (!this.#isComplete || isDue)) {
      this.#whole = this.#readWhole().finally(() => {
        this.#whole = undefined;
      });
      // A query that has waited long enough does not see it fail.
      this.#whole.catch(() => {});
    }
    if (this.#whole !== undefined && !this.#isComplete) await this.#firstReading(this.#whole);
    const reported = [...this.#reported];
    this.#reported.clear();
    this.#look(reported);
    if (nowUs - this.#changingUs < Math.max(CHANGING_US, this.#changing.size * CHANGING_EACH_US)) return;
    this.#changingUs = nowUs;
    await this.#inSlices([...this.#changing], (id) => this.#look([id]));
  }

  async #firstReading(whole: Promise<void>): Promise<void> {
    if (this.#firstWaitMs === Number.POSITIVE_INFINITY) await whole;
    else await Promise.race([whole, sleep(this.#firstWaitMs)]);
  }

  async #readWhole(): Promise<void> {
    if (this.#only !== undefined) {
      this.#look(this.#only);
      this.#isComplete = true;
      return;
    }
    this.#watch();
    const mtimeMs = this.#mtimeMs();
    const gone = new Set(this.#rows.keys());
    const { rows: indexed, lines } = readFinished(this.#directory);
    const unindexed: FinishedRow[] = [];
    await this.#inSlices(this.#folders(indexed), (id) => {
      gone.delete(id);
      if (id.includes('/')) this.#hasLayout = true;
      // Finished recordings do not change.
      if (this.#rows.has(id)) return;
      const row = indexed.get(id);
      if (row === undefined) this.#look([id]);
      else this.#keep(id, row);
      const read = this.#rows.get(id);
      if (row === undefined && read !== undefined && isWhole(read) && !isChanging(read))
        unindexed.push(finishedOf(read));
      if (unindexed.length >= INDEX_SHARE) this.#index(unindexed.splice(0));
    });
    if (this.#isClosed) return;
    this.#index(unindexed);
    this.#shortenIndex(indexed, lines);
    this.#look(gone);
    this.#wholeMtimeMs = mtimeMs;
    this.#wholeUs = this.#clock.nowUs();
    this.#isComplete = true;
  }

  async #inSlices(ids: Iterable<string>, act: (id: string) => void): Promise<void> {
    let sinceUs = this.#clock.nowUs();
    for (const id of ids) {
      if (this.#isClosed) return;
      act(id);
      const workedUs = this.#clock.nowUs() - sinceUs;
      if (workedUs < SLICE_US) continue;
      await sleep((workedUs * this.#restShare) / US_PER_MS);
      sinceUs = this.#clock.nowUs();
    }
  }

  /** Reads recordings, and forgets those that are gone. */
  #look(ids: Iterable<string>): void {
    for (const id of ids) {
      const row = readRecording(this.#directory, id);
      if (row !== undefined || this.#rows.has(id)) this.#keep(id, row);
    }
  }

  #keep(id: string, row: ListedRow | undefined): void {
    this.#sorted = undefined;
    this.#changing.delete(id);
    if (row === undefined) this.#rows.delete(id);
    else {
      this.#rows.set(id, row);
      if (isChanging(row)) this.#changing.add(id);
    }
  }

  /** Adds what the index of finished recordings does not have. What cannot be written is read again by the next search. */
  #index(rows: readonly FinishedRow[]): void {
    try {
      if (mayWriteIndex(this.#directory)) appendFinished(this.#directory, rows, this.#fileMode());
    } catch {
      // A disk that is full or not ours to write.
    }
  }

  /** Writes the index again when much of it is of recordings that are gone, or said twice. */
  #shortenIndex(indexed: ReadonlyMap<string, FinishedRow>, lines: number): void {
    const kept = [...indexed.values()].filter(({ id }) => this.#rows.has(id));
    if (lines - kept.length < Math.max(INDEX_SHARE, kept.length)) return;
    try {
      if (mayWriteIndex(this.#directory)) replaceFinished(this.#directory, kept, this.#fileMode());
    } catch {
      // As above.
    }
  }

  /** Who may enter the folder may read the index, as with recordings. */
  #fileMode(): number {
    return (statSync(this.#directory).mode & 0o444 & 0o644) | 0o600;
  }

  /** @throws TrunklineError FILE_FAILED when the folder cannot be read. */
  *#folders(indexed: ReadonlyMap<string, FinishedRow>): Generator<string> {
    try {
      yield* recordingFolders(this.#directory, { isKnown: (id) => this.#rows.has(id) || indexed.has(id) });
    } catch (error) {
      const message = `The recordings in ${this.#directory} cannot be read: ${messageOf(error)}`;
      throw new TrunklineError('FILE_FAILED', message, { cause: error });
    }
  }

  #inOrder(): readonly ListedRow[] {
    this.#sorted ??= [...this.#rows.values()].sort(compare);
    return this.#sorted;
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      this.#watcher = watch(this.#directory, { persistent: false }, (_event, name) => {
        if (name !== null && isRecordingPath(name)) this.#reported.add(name);
      });
      this.#watcher.on('error', () => {
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch {
      // The system has no watch left to give; the whole folder is read instead, when its time of change says so.
    }
  }

  #mtimeMs(): number {
    return lstatSync(this.#directory, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN;
  }
}

/** The folders that recordings of an interaction may have. */
export function foldersOf(directory: string, interactionId: string): string[] {
  const name = folderName(interactionId);
  const newest = newestNumber(directory, name);
  const oldest = Math.max(1, newest - MAX_OF_INTERACTION + 1);
  return Array.from({ length: newest - oldest + 1 }, (_, n) => numberedName(name, oldest + n));
}

function isWhole(row: ListedRow): row is RecordingRow {
  return 'codec' in row;
}

function finishedOf(row: RecordingRow): FinishedRow {
  const { id, interactionId, state, startedAtMs, endedAtMs, attributes } = row;
  const finished = state === 'incomplete' || state === 'empty' ? state : 'recorded';
  return { id, interactionId, state: finished, startedAtMs, endedAtMs: endedAtMs ?? startedAtMs, attributes };
}

function matches(row: ListedRow, { fromMs, toMs, interactionId, state, attributes = [] }: RecordingQuery): boolean {
  if (!meets(row.attributes, attributes)) return false;
  if (state !== undefined && row.state !== state) return false;
  if (fromMs !== undefined && row.startedAtMs < fromMs) return false;
  if (toMs !== undefined && row.startedAtMs >= toMs) return false;
  return interactionId === undefined || row.interactionId.toLowerCase() === interactionId.toLowerCase();
}

type Place = Pick<RecordingRow, 'startedAtMs' | 'id'>;

/** The newest first. */
function compare(a: Place, b: Place): number {
  if (a.startedAtMs !== b.startedAtMs) return b.startedAtMs - a.startedAtMs;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function cursorOf({ startedAtMs, id }: Place): string {
  return Buffer.from(JSON.stringify([startedAtMs, id])).toString('base64url');
}

function parseCursor(cursor: string): Place {
  try {
    const [startedAtMs, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    if (typeof startedAtMs === 'number' && typeof id === 'string') return { startedAtMs, id };
  } catch {
    // Not JSON: as wrong as one of another form.
  }
  throw new TrunklineError('CONFIG_INVALID', 'The cursor is not one that an earlier page has given.');
}

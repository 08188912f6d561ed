import type { RecordingCause, RecordingResult } from '../sink.js';

/**
 * What became of each stream's recording, on its way from the recorder's thread to the main thread: a ring of entries in
 * shared memory, which survives the death of the recorder's thread.
 *
 *     0       results written, i32, by the recorder
 *     64      results read, i32, by the main thread
 *     128     entries of 384 bytes
 *
 * One entry:
 *
 *     +0      f64  generation of the stream (ring/layout.ts)
 *     +8      f64  length of the recording in milliseconds
 *     +16     f64  milliseconds of audio that could not be written, all channels added up
 *     +24     i32  outcome, index into OUTCOMES
 *     +28     i32  cause, index into CAUSES, or −1
 *     +32     i32  number of the audio file in the folder, from 1
 *     +36     i32  length of the folder's name
 *     +40     folder name, UTF-8, at most 512 bytes
 *     +552    i32  length of the file's name
 *     +556    name of the audio file, UTF-8, at most 64 bytes
 */
const HEADER = { WRITTEN: 0, READ: 64, BYTES: 128 } as const;
const ENTRY = {
  GENERATION: 0,
  DURATION_MS: 8,
  NOT_RECORDED_MS: 16,
  OUTCOME: 24,
  CAUSE: 28,
  SEGMENT: 32,
  FOLDER_LENGTH: 36,
  FOLDER: 40,
  FILE_LENGTH: 552,
  FILE: 556,
  BYTES: 640,
} as const;
const MAX_FOLDER_BYTES = 512;
const MAX_FILE_BYTES = 64;

const OUTCOMES = ['recorded', 'empty', 'incomplete', 'failed'] as const satisfies readonly RecordingResult['outcome'][];
const CAUSES = ['notWritten', 'interrupted', 'refused'] as const satisfies readonly RecordingCause[];

/** Size of a ring that has space for the results of `recordings` recordings that all end at once. */
export function recordingResultsBytes(recordings: number): number {
  return HEADER.BYTES + 2 ** Math.ceil(Math.log2(Math.max(recordings, 1))) * ENTRY.BYTES;
}

/** Both sides of the ring; each thread makes its own over the same memory. */
export class RecordingResults {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Buffer;
  readonly #capacity: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
    this.#bytes = Buffer.from(memory);
    this.#capacity = (memory.byteLength - HEADER.BYTES) / ENTRY.BYTES;
  }

  /** The recorder's side. False while the ring is full: the main thread has not looked for a while. */
  post(result: RecordingResult): boolean {
    const written = Atomics.load(this.#words, HEADER.WRITTEN >> 2);
    if (((written - Atomics.load(this.#words, HEADER.READ >> 2)) | 0) >= this.#capacity) return false;
    const at = this.#entry(written);
    const { generation, outcome, cause, durationMs, notRecordedMs, segment, folder = '', file = '' } = result;
    this.#doubles[(at + ENTRY.GENERATION) >> 3] = generation;
    this.#doubles[(at + ENTRY.DURATION_MS) >> 3] = durationMs;
    this.#doubles[(at + ENTRY.NOT_RECORDED_MS) >> 3] = notRecordedMs;
    this.#words[(at + ENTRY.OUTCOME) >> 2] = OUTCOMES.indexOf(outcome);
    this.#words[(at + ENTRY.CAUSE) >> 2] = cause === undefined ? -1 : CAUSES.indexOf(cause);
    this.#words[(at + ENTRY.SEGMENT) >> 2] = segment;
    const length = this.#bytes.write(folder, at + ENTRY.FOLDER, MAX_FOLDER_BYTES, 'utf8');
    this.#words[(at + ENTRY.FOLDER_LENGTH) >> 2] = length;
    this.#words[(at + ENTRY.FILE_LENGTH) >> 2] = this.#bytes.write(file, at + ENTRY.FILE, MAX_FILE_BYTES, 'utf8');
    Atomics.store(this.#words, HEADER.WRITTEN >> 2, (written + 1) | 0);
    return true;
  }

  /** The main thread's side: the results since the last call, in their order. */
  take(): RecordingResult[] {
    const results: RecordingResult[] = [];
    const written = Atomics.load(this.#words, HEADER.WRITTEN >> 2);
    let read = Atomics.load(this.#words, HEADER.READ >> 2);
    for (; read !== written; read = (read + 1) | 0) results.push(this.#read(this.#entry(read)));
    Atomics.store(this.#words, HEADER.READ >> 2, read);
    return results;
  }

  #read(at: number): RecordingResult {
    const cause = CAUSES[this.#words[(at + ENTRY.CAUSE) >> 2] as number];
    const folder = this.#text(at, ENTRY.FOLDER_LENGTH, ENTRY.FOLDER);
    const file = this.#text(at, ENTRY.FILE_LENGTH, ENTRY.FILE);
    return {
      generation: this.#doubles[(at + ENTRY.GENERATION) >> 3] as number,
      outcome: OUTCOMES[this.#words[(at + ENTRY.OUTCOME) >> 2] as number] ?? 'failed',
      ...(cause === undefined ? {} : { cause }),
      durationMs: this.#doubles[(at + ENTRY.DURATION_MS) >> 3] as number,
      notRecordedMs: this.#doubles[(at + ENTRY.NOT_RECORDED_MS) >> 3] as number,
      segment: this.#words[(at + ENTRY.SEGMENT) >> 2] as number,
      ...(folder === '' ? {} : { folder }),
      ...(file === '' ? {} : { file }),
    };
  }

  #text(at: number, lengthField: number, field: number): string {
    const length = this.#words[(at + lengthField) >> 2] as number;
    return this.#bytes.toString('utf8', at + field, at + field + length);
  }

  /** The capacity is a power of two, so that the counters may wrap around. */
  #entry(count: number): number {
    return HEADER.BYTES + (count & (this.#capacity - 1)) * ENTRY.BYTES;
  }
}

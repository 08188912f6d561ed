import { TrunklineError } from '../../core/errors.js';
import type { Channel } from '../../core/events.js';
import { FLAG } from '../../ring/layout.js';

/**
 * The recorder's own shared memory: everything that a new recorder thread needs to continue the work of a dead one.
 *
 *     0       version, recordings, buffer size, whether new recordings are refused   i32
 *     128     counters                           f64 each, see RECORDER_COUNTERS
 *     512     report: sequence i32, length i32, UTF-8 text
 *     4096    one line of 64 bytes a recording: what each frame needs, in half a line a channel, see WRITE_BUFFER
 *     ...     one slot of 7424 bytes a recording
 *     ...     two write buffers a recording, one a channel
 *
 * The lines lie close together and apart from their slots, because addresses that are 4096 bytes apart share the same
 * few places of a processor's cache; for the same reason the buffers lie a few cache lines further apart than they are
 * long. One slot:
 *
 *     +0      state, ring, stream, lengths and counts, i32 each
 *     +128    folder within the output folder, UTF-8; its length is 0 until the folder has been made
 *     +640    StreamInfo as it came last, JSON
 *     +4992   journal: notes of 12 bytes {note u8, channel u8, start u32 at +4, length u32 at +8}
 *
 * A write buffer holds the newest samples of one channel that are not yet in the file, without gaps: PCM16 of the
 * channel alone, from WRITE_BUFFER.START of the stream's time line on. Each slot has its buffers at a fixed place, so
 * that no list of them has to survive a crash; a slot that was never used costs address space only.
 */
export const RECORDER_MEMORY_VERSION = 7;

const HEADER = {
  VERSION: 0,
  RECORDINGS: 4,
  BUFFER_BYTES: 8,
  REFUSES_NEW: 12,
  COUNTERS: 128,
  REPORT: 512,
  BYTES: 4096,
} as const;
const REPORT_TEXT_BYTES = HEADER.BYTES - HEADER.REPORT - 8;

export const SLOT = {
  STATE: 0,
  RING: 4,
  STREAM: 8,
  FOLDER_LENGTH: 12,
  INFO_LENGTH: 16,
  NOTES: 20,
  /** Late packets whose audio stands in its place. */
  REPAIRED: 24,
  FRAMES_LOST: 28,
  DECODE_ERRORS: 32,
  /** 1 once a write has failed. */
  FAULTED: 36,
  /** 1 once samples were dropped. */
  INCOMPLETE: 40,
  /** Number of the audio file in the folder, from 1; valid once the folder has been made. */
  SEGMENT: 44,
  /** f64: generation of the stream, see ring/layout.ts. */
  GENERATION: 48,
  /** Lost packets that in-band FEC brought back. */
  FEC: 60,
  /**
   * Where the files of Opus packets stand, of each channel: bytes f64, end of the audio f64, bytes of the last page, number
   * of the next one, first byte of the last packet, i32 each.
   */
  OPUS: 64,
  OPUS_BYTES: 32,
  FOLDER: 128,
  FOLDER_BYTES: 512,
  INFO: 640,
  INFO_BYTES: 4352,
  JOURNAL: 4992,
  BYTES: 7424,
} as const;

export const SLOT_STATE = {
  FREE: 0,
  OPEN: 1,
  /** Its stream is over, but the disk has refused its end so far. */
  ENDING: 2,
} as const;

/** Of one channel, 32 bytes each; positions are samples, i32. */
export const WRITE_BUFFER = {
  /** Position of the buffer's first sample. */
  START: 0,
  /** End of the channel so far. */
  END: 4,
  /** Samples in the buffer. */
  COUNT: 8,
  /** Where the buffer must end: its own capacity or that of the file is used up. */
  LIMIT: 12,
  /** APPEND_ONLY with the flags of a frame that only adds samples (buffers/append-only-frames.ts); 0 while no frame does. */
  APPEND_ONLY: 16,
  /** Frames so far. */
  FRAMES: 20,
  /** f64: since when the buffer may have had its first sample, microseconds of core/clock. */
  SINCE_US: 24,
  BYTES: 32,
} as const;
/** More than any flag of a record. */
export const APPEND_ONLY = 256;
const LINE_BYTES = 2 * WRITE_BUFFER.BYTES;

const NOTE_BYTES = 12;
export const JOURNAL_NOTES = Math.floor((SLOT.BYTES - SLOT.JOURNAL) / NOTE_BYTES);

/** Each only grows. */
export const RECORDER_COUNTERS = [
  'recordingsOpened',
  'recordingsFinished',
  /** Recordings with at least one failed write. */
  'recordingsFaulted',
  /** Streams that got no recording: no slot was free, or their OPEN record was invalid. */
  'recordingsRefused',
  'framesRecorded',
  'bytesWritten',
  /** Failed calls to open, write or rename. */
  'writeErrors',
  /** Samples dropped because they could not be written, or lie beyond what a WAV file can hold. */
  'samplesDropped',
  /** Records of streams that have no recording. */
  'recordsOrphaned',
  /** Records that cannot be valid. */
  'recordsInvalid',
  /** Recordings that a new recorder thread took over from a dead one. */
  'recordingsResumed',
  /** Finished recordings whose manifest says that a part of their audio is missing. */
  'recordingsIncomplete',
  /** Late packets that came to the recorder and are not in the file: their place has other audio, or is paused. */
  'latePacketsLeftOut',
  /** Finished recordings that are WAV although they were to be FLAC: the disk refused it, or there was no time. */
  'recordingsNotConverted',
] as const;

export type RecorderCounter = (typeof RECORDER_COUNTERS)[number];
export type RecorderCounters = Record<RecorderCounter, number>;

const COUNTER_INDEX: Readonly<Record<string, number>> = Object.fromEntries(
  RECORDER_COUNTERS.map((name, i) => [name, i]),
);

/** What a stalled disk may leave waiting of one channel: 8 s at 8 kHz, 1.4 s at 48 kHz. */
export const DEFAULT_WRITE_BUFFER_BYTES = 131_072;
/** A buffer with so much is written without waiting for the flush interval; only a slow disk lets it grow further. */
export const FLUSH_BYTES = 16_384;
const BUFFER_DISTANCE_BYTES = 320;
/** Offsets are 32 bits wide, and signed. */
const MAX_MEMORY_BYTES = 2 ** 31 - 1;

/** Size of the memory for so many recordings at a time. Pages that are never touched cost no memory. */
export function recorderMemoryBytes(recordings: number, writeBufferBytes: number = DEFAULT_WRITE_BUFFER_BYTES): number {
  return HEADER.BYTES + recordings * recordingBytes(writeBufferBytes);
}

/** The default, or what so many recordings can have. */
export function writeBufferBytesFor(recordings: number): number {
  const most = (MAX_MEMORY_BYTES - HEADER.BYTES) / recordings - recordingBytes(0);
  return Math.min(DEFAULT_WRITE_BUFFER_BYTES, Math.floor(most / 2 / 4096) * 4096);
}

function recordingBytes(writeBufferBytes: number): number {
  return LINE_BYTES + SLOT.BYTES + 2 * (writeBufferBytes + BUFFER_DISTANCE_BYTES);
}

/** Whose slot it is. */
export interface SlotPlace {
  readonly index: number;
  readonly ring: number;
  readonly stream: number;
  readonly generation: number;
}

/** The recorder's side of its memory. Fields are read and written at byte offsets, through aligned typed arrays. */
export class RecorderMemory {
  readonly recordings: number;
  readonly writeBufferBytes: number;
  readonly bytes: Buffer;
  readonly samples: Int16Array;
  readonly quads: BigInt64Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly #encoder = new TextEncoder();

  /** @throws TrunklineError CONFIG_INVALID when the memory was laid out otherwise than asked for. */
  constructor(memory: SharedArrayBuffer, writeBufferBytes: number = DEFAULT_WRITE_BUFFER_BYTES) {
    this.bytes = Buffer.from(memory);
    this.samples = new Int16Array(memory);
    this.quads = new BigInt64Array(memory);
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.writeBufferBytes = writeBufferBytes;
    this.recordings = Math.floor((memory.byteLength - HEADER.BYTES) / recordingBytes(writeBufferBytes));
    if (this.recordings < 1 || writeBufferBytes % 4096 !== 0 || writeBufferBytes === 0) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `${memory.byteLength} bytes are not enough for one recording with write buffers of ${writeBufferBytes} bytes (a multiple of 4096); take recorderMemoryBytes().`,
      );
    }
    const version = this.words[HEADER.VERSION >> 2];
    const layout = [RECORDER_MEMORY_VERSION, this.recordings, writeBufferBytes];
    if (version === 0) this.words.set(layout, HEADER.VERSION >> 2);
    else if (layout.some((word, i) => this.words[(HEADER.VERSION >> 2) + i] !== word)) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        "The recorder's memory was laid out by another version; start with a new one.",
      );
    }
  }

  /** Absolute offset of the WRITE_BUFFER fields of `channel`. */
  line(index: number, channel: Channel): number {
    return HEADER.BYTES + index * LINE_BYTES + channel * WRITE_BUFFER.BYTES;
  }

  slot(index: number): number {
    return HEADER.BYTES + this.recordings * LINE_BYTES + index * SLOT.BYTES;
  }

  /** Absolute offset of the write buffer of `channel`. */
  buffer(index: number, channel: Channel): number {
    return this.slot(this.recordings) + (2 * index + channel) * (this.writeBufferBytes + BUFFER_DISTANCE_BYTES);
  }

  count(name: RecorderCounter, by = 1): void {
    const at = (HEADER.COUNTERS >> 3) + (COUNTER_INDEX[name] as number);
    this.doubles[at] = (this.doubles[at] as number) + by;
  }

  /** The disk is so full that what is left is for the recordings that are under way. */
  get refusesNew(): boolean {
    return Atomics.load(this.words, HEADER.REFUSES_NEW >> 2) === 1;
  }

  /** Leaves a sentence for the main thread. Only the newest is kept. */
  report(text: string): void {
    const { written } = this.#encoder.encodeInto(text, new Uint8Array(REPORT_TEXT_BYTES));
    const from = this.#encoder.encode(text).subarray(0, written);
    this.bytes.set(from, HEADER.REPORT + 8);
    Atomics.store(this.words, (HEADER.REPORT + 4) >> 2, written);
    Atomics.add(this.words, HEADER.REPORT >> 2, 1);
  }

  int(slot: number, field: number): number {
    return this.words[(slot + field) >> 2] as number;
  }

  setInt(slot: number, field: number, value: number): void {
    this.words[(slot + field) >> 2] = value;
  }

  addInt(slot: number, field: number, by: number): void {
    const at = (slot + field) >> 2;
    this.words[at] = (this.words[at] as number) + by;
  }

  /** Counts what the flags of a frame (FLAG of ring/layout.ts) say of it. */
  countFaults(slot: number, flags: number): void {
    const isLost = (flags & FLAG.LOST) !== 0;
    if (isLost) this.addInt(slot, SLOT.FRAMES_LOST, 1);
    if (isLost && (flags & FLAG.CONCEALED) === 0) this.addInt(slot, SLOT.FEC, 1);
    if ((flags & FLAG.DECODE_ERROR) !== 0) this.addInt(slot, SLOT.DECODE_ERRORS, 1);
  }

  text(slot: number, lengthField: number, field: number): string {
    return this.bytes.toString('utf8', slot + field, slot + field + this.int(slot, lengthField));
  }

  /** False when the text is longer than `maxBytes`; nothing is written then. */
  setText(slot: number, lengthField: number, field: number, maxBytes: number, text: string): boolean {
    const encoded = Buffer.from(text, 'utf8');
    if (encoded.length > maxBytes) return false;
    this.bytes.set(encoded, slot + field);
    this.setInt(slot, lengthField, encoded.length);
    return true;
  }

  /** Makes a free slot that of a new stream. False when `infoJson` is longer than a slot holds. */
  takeSlot({ index, ring, stream, generation }: SlotPlace, infoJson: string): boolean {
    const slot = this.slot(index);
    this.clearSlot(index);
    if (!this.setText(slot, SLOT.INFO_LENGTH, SLOT.INFO, SLOT.INFO_BYTES, infoJson)) return false;
    this.setInt(slot, SLOT.RING, ring);
    this.setInt(slot, SLOT.STREAM, stream);
    this.doubles[(slot + SLOT.GENERATION) >> 3] = generation;
    this.setInt(slot, SLOT.STATE, SLOT_STATE.OPEN);
    return true;
  }

  clearSlot(index: number): void {
    const slot = this.slot(index);
    this.bytes.fill(0, slot, slot + SLOT.FOLDER);
    this.bytes.fill(0, this.line(index, 0), this.line(index + 1, 0));
  }

  /** Adds a note to the slot's journal, or lengthens the last one. False when the journal is full. */
  addNote(slot: number, note: number, channel: Channel, start: number, length: number): boolean {
    const count = this.int(slot, SLOT.NOTES);
    if (count > 0 && length > 0) {
      const last = slot + SLOT.JOURNAL + (count - 1) * NOTE_BYTES;
      const lastEnd = this.int(last, 4) + this.int(last, 8);
      if (this.bytes[last] === note && this.bytes[last + 1] === channel && lastEnd === start) {
        this.addInt(last, 8, length);
        return true;
      }
    }
    if (count === JOURNAL_NOTES) return false;
    const at = slot + SLOT.JOURNAL + count * NOTE_BYTES;
    this.bytes[at] = note;
    this.bytes[at + 1] = channel;
    this.words[(at + 4) >> 2] = start;
    this.words[(at + 8) >> 2] = length;
    this.setInt(slot, SLOT.NOTES, count + 1);
    return true;
  }

  eachNote(slot: number, visit: (note: number, channel: Channel, start: number, length: number) => void): void {
    const count = this.int(slot, SLOT.NOTES);
    for (let i = 0; i < count; i++) {
      const at = slot + SLOT.JOURNAL + i * NOTE_BYTES;
      visit(this.bytes[at] as number, this.bytes[at + 1] === 0 ? 0 : 1, this.int(at, 4), this.int(at, 8));
    }
  }
}

/** The main thread's side: what the recorder has counted and reported. */
export class RecorderStatus {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Buffer;
  #seen = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory, HEADER.COUNTERS, RECORDER_COUNTERS.length);
    this.#bytes = Buffer.from(memory);
  }

  /** Whether new recordings are refused from now on. */
  refuseNew(isRefusing: boolean): void {
    Atomics.store(this.#words, HEADER.REFUSES_NEW >> 2, isRefusing ? 1 : 0);
  }

  counters(): RecorderCounters {
    return Object.fromEntries(RECORDER_COUNTERS.map((name, i) => [name, this.#doubles[i]])) as RecorderCounters;
  }

  /** The newest report that was not taken yet. It names no interaction. */
  takeReport(): string | undefined {
    const sequence = Atomics.load(this.#words, HEADER.REPORT >> 2);
    if (sequence === this.#seen) return undefined;
    this.#seen = sequence;
    const length = Atomics.load(this.#words, (HEADER.REPORT + 4) >> 2);
    return this.#bytes.toString('utf8', HEADER.REPORT + 8, HEADER.REPORT + 8 + length);
  }
}

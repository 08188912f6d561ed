import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Channel, StreamInfo } from '../core/events.js';
import { FLAG } from '../ring/layout.js';
import { errnoOf, faultReport } from './fault.js';
import { folderName } from './folder.js';
import {
  AUDIO_FILE,
  fromSessionSpans,
  parseSession,
  SESSION_FILE,
  type Session,
  toSessionSpans,
  writeSession,
} from './session.js';
import { JOURNAL_MARKS, PIECE, type RecorderSlab, SLOT, SLOT_STATE } from './slab.js';
import { SpanTrack } from './spans.js';
import { WAV_HEADER_BYTES, WAV_MAX_DATA_BYTES, writeWavHeader } from './wav-header.js';
import type { Writer } from './writer.js';

/** What all recordings of one recorder share. */
export interface RecordingContext {
  readonly slab: RecorderSlab;
  readonly outDir: string;
  readonly flushUs: number;
  readonly headerUs: number;
  readonly checkpointUs: number;
  readonly writer: Writer;
  /** For one stretch of two interleaved channels: four pieces long. */
  readonly scratch: Int16Array;
}

/** How the stream ended; counts that are absent are worked out from the frames. */
export interface RecordingEnd {
  readonly endReason: string;
  readonly endedAtMs: number;
  readonly packetsReceived?: number | undefined;
  readonly bytesReceived?: number | undefined;
  readonly packetsLost?: number | undefined;
  readonly packetsLate?: number | undefined;
  readonly packetsDuplicate?: number | undefined;
  readonly packetsReordered?: number | undefined;
}

/** After a failed call nothing is tried for so long, lest a full disk be asked for each piece of each stream. */
const RETRY_US = 1_000_000;
/** A checkpoint writes all spans again; long recordings wait longer for it, so that its cost stays even. */
const CHECKPOINT_US_PER_MARK = 50_000;
const MAX_SAME_ID = 10_000;

/**
 * One recording: a slot of the slab, a folder and an open file. Frames are gathered in the slot's pieces and written at
 * their positions, so writing twice does no harm and holes are zeros by themselves.
 *
 * No method throws for what the disk does: the fault is counted, reported once, and tried again later; what could not
 * be held meanwhile is given up.
 */
export class Recording {
  readonly info: StreamInfo;
  /** Its slot. */
  readonly index: number;
  readonly ring: number;
  readonly stream: number;
  readonly #context: RecordingContext;
  readonly #slab: RecorderSlab;
  readonly #slot: number;
  readonly #pieceSamples: number;
  readonly #blockBytes: number;
  readonly #maxSamples: number;
  readonly #tracks: readonly SpanTrack[];
  #fd = -1;
  #folder = '';
  // End of what has been written, in samples; a stretch beyond it need not be read before channels are merged.
  #fileEnd = 0;
  #retryAtUs = 0;
  #headerAtUs = Number.NEGATIVE_INFINITY;
  #checkpointAtUs = Number.NEGATIVE_INFINITY;
  #resuming = false;

  private constructor(context: RecordingContext, index: number, info: StreamInfo) {
    this.#context = context;
    this.#slab = context.slab;
    this.index = index;
    this.#slot = context.slab.slot(index);
    this.info = info;
    this.ring = context.slab.int(this.#slot, SLOT.RING);
    this.stream = context.slab.int(this.#slot, SLOT.STREAM);
    this.#pieceSamples = context.slab.pieceBytes >> 1;
    this.#blockBytes = 2 * info.channels;
    this.#maxSamples = Math.min(Math.floor(WAV_MAX_DATA_BYTES / this.#blockBytes), 0x7fff_ffff);
    const keep = (kind: number, channel: Channel, start: number, length: number) => {
      if (!this.#resuming) this.#slab.addMark(this.#slot, kind, channel, start, length);
    };
    this.#tracks = info.channels === 1 ? [new SpanTrack(0, keep)] : [new SpanTrack(0, keep), new SpanTrack(1, keep)];
  }

  /** Takes a free slot for a new stream. Undefined when `infoJson` is longer than a slot holds. */
  static open(
    context: RecordingContext,
    place: { index: number; ring: number; stream: number },
    info: StreamInfo,
    infoJson: string,
    nowUs: number,
  ): Recording | undefined {
    const { slab } = context;
    const slot = slab.slot(place.index);
    slab.clearSlot(place.index);
    if (!slab.setText(slot, SLOT.INFO_LENGTH, SLOT.INFO, SLOT.INFO_BYTES, infoJson)) return undefined;
    slab.setInt(slot, SLOT.RING, place.ring);
    slab.setInt(slot, SLOT.STREAM, place.stream);
    slab.setInt(slot, SLOT.STATE, SLOT_STATE.OPEN);
    const recording = new Recording(context, place.index, info);
    recording.#attempt(nowUs, () => recording.#keepUp(nowUs));
    return recording;
  }

  /** Goes on with a recording whose thread has died, from what its slot and its folder hold. */
  static resume(context: RecordingContext, index: number, info: StreamInfo, nowUs: number): Recording {
    const recording = new Recording(context, index, info);
    recording.#resume(nowUs);
    return recording;
  }

  /** Length in samples: the end of the channel that is ahead. */
  get lengthSamples(): number {
    return Math.max(this.#double(0, PIECE.END), this.#double(1, PIECE.END));
  }

  /**
   * Takes in one frame. `source` holds `available` samples of it at byte `at`; what is missing of `count` is zeros.
   * False when the frame says nonsense.
   */
  frame(
    channel: number,
    position: number,
    count: number,
    flags: number,
    source: Uint8Array,
    at: number,
    available: number,
    nowUs: number,
  ): boolean {
    const track = this.#tracks[channel];
    if (track === undefined || !Number.isInteger(position) || position < 0 || count < 0) return false;
    if (position + count > this.#maxSamples) {
      this.#drop(count);
      this.#markFaulted('A recording has reached the 4 GiB that a WAV file can hold; its end is left out.');
      return true;
    }
    track.frame(position, count, (flags & FLAG.SILENT) !== 0, (flags & FLAG.LOST) !== 0);
    this.#slab.addInt(this.#slot, SLOT.FRAMES, 1);
    if ((flags & FLAG.LOST) !== 0) this.#slab.addInt(this.#slot, SLOT.FRAMES_LOST, 1);
    if ((flags & FLAG.DECODE_ERROR) !== 0) this.#slab.addInt(this.#slot, SLOT.DECODE_ERRORS, 1);
    this.#place(channel === 0 ? 0 : 1, position, count, source, at, available, nowUs);
    if (this.#journalIsFull()) this.#attempt(nowUs, () => this.#keepUp(nowUs));
    return true;
  }

  edge(channel: number, position: number, silent: boolean): boolean {
    const track = this.#tracks[channel];
    if (track === undefined || !(position >= 0 && position <= this.#maxSamples)) return false;
    track.edge(Math.floor(position), silent);
    return true;
  }

  /** Whether a piece has waited for long enough. */
  isDue(nowUs: number): boolean {
    if (nowUs < this.#retryAtUs) return false;
    const since = nowUs - this.#context.flushUs;
    return (
      (this.#held(0) > 0 && this.#double(0, PIECE.SINCE_US) <= since) ||
      (this.#held(1) > 0 && this.#double(1, PIECE.SINCE_US) <= since)
    );
  }

  /** Writes what the pieces hold. With `mustEmpty` they are empty afterwards, written or given up. */
  flush(nowUs: number, mustEmpty: boolean): void {
    const written = this.#attempt(nowUs, () => {
      this.#ensureFile();
      this.#writePieces();
      this.#keepUp(nowUs);
    });
    if (!written && mustEmpty) this.#dropPieces();
  }

  /** Ends the recording and frees its slot. */
  finish(end: RecordingEnd, nowUs: number): void {
    this.#retryAtUs = 0;
    const written = this.#attempt(nowUs, () => {
      this.#ensureFile();
      this.#writePieces();
    });
    if (!written) this.#dropPieces();
    this.#retryAtUs = 0;
    const finished = this.#attempt(nowUs, () => {
      this.#ensureFile();
      ftruncateSync(this.#fd, WAV_HEADER_BYTES + this.lengthSamples * this.#blockBytes);
      this.#writeHeader(this.lengthSamples);
      // Last of all, for a session with an end says that the sound is whole; until then a repair would see to it.
      writeSession(this.#path(''), this.#session(end));
    });
    if (finished) this.#slab.count('recordingsFinished');
    this.abandon();
    this.#slab.clearSlot(this.index);
  }

  /** Closes the file and leaves everything as it is. */
  abandon(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #place(
    channel: Channel,
    position: number,
    count: number,
    source: Uint8Array,
    at: number,
    available: number,
    nowUs: number,
  ): void {
    const piece = this.#slab.piece(this.index, channel);
    let done = 0;
    while (done < count) {
      const held = this.#held(channel);
      const from = position + done;
      if (held === 0) {
        this.#setDouble(channel, PIECE.START, from);
        this.#setDouble(channel, PIECE.SINCE_US, nowUs);
      }
      const offset = from - this.#double(channel, PIECE.START);
      // A hole may be filled with zeros only where nothing has been written before.
      const joins =
        offset >= 0 &&
        (offset <= held || this.#double(channel, PIECE.START) + held >= this.#double(channel, PIECE.END));
      if (!joins || offset >= this.#pieceSamples) {
        this.flush(nowUs, true);
        continue;
      }
      const samples = Math.min(this.#pieceSamples - offset, count - done);
      const copied = Math.max(0, Math.min(samples, available - done));
      const { bytes } = this.#slab;
      if (offset > held) bytes.fill(0, piece + 2 * held, piece + 2 * offset);
      if (copied > 0) bytes.set(source.subarray(at + 2 * done, at + 2 * (done + copied)), piece + 2 * offset);
      if (copied < samples) bytes.fill(0, piece + 2 * (offset + copied), piece + 2 * (offset + samples));
      this.#setHeld(channel, Math.max(held, offset + samples));
      done += samples;
    }
    if (position + count > this.#double(channel, PIECE.END)) this.#setDouble(channel, PIECE.END, position + count);
  }

  #writePieces(): void {
    const held0 = this.#held(0);
    if (this.info.channels === 1) {
      if (held0 === 0) return;
      const at = this.#double(0, PIECE.START);
      this.#write(this.#slab.bytes, this.#slab.piece(this.index, 0), held0, at);
      this.#setHeld(0, 0);
      return;
    }
    const held1 = this.#held(1);
    const start0 = this.#double(0, PIECE.START);
    const start1 = this.#double(1, PIECE.START);
    const touching = held0 > 0 && held1 > 0 && start0 <= start1 + held1 && start1 <= start0 + held0;
    if (touching) {
      this.#writeMerged(Math.min(start0, start1), Math.max(start0 + held0, start1 + held1));
      this.#setHeld(0, 0);
      this.#setHeld(1, 0);
      return;
    }
    for (const channel of [0, 1] as const) {
      const held = this.#held(channel);
      if (held === 0) continue;
      const start = this.#double(channel, PIECE.START);
      this.#writeMerged(start, start + held);
      this.#setHeld(channel, 0);
    }
  }

  /** Writes [start, end) of both channels: what the pieces hold over what the file holds. */
  #writeMerged(start: number, end: number): void {
    const { scratch } = this.#context;
    scratch.fill(0, 0, 2 * (end - start));
    if (start < this.#fileEnd) {
      const wanted = (Math.min(end, this.#fileEnd) - start) * this.#blockBytes;
      readSync(this.#fd, scratch, 0, wanted, WAV_HEADER_BYTES + start * this.#blockBytes);
    }
    for (const channel of [0, 1] as const) {
      const pieceStart = this.#double(channel, PIECE.START);
      const from = Math.max(start, pieceStart);
      const to = Math.min(end, pieceStart + this.#held(channel));
      const piece = (this.#slab.piece(this.index, channel) >> 1) + from - pieceStart;
      const target = 2 * (from - start) + channel;
      const { samples } = this.#slab;
      for (let i = 0; i < to - from; i++) scratch[target + 2 * i] = samples[piece + i] as number;
    }
    this.#write(scratch, 0, end - start, start);
  }

  #write(source: Uint8Array | Int16Array, at: number, samples: number, position: number): void {
    // Set before the write, so that no failure in between makes written sound look like a hole.
    this.#fileEnd = Math.max(this.#fileEnd, position + samples);
    this.#writeAll(source, at, samples * this.#blockBytes, WAV_HEADER_BYTES + position * this.#blockBytes);
  }

  #writeAll(source: Uint8Array | Int16Array, at: number, length: number, position: number): void {
    let done = 0;
    // A disk that is nearly full takes less than it is given, and refuses only the next call.
    while (done < length) done += writeSync(this.#fd, source, at + done, length - done, position + done);
    this.#slab.count('bytesWritten', length);
  }

  /** Creates the folder and the file. A recording that is already there keeps its name, and this one gets the next. */
  #ensureFile(): void {
    if (this.#fd >= 0 || (this.#folder !== '' && this.#reopenFile())) return;
    const base = folderName(this.info.interactionId);
    for (let n = 1; n <= MAX_SAME_ID; n++) {
      const name = n === 1 ? base : `${base}-${n}`;
      const folder = join(this.#context.outDir, name);
      try {
        mkdirSync(folder, { recursive: true });
        if (existsSync(join(folder, SESSION_FILE))) continue;
        this.#fd = openSync(join(folder, AUDIO_FILE), 'wx+');
      } catch (thrown) {
        if (errnoOf(thrown) === 'EEXIST') continue;
        throw thrown;
      }
      this.#folder = name;
      this.#slab.setText(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER, SLOT.FOLDER_BYTES, name);
      return;
    }
    throw new Error('Every folder name for this interaction is taken.');
  }

  /** Opens the file of an earlier life. False when somebody has taken it away. */
  #reopenFile(): boolean {
    try {
      this.#fd = openSync(this.#path(AUDIO_FILE), 'r+');
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    }
    this.#fileEnd = Math.max(0, Math.ceil((fstatSync(this.#fd).size - WAV_HEADER_BYTES) / this.#blockBytes));
    return true;
  }

  /** Brings header and session.json up to date, when it is time to. */
  #keepUp(nowUs: number): void {
    this.#ensureFile();
    if (nowUs - this.#headerAtUs >= this.#context.headerUs) {
      this.#writeHeader(this.#fileEnd);
      this.#headerAtUs = nowUs;
    }
    const marks = this.#tracks.reduce((sum, track) => sum + track.size, 0);
    const everyUs = Math.max(this.#context.checkpointUs, marks * CHECKPOINT_US_PER_MARK);
    if (this.#journalIsFull() || nowUs - this.#checkpointAtUs >= everyUs) {
      writeSession(this.#path(''), this.#session(undefined));
      this.#slab.setInt(this.#slot, SLOT.MARKS, 0);
      // An edge may lie ahead of the frames, where no span is yet.
      for (const track of this.#tracks) track.repeatLastEdge();
      this.#checkpointAtUs = nowUs;
    }
  }

  /** So full that one more frame might not find room for its marks. */
  #journalIsFull(): boolean {
    return this.#slab.int(this.#slot, SLOT.MARKS) > JOURNAL_MARKS - 8;
  }

  #writeHeader(samples: number): void {
    const header = Buffer.from(this.#context.scratch.buffer, 0, WAV_HEADER_BYTES);
    writeWavHeader(header, this.info, samples * this.#blockBytes);
    this.#writeAll(header, 0, WAV_HEADER_BYTES, 0);
  }

  #session(end: RecordingEnd | undefined): Session {
    const { info } = this;
    const count = (field: number) => this.#slab.int(this.#slot, field);
    const lost = count(SLOT.FRAMES_LOST);
    const length = this.lengthSamples;
    return {
      interactionId: info.interactionId,
      codec: info.codec,
      clockRate: info.clockRate,
      sampleRate: info.sampleRate,
      channels: info.channels,
      startedAt: new Date(info.startedAtMs).toISOString(),
      endedAt: end === undefined ? null : new Date(end.endedAtMs).toISOString(),
      endReason: end === undefined ? null : end.endReason,
      packetsReceived: end?.packetsReceived ?? count(SLOT.FRAMES) - lost,
      bytesReceived: end?.bytesReceived ?? 0,
      packetsLost: end?.packetsLost ?? lost,
      packetsLate: end?.packetsLate ?? 0,
      packetsDuplicate: end?.packetsDuplicate ?? 0,
      packetsReordered: end?.packetsReordered ?? 0,
      decodeErrors: count(SLOT.DECODE_ERRORS),
      spans: this.#tracks.flatMap((track) => toSessionSpans(track.compose(length), track.channel, info.sampleRate)),
      ...(count(SLOT.FAULTED) === 1 ? { incomplete: true } : {}),
      ...(end === undefined ? { writer: this.#context.writer } : {}),
    };
  }

  #resume(nowUs: number): void {
    this.#folder = this.#slab.text(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER);
    this.#attempt(nowUs, () => this.#ensureFile());
    const marks: [kind: number, channel: Channel, start: number, length: number][] = [];
    this.#slab.eachMark(this.#slot, (...mark) => marks.push(mark));
    this.#resuming = true;
    const session = this.#folder === '' ? undefined : this.#readSession();
    for (const track of this.#tracks) {
      if (session !== undefined) track.load(fromSessionSpans(session.spans, track.channel, this.info.sampleRate));
      for (const [kind, channel, start, length] of marks)
        if (channel === track.channel) track.mark(kind, start, length);
      track.extendTo(this.#double(track.channel, PIECE.END));
    }
    this.#resuming = false;
    this.#slab.count('recordingsResumed');
  }

  #readSession(): Session | undefined {
    try {
      return parseSession(readFileSync(this.#path(SESSION_FILE), 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** Runs `work` unless a failure is too recent. False when it was not run or failed. */
  #attempt(nowUs: number, work: () => void): boolean {
    if (nowUs < this.#retryAtUs) return false;
    try {
      work();
      return true;
    } catch (thrown) {
      this.#retryAtUs = nowUs + RETRY_US;
      this.#slab.count('writeErrors');
      this.#markFaulted(faultReport(thrown, this.#context.outDir));
      return false;
    }
  }

  #markFaulted(report: string): void {
    if (this.#slab.int(this.#slot, SLOT.FAULTED) === 1) return;
    this.#slab.setInt(this.#slot, SLOT.FAULTED, 1);
    this.#slab.count('recordingsFaulted');
    this.#slab.report(report);
  }

  #dropPieces(): void {
    for (const channel of [0, 1] as const) {
      this.#drop(this.#held(channel));
      this.#setHeld(channel, 0);
    }
  }

  #drop(samples: number): void {
    if (samples > 0) this.#slab.count('samplesDropped', samples);
  }

  #path(file: string): string {
    return join(this.#context.outDir, this.#folder, file);
  }

  #held(channel: Channel): number {
    return this.#slab.words[(this.#slot + SLOT.PIECES + channel * PIECE.BYTES + PIECE.COUNT) >> 2] as number;
  }

  #setHeld(channel: Channel, samples: number): void {
    this.#slab.words[(this.#slot + SLOT.PIECES + channel * PIECE.BYTES + PIECE.COUNT) >> 2] = samples;
  }

  #double(channel: Channel, field: number): number {
    return this.#slab.doubles[(this.#slot + SLOT.PIECES + channel * PIECE.BYTES + field) >> 3] as number;
  }

  #setDouble(channel: Channel, field: number, value: number): void {
    this.#slab.doubles[(this.#slot + SLOT.PIECES + channel * PIECE.BYTES + field) >> 3] = value;
  }
}

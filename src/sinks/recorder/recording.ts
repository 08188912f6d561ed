import { join } from 'node:path';
import { WAV_MAX_DATA_BYTES } from '../../audio/wav.js';
import type { Channel, StreamInfo } from '../../core/events.js';
import { FLAG } from '../../ring/layout.js';
import { appendOnlyWord } from './append-only-frames.js';
import { AudioFile } from './audio-file.js';
import { errnoOf, faultReport } from './fault.js';
import { folderName } from './folder.js';
import {
  fromManifestSpans,
  type Manifest,
  readCheckpoint,
  toManifestSpans,
  writeCheckpoint,
  writeManifest,
} from './manifest.js';
import { JOURNAL_NOTES, type RecorderMemory, SLOT, SLOT_STATE } from './recorder-memory.js';
import { SpanTrack } from './spans.js';
import { type SampleSource, WriteBuffers } from './write-buffers.js';
import type { Writer } from './writer.js';

/** What all recordings of one recorder share. */
export interface RecordingContext {
  readonly memory: RecorderMemory;
  readonly outDir: string;
  readonly flushUs: number;
  readonly headerUs: number;
  readonly checkpointUs: number;
  readonly writer: Writer;
  /** For one stretch of two interleaved channels: four pieces long. */
  readonly scratch: Int16Array;
}

/** How the stream ended; of the counts that are absent, those that follow from the frames are worked out from them. */
export interface RecordingEnd {
  readonly endReason: string;
  readonly endedAtMs: number;
  readonly packetsReceived?: number | undefined;
  readonly bytesReceived?: number | undefined;
  readonly packetsLost?: number | undefined;
  readonly packetsLate?: number | undefined;
  readonly packetsDuplicate?: number | undefined;
  readonly packetsReordered?: number | undefined;
  /** Records that found no room on their way to the recorder. */
  readonly recorderRefused?: number | undefined;
}

/** After a failed call nothing is tried for so long, lest a full disk be asked for each piece of each stream. */
const RETRY_US = 1_000_000;
/** How often the end of a recording is tried; its slot is held meanwhile, and a recorder that is told to stop waits. */
const END_TRIES = 5;
/** A checkpoint writes all spans again; long recordings wait longer for it, so that its cost stays even. */
const CHECKPOINT_US_PER_NOTE = 50_000;
/** Room in the journal for the notes of one more frame with its edges. */
const JOURNAL_RESERVE = 8;
/** Positions stand in the journal as i32. */
const MAX_POSITION = 0x7fff_ffff;

/**
 * One recording: a slot of the memory, a folder and an open file. Frames are gathered in the slot's pieces and written at
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
  readonly #memory: RecorderMemory;
  readonly #slot: number;
  readonly #buffers: WriteBuffers;
  readonly #file: AudioFile;
  readonly #maxSamples: number;
  readonly #tracks: readonly SpanTrack[];
  #folder = '';
  #retryAtUs = 0;
  #headerAtUs = Number.NEGATIVE_INFINITY;
  #checkpointAtUs = Number.NEGATIVE_INFINITY;
  /** A stretch without audio is in no checkpoint yet; from the sound alone a repair would take it for silence. */
  #stretchUnsaved = false;
  #resuming = false;
  #lookedAtUs = Number.NEGATIVE_INFINITY;
  /** Of the written samples, those that went with a folder that was taken away. */
  #lostSamples = 0;
  #end: RecordingEnd | undefined;
  #endTries = 0;
  #sealed = false;

  private constructor(context: RecordingContext, index: number, info: StreamInfo) {
    this.#context = context;
    this.#memory = context.memory;
    this.#slot = context.memory.slot(index);
    this.info = info;
    this.index = index;
    this.ring = this.#int(SLOT.RING);
    this.stream = this.#int(SLOT.STREAM);
    this.#maxSamples = Math.min(Math.floor(WAV_MAX_DATA_BYTES / (2 * info.channels)), MAX_POSITION);
    this.#buffers = new WriteBuffers(context.memory, index, info.channels, this.#maxSamples);
    this.#file = new AudioFile(info);
    const keep = (note: number, channel: Channel, start: number, length: number) => {
      if (!this.#resuming) this.#memory.addNote(this.#slot, note, channel, start, length);
    };
    this.#tracks = info.channels === 1 ? [new SpanTrack(0, keep)] : [new SpanTrack(0, keep), new SpanTrack(1, keep)];
  }

  /**
   * Takes a free slot for a new stream. Undefined when `infoJson` is longer than a slot holds. Folder and file are
   * made by the first flush: they take a millisecond, and no ring is to wait while a thousand streams open at once. Of
   * a stream that brings nothing there are none: 44 bytes of header would only look like a call.
   */
  static open(
    context: RecordingContext,
    place: { index: number; ring: number; stream: number },
    info: StreamInfo,
    infoJson: string,
  ): Recording | undefined {
    const { memory } = context;
    const slot = memory.slot(place.index);
    memory.clearSlot(place.index);
    if (!memory.setText(slot, SLOT.INFO_LENGTH, SLOT.INFO, SLOT.INFO_BYTES, infoJson)) return undefined;
    memory.setInt(slot, SLOT.RING, place.ring);
    memory.setInt(slot, SLOT.STREAM, place.stream);
    memory.setInt(slot, SLOT.STATE, SLOT_STATE.OPEN);
    return new Recording(context, place.index, info);
  }

  /** Goes on with a recording whose thread has died, from what its slot and its folder hold. */
  static resume(context: RecordingContext, index: number, info: StreamInfo, nowUs: number): Recording {
    const recording = new Recording(context, index, info);
    recording.#resume(nowUs);
    return recording;
  }

  /** Length in samples: the end of the channel that is ahead. */
  get lengthSamples(): number {
    return this.#buffers.lengthSamples;
  }

  /**
   * Takes in one frame. `source` holds `available` samples of it from `at` on; what is missing of `count` is zeros.
   * False when the frame says nonsense. A frame that a restarted shard sends again is passed over.
   */
  frame(
    channel: number,
    position: number,
    count: number,
    flags: number,
    source: SampleSource,
    at: number,
    available: number,
    nowUs: number,
  ): boolean {
    const track = this.#trackOf(channel, position, count);
    if (track === undefined) return false;
    const end = position + count;
    if (end <= this.#buffers.end(track.channel)) return true;
    if (!this.#fits(end)) {
      this.#giveUp(count, nowUs);
      return true;
    }
    const lost = (flags & FLAG.LOST) !== 0;
    track.frame(position, count, (flags & FLAG.SILENT) !== 0, lost);
    this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    this.#buffers.countFrame(track.channel);
    if (lost) this.#memory.addInt(this.#slot, SLOT.FRAMES_LOST, 1);
    if ((flags & FLAG.DECODE_ERROR) !== 0) this.#memory.addInt(this.#slot, SLOT.DECODE_ERRORS, 1);
    for (let done = 0; ; ) {
      const from = position + done;
      done += this.#buffers.take(track.channel, from, count - done, source, at + done, available - done, nowUs);
      this.#buffers.extendTo(track.channel, position + done);
      if (done === count) break;
      this.flush(nowUs, true);
    }
    if (this.#journalIsFull()) this.#attempt(nowUs, () => this.#keepUp(nowUs));
    return true;
  }

  edge(channel: number, position: number, silent: boolean): boolean {
    const track = this.#trackOf(channel, Math.floor(position), 0);
    if (track === undefined || position > this.#maxSamples) return false;
    track.edge(Math.floor(position), silent);
    this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    return true;
  }

  /** A stretch without audio, which has its length in the recording as well. */
  stretch(channel: number, position: number, count: number, state: 'paused' | 'discarded'): boolean {
    const track = this.#trackOf(channel, position, count);
    if (track === undefined) return false;
    if (!this.#fits(position + count)) return true;
    track.stretch(state, position, count);
    this.#stretchUnsaved = true;
    this.#buffers.extendTo(track.channel, position + count);
    return true;
  }

  /** Whether a piece has waited for long enough, or there is no file yet for what is there. */
  isDue(nowUs: number): boolean {
    if (nowUs < this.#retryAtUs) return false;
    return (!this.#file.isOpen && !this.#isEmpty) || this.#buffers.isOlderThan(nowUs - this.#context.flushUs);
  }

  /** Writes what the pieces hold. With `mustEmpty` they are empty afterwards, written or given up. */
  flush(nowUs: number, mustEmpty: boolean): void {
    const written = this.#attempt(nowUs, () => {
      this.#writeBuffered(nowUs);
      this.#keepUp(nowUs);
    });
    if (!written && mustEmpty) this.#giveUp(this.#buffers.drop(nowUs), nowUs);
  }

  /** Ends the recording and frees its slot. False when the disk refuses; then retryFinish() is to be called. */
  finish(end: RecordingEnd, nowUs: number): boolean {
    this.#end = end;
    if ((end.recorderRefused ?? 0) > 0) this.#memory.setInt(this.#slot, SLOT.INCOMPLETE, 1);
    this.#lookedAtUs = Number.NEGATIVE_INFINITY;
    this.#retryAtUs = 0;
    if (!this.#isEmpty && !this.#attempt(nowUs, () => this.#writeBuffered(nowUs))) {
      this.#giveUp(this.#buffers.drop(nowUs), nowUs);
    }
    this.#retryAtUs = 0;
    return this.retryFinish(nowUs);
  }

  /** Whether retryFinish() would try. */
  isRetryDue(nowUs: number): boolean {
    return nowUs >= this.#retryAtUs;
  }

  /** True when the slot is free, be it that the end could be written or that it was tried often enough. */
  retryFinish(nowUs: number): boolean {
    const end = this.#end;
    if (end === undefined || !this.isRetryDue(nowUs)) return false;
    const finished = this.#attempt(nowUs, () => {
      if (this.#isEmpty) return;
      if (!this.#sealed) {
        this.#ensureFile(nowUs);
        this.#file.seal(this.lengthSamples);
        this.#file.close();
        this.#sealed = true;
      }
      // Last of all, for a session with an end says that the sound is whole; until then a repair would see to it.
      writeManifest(this.#path, this.#manifest(end));
    });
    if (!finished && ++this.#endTries < END_TRIES) {
      this.#memory.setInt(this.#slot, SLOT.STATE, SLOT_STATE.ENDING);
      return false;
    }
    if (!finished) {
      this.abandon();
      return true;
    }
    this.#memory.count('recordingsFinished');
    this.#free();
    return true;
  }

  /** Frees the slot as it is. What could not be finished is left for a repair, which need not wait for this process. */
  abandon(): void {
    const manifest = this.#folder === '' ? undefined : readCheckpoint(this.#path);
    if (manifest !== undefined) {
      const { writer: _, ...rest } = manifest;
      try {
        writeCheckpoint(this.#path, { ...rest, ...this.#incompleteness() });
      } catch {
        // Then the repair waits until this process has ended.
      }
    }
    this.#free();
  }

  #free(): void {
    if (this.#int(SLOT.INCOMPLETE) === 1) this.#memory.count('recordingsIncomplete');
    this.#file.close();
    this.#memory.clearSlot(this.index);
  }

  #trackOf(channel: number, position: number, count: number): SpanTrack | undefined {
    const track = Number.isInteger(position) && position >= 0 && count >= 0 ? this.#tracks[channel] : undefined;
    this.#catchUp(track);
    return track;
  }

  /** Plain frames have gone past the track, which they tell nothing but where they end. */
  #catchUp(track: SpanTrack | undefined): void {
    track?.extendTo(this.#buffers.end(track.channel));
  }

  /** Nothing has come, and nothing that came has been given up. */
  get #isEmpty(): boolean {
    return this.lengthSamples === 0 && this.#folder === '' && this.#int(SLOT.INCOMPLETE) === 0;
  }

  #writeBuffered(nowUs: number): void {
    this.#ensureFile(nowUs);
    this.#memory.count('bytesWritten', this.#buffers.writeTo(this.#file, this.#context.scratch, nowUs));
  }

  #ensureFile(nowUs: number): void {
    if (this.#isThere(nowUs)) return;
    if (this.#folder !== '') this.#startAnew(nowUs);
    this.#folder = this.#file.create(this.#context.outDir, folderName(this.info.interactionId));
    this.#memory.setText(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER, SLOT.FOLDER_BYTES, this.#folder);
    // Before any sound, so that a repair need not guess whose it is.
    this.#checkpoint(nowUs);
  }

  #isThere(nowUs: number): boolean {
    if (!this.#file.isOpen) return this.#folder !== '' && this.#file.reopen(this.#path);
    if (nowUs - this.#lookedAtUs < this.#context.headerUs) return true;
    this.#lookedAtUs = nowUs;
    return this.#file.isLinked;
  }

  /** Somebody has taken the folder away; what comes from now on gets a new one, at its position. */
  #startAnew(nowUs: number): void {
    this.#file.close();
    this.#folder = '';
    this.#sealed = false;
    this.#memory.setInt(this.#slot, SLOT.FOLDER_LENGTH, 0);
    const written = this.#buffers.writtenSamples;
    this.#giveUp(written - this.#lostSamples, nowUs);
    this.#lostSamples = written;
    this.#reportFault(faultReport('ENOENT', this.#context.outDir));
  }

  /** Brings header and checkpoint up to date, when it is time to. */
  #keepUp(nowUs: number): void {
    this.#ensureFile(nowUs);
    if (nowUs - this.#headerAtUs >= this.#context.headerUs) {
      this.#memory.count('bytesWritten', this.#file.writeHeader(this.#file.endSamples));
      this.#headerAtUs = nowUs;
    }
    const notes = this.#tracks.reduce((sum, track) => sum + track.size, 0);
    const leastUs = this.#stretchUnsaved ? this.#context.flushUs : this.#context.checkpointUs;
    const everyUs = Math.max(leastUs, notes * CHECKPOINT_US_PER_NOTE);
    if (this.#journalIsFull() || nowUs - this.#checkpointAtUs >= everyUs) this.#checkpoint(nowUs);
  }

  #checkpoint(nowUs: number): void {
    writeCheckpoint(this.#path, this.#manifest(undefined));
    this.#memory.setInt(this.#slot, SLOT.NOTES, 0);
    // An edge may lie ahead of the frames, where no span is yet.
    for (const track of this.#tracks) track.repeatLastEdge();
    this.#checkpointAtUs = nowUs;
    this.#stretchUnsaved = false;
  }

  #journalIsFull(): boolean {
    return this.#int(SLOT.NOTES) > JOURNAL_NOTES - JOURNAL_RESERVE;
  }

  #manifest(end: RecordingEnd | undefined): Manifest {
    const { info } = this;
    const lost = this.#int(SLOT.FRAMES_LOST);
    const length = this.lengthSamples;
    for (const track of this.#tracks) this.#catchUp(track);
    return {
      interactionId: info.interactionId,
      codec: info.codec,
      clockRate: info.clockRate,
      sampleRate: info.sampleRate,
      channels: info.channels,
      startedAt: new Date(info.startedAtMs).toISOString(),
      endedAt: end === undefined ? null : new Date(end.endedAtMs).toISOString(),
      endReason: end === undefined ? null : end.endReason,
      packetsReceived: end?.packetsReceived ?? this.#buffers.frames - lost,
      bytesReceived: end?.bytesReceived ?? null,
      packetsLost: end?.packetsLost ?? lost,
      packetsLate: end?.packetsLate ?? null,
      packetsDuplicate: end?.packetsDuplicate ?? null,
      packetsReordered: end?.packetsReordered ?? null,
      decodeErrors: this.#int(SLOT.DECODE_ERRORS),
      spans: this.#tracks.flatMap((track) => toManifestSpans(track.compose(length), track.channel, info.sampleRate)),
      ...this.#incompleteness(),
      ...(end === undefined ? { writer: this.#context.writer } : {}),
    };
  }

  #incompleteness(): { incomplete?: true } {
    return this.#int(SLOT.INCOMPLETE) === 1 ? { incomplete: true } : {};
  }

  #resume(nowUs: number): void {
    this.#folder = this.#memory.text(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER);
    if (this.#folder !== '') this.#attempt(nowUs, () => this.#file.reopen(this.#path));
    const notes: [note: number, channel: Channel, start: number, length: number][] = [];
    this.#memory.eachNote(this.#slot, (...note) => notes.push(note));
    this.#resuming = true;
    const manifest = this.#folder === '' ? undefined : readCheckpoint(this.#path);
    for (const track of this.#tracks) {
      if (manifest !== undefined) track.load(fromManifestSpans(manifest.spans, track.channel, this.info.sampleRate));
      for (const [note, channel, ...at] of notes) if (channel === track.channel) track.note(note, ...at);
      this.#catchUp(track);
      this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    }
    this.#resuming = false;
    this.#memory.count('recordingsResumed');
  }

  /** Runs `work` unless a failure is too recent. False when it was not run or failed. */
  #attempt(nowUs: number, work: () => void): boolean {
    if (nowUs < this.#retryAtUs) return false;
    try {
      work();
      return true;
    } catch (thrown) {
      this.#retryAtUs = nowUs + RETRY_US;
      this.#memory.count('writeErrors');
      const code = errnoOf(thrown);
      if (code === 'ENOENT' && this.#folder !== '') this.#startAnew(nowUs);
      this.#reportFault(faultReport(code, this.#context.outDir));
      return false;
    }
  }

  /** Once a recording. */
  #reportFault(report: string): void {
    if (this.#int(SLOT.FAULTED) === 1) return;
    this.#memory.setInt(this.#slot, SLOT.FAULTED, 1);
    this.#memory.count('recordingsFaulted');
    this.#memory.report(report);
  }

  #giveUp(samples: number, nowUs: number): void {
    if (samples === 0) return;
    this.#memory.count('samplesDropped', samples);
    if (this.#int(SLOT.INCOMPLETE) === 1) return;
    this.#memory.setInt(this.#slot, SLOT.INCOMPLETE, 1);
    if (this.#folder === '') return;
    try {
      // At once, for a kill would leave a hole that no repair could tell from silence.
      this.#checkpoint(nowUs);
    } catch {
      // The next one says so too; this one was no more than an attempt amid trouble that is told already.
    }
  }

  #fits(endSamples: number): boolean {
    if (endSamples <= this.#maxSamples) return true;
    this.#reportFault('A recording has reached the 4 GiB that a WAV file can hold; its end is left out.');
    return false;
  }

  get #path(): string {
    return join(this.#context.outDir, this.#folder);
  }

  #int(field: number): number {
    return this.#memory.int(this.#slot, field);
  }
}

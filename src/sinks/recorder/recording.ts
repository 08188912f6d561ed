import type { Channel, MarkedState, SilenceKind, StreamInfo } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { FLAG } from '../../ring/layout.js';
import { MIN_SILENCE_MS } from '../../shard/shard-data.js';
import type { RecordingCause, RecordingResult } from '../sink.js';
import { appendOnlyWord } from './buffers/append-only-frames.js';
import type { SampleSource, WriteBuffers } from './buffers/write-buffers.js';
import type { RecordingConversion } from './conversion/recording-conversion.js';
import { type AudioParts, audioParts } from './corrections/audio-parts.js';
import type { Correction } from './corrections/corrections.js';
import { MissingSamples } from './corrections/missing-samples.js';
import { fromManifestSpans, type Manifest } from './files/manifest.js';
import { checkpointEveryUs, type RecordingContent, type RecordingContext } from './files/recording-context.js';
import { streamManifest } from './files/stream-manifest.js';
import { JOURNAL_NOTES, type RecorderMemory, SLOT, SLOT_STATE, type SlotPlace } from './recorder-memory.js';
import { RecordingFiles } from './recording-files.js';
import { SpanTrack } from './spans.js';
import { countsOf, knownEnd, type RecordingEnd } from './stream-records.js';

/** How often the end of a recording is tried; its slot is kept meanwhile, and a recorder that is told to stop waits. */
const END_TRIES = 5;
/** The main thread has not taken the results of other recordings yet. */
const POST_AGAIN_US = 50_000;
/** Space in the journal for the notes of one more frame with its edges. */
const JOURNAL_RESERVE = 8;

/**
 * One recording: a slot of the recorder's memory and its files. Frames are gathered in the slot's write buffers and
 * written at their positions, so that writing twice does no harm and gaps are zeros by themselves.
 *
 * No method throws what the disk does: the fault is counted, reported once and tried again later. What could not be
 * kept until then is dropped, and its spans say *lost*.
 */
export class Recording implements RecordingContent {
  readonly info: StreamInfo;
  /** Its slot. */
  readonly index: number;
  readonly ring: number;
  readonly stream: number;
  readonly files: RecordingFiles;
  readonly #context: RecordingContext;
  readonly #memory: RecorderMemory;
  readonly #slot: number;
  readonly #buffers: WriteBuffers;
  readonly #maxSamples: number;
  readonly #tracks: readonly SpanTrack[];
  readonly #corrections: AudioParts['corrections'];
  readonly #missing: MissingSamples;
  #isResuming = false;
  /** Written samples that went with a folder that was removed. */
  #removedSamples = 0;
  #end: RecordingEnd | undefined;
  #endTries = 0;
  #result: RecordingResult | undefined;
  #postAtUs = 0;

  private constructor(context: RecordingContext, index: number, info: StreamInfo) {
    this.#context = context;
    this.#memory = context.memory;
    this.#slot = context.memory.slot(index);
    this.info = info;
    this.index = index;
    this.ring = this.#int(SLOT.RING);
    this.stream = this.#int(SLOT.STREAM);
    this.files = new RecordingFiles(context, index, info, this);
    this.#missing = new MissingSamples(context.memory, this.#slot, this.files);
    const keep = (note: number, channel: Channel, start: number, length: number) => {
      if (!this.#isResuming) this.#memory.addNote(this.#slot, note, channel, start, length);
    };
    const shortestSilence = (info.sampleRate * MIN_SILENCE_MS) / 1e3;
    const channels: readonly Channel[] = info.channels === 1 ? [0] : [0, 1];
    this.#tracks = channels.map((channel) => new SpanTrack(channel, keep, shortestSilence));
    const parts = audioParts(context, index, info, this.files, this.#missing);
    this.#buffers = parts.buffers;
    this.#corrections = parts.corrections;
    this.#maxSamples = parts.maxSamples;
  }

  /**
   * Takes a free slot for a new stream. Undefined when `infoJson` is longer than a slot holds. Folder and file are made
   * by the first flush: they take a millisecond, and no ring has to wait while a thousand streams open at once. A
   * stream that brings nothing gets none: 44 bytes of header would only look like a call.
   */
  static open(context: RecordingContext, place: SlotPlace, info: StreamInfo, infoJson: string): Recording | undefined {
    return context.memory.takeSlot(place, infoJson) ? new Recording(context, place.index, info) : undefined;
  }

  /** Continues a recording whose thread has died, from its slot and its folder. */
  static resume(context: RecordingContext, index: number, info: StreamInfo, nowUs: number): Recording {
    const recording = new Recording(context, index, info);
    recording.#resume(nowUs);
    return recording;
  }

  /** Whether it takes packets as they came instead of samples. */
  get storesPackets(): boolean {
    return this.files.opus !== undefined;
  }

  /** Length in samples: the end of the channel that is ahead. */
  get lengthSamples(): number {
    return this.#buffers.lengthSamples;
  }

  /**
   * Takes one frame. `source` has `available` samples of it from `at` on; those missing of `count` are zeros. False when
   * the frame cannot be valid. A frame that a restarted shard sends again is skipped.
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
      this.#missing.add(count, nowUs);
      return true;
    }
    track.frame(position, count, (flags & FLAG.SILENT) !== 0, (flags & FLAG.LOST) !== 0);
    this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    this.#buffers.countFrame(track.channel);
    this.#memory.countFaults(this.#slot, flags);
    for (let done = 0; ; ) {
      const from = position + done;
      done += this.#buffers.take(track.channel, from, count - done, source, at + done, available - done, nowUs);
      this.#buffers.extendTo(track.channel, position + done);
      if (done === count) break;
      this.flush(nowUs, true);
    }
    if (this.#journalIsFull()) this.files.attempt(nowUs, () => this.#keepUp(nowUs));
    return true;
  }

  /** Replaces samples that came before. False when they cannot be valid. */
  correct(channel: number, correction: Correction, nowUs: number): boolean {
    const { position, count } = correction;
    const track = this.#trackOf(channel, position, count);
    if (track === undefined || position + count > this.#maxSamples) return track !== undefined;
    this.#corrections.take(track, correction, nowUs);
    if (this.#journalIsFull()) this.files.attempt(nowUs, () => this.#keepUp(nowUs));
    return true;
  }

  edge(channel: number, position: number, silent: boolean, kind?: SilenceKind): boolean {
    const track = this.#trackOf(channel, Math.floor(position), 0);
    if (track === undefined || position > this.#maxSamples) return false;
    track.edge(Math.floor(position), silent, kind);
    this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    return true;
  }

  /** A span without audio, which takes its time all the same: by decision, or because the recorder's ring was full. */
  withoutAudio(
    channel: number,
    position: number,
    count: number,
    state: MarkedState | 'notRecorded',
    nowUs: number,
  ): boolean {
    const track = this.#trackOf(channel, position, count);
    if (track === undefined) return false;
    if (!this.#fits(position + count)) return true;
    track.withoutAudio(state, position, count);
    if (state !== 'notRecorded' && !this.#buffers.noteSilence(track.channel, position, count, nowUs)) {
      this.flush(nowUs, true);
      this.#buffers.noteSilence(track.channel, position, count, nowUs);
    }
    this.#buffers.extendTo(track.channel, position + count);
    this.#missing.isUrgent = true;
    if (state === 'notRecorded') this.#missing.mark(count);
    return true;
  }

  /** Whether a buffer has waited for long enough, or there is no file yet for what is there. */
  isDue(nowUs: number): boolean {
    if (!this.files.isRetryDue(nowUs)) return false;
    if (!this.files.audio.isOpen && !this.#isEmpty) return true;
    if (this.#buffers.isDue(nowUs - this.#context.flushUs)) return true;
    const isUnsaved = this.#corrections.isUnsaved || this.files.isUpdated;
    return isUnsaved && this.files.isCheckpointDue(nowUs, this.#checkpointEveryUs());
  }

  /** Writes what the buffers hold. With `mustEmpty` they are empty afterwards, written or dropped. */
  flush(nowUs: number, mustEmpty: boolean): void {
    const written = this.files.attempt(nowUs, () => {
      this.#writeBuffers(nowUs);
      this.#keepUp(nowUs);
    });
    if (!written && mustEmpty) this.#drop(nowUs);
  }

  /** Ends the recording and frees its slot. False when the disk refuses; then retryFinish() is to be called. */
  finish(end: RecordingEnd, nowUs: number): boolean {
    this.#end = end;
    if ((end.recorderRefused ?? 0) > 0) this.#memory.setInt(this.#slot, SLOT.INCOMPLETE, 1);
    this.files.forgetFailure();
    return this.retryFinish(nowUs);
  }

  /** Of its audio, once the stream is over; when it has been run, retryFinish() is next. */
  get conversion(): RecordingConversion {
    return this.files.conversion;
  }

  /** Its end, where its thread has died only after that. */
  get knownEnd(): RecordingEnd | undefined {
    return this.#end;
  }

  isRetryDue(nowUs: number): boolean {
    return nowUs >= this.#postAtUs && this.files.isRetryDue(nowUs);
  }

  /** True when the slot is free: the end was written, or was tried often enough, and the result was posted. */
  retryFinish(nowUs: number): boolean {
    const end = this.#end;
    if (end === undefined || this.conversion.isRunning || !this.isRetryDue(nowUs)) return false;
    this.#result ??= this.#tryToFinish(nowUs);
    if (this.#result !== undefined && (this.#context.results?.post(this.#result) ?? true)) {
      this.#free();
      return true;
    }
    if (this.#result !== undefined) this.#postAtUs = nowUs + POST_AGAIN_US;
    this.#memory.setInt(this.#slot, SLOT.STATE, SLOT_STATE.ENDING);
    return false;
  }

  /**
   * Frees the slot: drops what could not be written and ends the files without it. What cannot even be ended is left for
   * a repair, which need not wait for this process.
   */
  abandon(nowUs: number): void {
    this.#result ??= this.#giveUp(nowUs);
    this.#context.results?.post(this.#result);
    this.#free();
  }

  manifest(isFinal: boolean): Manifest {
    const { info, lengthSamples } = this;
    for (const track of this.#tracks) this.#catchUp(track);
    const end = isFinal ? this.#end : undefined;
    const counts = countsOf(end, this.#buffers.frames, (field) => this.#int(field));
    const { any: isIncomplete } = this.#missing;
    const { writer } = this.#context;
    return streamManifest({ info, tracks: this.#tracks, lengthSamples, isFinal, end, counts, isIncomplete, writer });
  }

  checkpointed(): void {
    this.#memory.setInt(this.#slot, SLOT.NOTES, 0);
    // An edge may lie ahead of the frames, where no span is yet.
    for (const track of this.#tracks) track.repeatNotes(this.info.sampleRate * LIMITS.maxLateSeconds);
    this.#corrections.checkpointed(this.#tracks);
    this.#missing.isUrgent = false;
  }

  removed(nowUs: number): void {
    const written = this.#tracks.map(({ channel }) => this.#buffers.writtenTo(channel));
    for (const track of this.#tracks) track.notRecorded(0, written[track.channel] ?? 0);
    const samples = written.reduce((sum, one) => sum + one, 0);
    this.#missing.add(samples - this.#removedSamples, nowUs);
    this.#removedSamples = samples;
  }

  /** Undefined when the disk refuses and it is to be tried again. */
  #tryToFinish(nowUs: number): RecordingResult | undefined {
    if (this.#finishFiles(nowUs)) return this.conversion.isRunning ? undefined : this.#finishedResult();
    return ++this.#endTries < END_TRIES ? undefined : this.#giveUp(nowUs);
  }

  #giveUp(nowUs: number): RecordingResult {
    this.#drop(nowUs);
    this.files.forgetFailure();
    this.conversion.leave();
    const isFinished = this.#finishFiles(nowUs);
    const isConverting = this.conversion.isRunning;
    this.conversion.leave();
    if (isFinished && (!isConverting || this.#finishFiles(nowUs))) return this.#finishedResult();
    this.files.abandon();
    return this.#resultOf('failed', 'notWritten');
  }

  #finishFiles(nowUs: number): boolean {
    return this.files.attempt(nowUs, () => {
      if (!this.#isEmpty) {
        if (!this.files.isSealed) this.#writeBuffers(nowUs);
        this.files.finish(nowUs, this.lengthSamples);
      }
      if (!this.conversion.isRunning) this.#memory.count('recordingsFinished');
    });
  }

  #finishedResult(): RecordingResult {
    if (this.#isEmpty) return this.#resultOf('empty');
    if (this.#missing.any) return this.#resultOf('incomplete', 'notWritten');
    return this.#end?.isInterrupted === true ? this.#resultOf('incomplete', 'interrupted') : this.#resultOf('recorded');
  }

  #resultOf(outcome: RecordingResult['outcome'], cause?: RecordingCause): RecordingResult {
    return {
      generation: this.#memory.doubles[(this.#slot + SLOT.GENERATION) >> 3] as number,
      outcome,
      ...(cause === undefined ? {} : { cause }),
      durationMs: Math.round((this.lengthSamples * 1e3) / this.info.sampleRate),
      notRecordedMs: cause === 'notWritten' ? (this.manifest(true).notRecordedMs ?? 0) : 0,
      segment: this.#int(SLOT.SEGMENT),
      folder: this.files.folder,
      file: this.files.audioFile,
    };
  }

  #free(): void {
    if (this.#missing.any) this.#memory.count('recordingsIncomplete');
    this.files.close();
    this.#memory.clearSlot(this.index);
  }

  #trackOf(channel: number, position: number, count: number): SpanTrack | undefined {
    const track = Number.isInteger(position) && position >= 0 && count >= 0 ? this.#tracks[channel] : undefined;
    this.#catchUp(track);
    return track;
  }

  /** Append-only frames do not pass through the track. */
  #catchUp(track: SpanTrack | undefined): void {
    track?.extendTo(this.#buffers.end(track.channel));
  }

  /** Nothing has come, and nothing that came has been dropped. */
  get #isEmpty(): boolean {
    return this.lengthSamples === 0 && !this.files.hasFolder && !this.#missing.any;
  }

  #writeBuffers(nowUs: number): void {
    this.files.ensure(nowUs);
    if (this.files.wav !== undefined) this.files.wav.silentChannels = this.#buffers.silentChannels(this.#tracks);
    this.#memory.count('bytesWritten', this.#buffers.write(this.#context.scratch, nowUs));
  }

  #keepUp(nowUs: number): void {
    this.files.keepUp(nowUs, this.#checkpointEveryUs());
  }

  #checkpointEveryUs(): number {
    const notes = this.#tracks.reduce((sum, track) => sum + track.size, 0);
    if (this.#journalIsFull()) return 0;
    return checkpointEveryUs(this.#context, notes, this.#missing.isUrgent, this.#corrections);
  }

  #journalIsFull(): boolean {
    return this.#int(SLOT.NOTES) > JOURNAL_NOTES - JOURNAL_RESERVE;
  }

  #resume(nowUs: number): void {
    const notes: [note: number, channel: Channel, start: number, length: number][] = [];
    this.#memory.eachNote(this.#slot, (...note) => notes.push(note));
    this.#isResuming = true;
    const checkpoint = this.files.resume(nowUs);
    const spans = checkpoint?.spans ?? [];
    this.#end = knownEnd(checkpoint);
    for (const track of this.#tracks) {
      track.load(fromManifestSpans(spans, track.channel, this.info.sampleRate, this.files.startMs));
      for (const [note, channel, ...at] of notes) if (channel === track.channel) track.note(note, ...at);
      this.#catchUp(track);
      this.#buffers.setAppendOnly(track.channel, appendOnlyWord(track.steadySilent));
    }
    this.#corrections.checkpointed(this.#tracks);
    this.#isResuming = false;
    this.#memory.count('recordingsResumed');
  }

  /** Drops what the buffers hold. */
  #drop(nowUs: number): void {
    let samples = 0;
    this.#buffers.drop(nowUs, (channel, start, length) => {
      this.#tracks[channel]?.notRecorded(start, length);
      samples += length;
    });
    this.#missing.add(samples, nowUs);
  }

  #fits(endSamples: number): boolean {
    if (endSamples <= this.#maxSamples) return true;
    this.files.reportFault('A recording has reached what its file can hold, of WAV 4 GiB; its end is left out.');
    return false;
  }

  #int(field: number): number {
    return this.#memory.int(this.#slot, field);
  }
}

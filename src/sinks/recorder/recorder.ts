import { type Clock, systemClock } from '../../core/clock.js';
import { LIMITS } from '../../core/limits.js';
import { US_PER_MS } from '../../core/units.js';
import { type Agent, BLOCKED } from '../../ring/agent.js';
import { FLAG, KIND, MARK, RECORD, silenceKind } from '../../ring/layout.js';
import { RingConsumer, type RingPlace } from '../../ring/ring.js';
import type { RecordingResult } from '../sink.js';
import { AppendOnlyFrames } from './buffers/append-only-frames.js';
import { Encryption, type EncryptionOptions } from './encryption/encryption.js';
import { type FileAccess, OWNER_ONLY } from './files/folder.js';
import type { AudioFormat } from './files/manifest.js';
import type { RecordingContext } from './files/recording-context.js';
import { UnfinishedIndex } from './files/unfinished.js';
import { thisWriter } from './files/writer.js';
import { RecordingPlaces } from './folders/recording-places.js';
import { DEFAULT_WRITE_BUFFER_BYTES, RecorderMemory, SLOT, SLOT_STATE } from './recorder-memory.js';
import { Recording } from './recording.js';
import { RecordingResults } from './recording-results.js';
import { markedState, parseEnd, parseInfo, payloadText, type RecordingEnd } from './stream-records.js';

export interface RecorderOptions {
  /** Recordings go to `outDir/<folder of the interaction>/`. Made when it is not there. */
  readonly outDir: string;
  /** One a shard; this recorder is the only consumer. In the same order for as long as `memory` is used. */
  readonly rings: readonly RingPlace[];
  /** recorderMemoryBytes() of zeros at first; the same memory again when a new recorder takes over from a dead one. */
  readonly memory: SharedArrayBuffer;
  /** Size of each write buffer, which `memory` was made for. */
  readonly writeBufferBytes?: number;
  /** recordingResultsBytes() of zeros at first, the same again afterwards; without it nobody is told. */
  readonly results?: SharedArrayBuffer;
  /** Whether an archive is to learn of every finished recording, by the index of unfinished ones; default false. */
  readonly isArchived?: boolean;
  /** Where in it; default `{interactionId}`. */
  readonly directoryTemplate?: string;
  /** Permissions of the files and folders; 0600 and 0700 by default. */
  readonly access?: FileAccess;
  /** Recordings are encrypted with it; stored as they are when it is absent. */
  readonly encryption?: EncryptionOptions;
  /** How long a sample may wait to be written. 750 by default: less than 1 s together with a turn of the thread. */
  readonly flushMs?: number;
  /**
   * What recordings are stored as; `wav` by default. What becomes FLAC is WAV while it is written, and is converted once
   * the stream has ended.
   */
  readonly format?: AudioFormat;
  /** Whether the native addon may code FLAC, where there is one; true by default. */
  readonly usesNative?: boolean;
  /** How often the sizes in a WAV header are brought up to date. */
  readonly headerMs?: number;
  /** How often the spans so far are written beside session.json, for a repair after a kill. */
  readonly checkpointMs?: number;
}

/** Records of one ring in one turn: more than arrive while the flushes of one turn meet a slow disk. */
const RING_SHARE = 16_384;
/** Append-only frames between two readings of the clock. */
const APPEND_ONLY_SHARE = 256;
/** A turn takes no longer than this on a slow disk: the thread's heartbeat stands still meanwhile. */
const TURN_US = 20_000;
/** Flushes in one turn, for the same reason: a tenth of a millisecond each, or some milliseconds when files are made. */
const FLUSH_SHARE = 8;
const SLOT_SHARE = 1024;
const FINISH_SHARE = 64;
/** Conversion in one turn, so that the rings are looked at in between. */
const CONVERT_US = 5_000;
/** How long a recorder that is told to stop goes on converting; what is left remains WAV. */
const LAST_CONVERT_US = 2_000_000;

/**
 * Drains the shards' recorder rings into files. Runs in a thread of its own (entry.ts), because its writes block.
 *
 * A record is released when its content is in the recorder's memory, from which a new recorder can continue: the death
 * of the thread loses nothing, and the death of the process loses what is younger than `flushMs` and a turn.
 */
export class Recorder implements Agent {
  readonly #clock: Clock;
  readonly #rings: readonly RingConsumer[];
  readonly #appendOnly: readonly AppendOnlyFrames[];
  readonly #context: RecordingContext;
  readonly #memory: RecorderMemory;
  readonly #scanEveryUs: number;
  /** Slots by ring and stream, or −1: one ring may still have records of a stream index that another has closed. */
  readonly #slots: readonly Int32Array[];
  readonly #bySlot: (Recording | undefined)[] = [];
  // Taken from the end, so that low slots are used again and high ones cost no memory.
  readonly #freeSlots: number[] = [];
  #scanAt = 0;
  #nextScanUs = 0;
  #finishAt = 0;
  /** Those whose end the disk has refused so far, the oldest first. */
  readonly #ending: Recording[] = [];
  /** Those whose audio is complete and becomes FLAC, one after another. */
  readonly #converting: Recording[] = [];
  #stopConvertingUs = Number.POSITIVE_INFINITY;

  constructor(options: RecorderOptions, clock: Clock = systemClock) {
    const writeBufferBytes = options.writeBufferBytes ?? DEFAULT_WRITE_BUFFER_BYTES;
    const flushUs = (options.flushMs ?? 750) * US_PER_MS;
    this.#clock = clock;
    this.#rings = options.rings.map((place) => new RingConsumer(place));
    this.#memory = new RecorderMemory(options.memory, writeBufferBytes);
    this.#appendOnly = options.rings.map(
      (place, i) => new AppendOnlyFrames(this.#rings[i] as RingConsumer, place, this.#memory),
    );
    this.#slots = options.rings.map(() => new Int32Array(LIMITS.maxStreams).fill(-1));
    this.#scanEveryUs = flushUs / 16;
    const writer = thisWriter();
    const access = options.access ?? OWNER_ONLY;
    this.#context = {
      memory: this.#memory,
      outDir: options.outDir,
      access,
      places: new RecordingPlaces(options.outDir, access, options.directoryTemplate),
      format: options.format ?? 'wav',
      usesNative: options.usesNative ?? true,
      unfinished: new UnfinishedIndex(options.outDir, writer, access, clock.nowUs(), options.isArchived),
      flushUs,
      headerUs: (options.headerMs ?? 5_000) * US_PER_MS,
      checkpointUs: (options.checkpointMs ?? 20_000) * US_PER_MS,
      writer,
      scratch: new Int16Array(2 * writeBufferBytes),
      results: options.results && new RecordingResults(options.results),
      encryption: options.encryption && new Encryption(options.encryption),
    };
    this.#takeOver();
  }

  doWork(nowUs: number): number {
    let work = 0;
    for (let i = 0; i < this.#rings.length; i++) work += this.#drain(i, nowUs);
    return work + this.#flushDue(nowUs) + this.#retryEnds(nowUs) + this.#convert(nowUs);
  }

  /**
   * Finishes the recordings that are still open, in bounded shares; their streams were not ended, so they are
   * `interrupted`. BLOCKED while a disk that has refused the end of one gets its last chances.
   */
  finish(nowUs: number): number {
    const stopUs = this.#clock.nowUs() + TURN_US;
    let finished = 0;
    while (this.#finishAt < this.#bySlot.length && finished < FINISH_SHARE && this.#clock.nowUs() < stopUs) {
      const recording = this.#bySlot[this.#finishAt++];
      if (recording === undefined) continue;
      this.#interrupt(recording, nowUs);
      finished++;
    }
    if (finished > 0 || this.#finishAt < this.#bySlot.length) return 1;
    this.#stopConvertingUs = Math.min(this.#stopConvertingUs, nowUs + LAST_CONVERT_US);
    if (this.#converting.length > 0) return 1;
    return this.#ending.length > 0 ? BLOCKED : 0;
  }

  /** Ends what finish() had no time for. */
  close(): void {
    const nowUs = this.#clock.nowUs();
    for (const recording of this.#bySlot) if (recording !== undefined) this.#interrupt(recording, nowUs);
    for (const recording of [...this.#converting.splice(0), ...this.#ending.splice(0)]) recording.abandon(nowUs);
    this.#context.unfinished.close();
  }

  #takeOver(): void {
    const nowUs = this.#clock.nowUs();
    for (let index = this.#memory.recordings - 1; index >= 0; index--) {
      const slot = this.#memory.slot(index);
      const state = this.#memory.int(slot, SLOT.STATE);
      const info =
        state === SLOT_STATE.FREE ? undefined : parseInfo(this.#memory.text(slot, SLOT.INFO_LENGTH, SLOT.INFO));
      const slots = this.#slots[this.#memory.int(slot, SLOT.RING)];
      if (info === undefined || slots === undefined) {
        this.#freeSlots.push(index);
        continue;
      }
      const recording = Recording.resume(this.#context, index, info, nowUs);
      if (state === SLOT_STATE.ENDING) {
        // Another stream may have its index by now, and often the reason of its end died with the thread.
        if (recording.knownEnd === undefined) this.#interrupt(recording, nowUs);
        else this.#finish(recording, recording.knownEnd, nowUs);
        continue;
      }
      this.#bySlot[index] = recording;
      slots[recording.stream] = index;
    }
  }

  #drain(ringIndex: number, nowUs: number): number {
    const ring = this.#rings[ringIndex] as RingConsumer;
    const stopUs = this.#clock.nowUs() + TURN_US;
    const appendOnly = this.#appendOnly[ringIndex] as AppendOnlyFrames;
    const slots = this.#slots[ringIndex] as Int32Array;
    let records = 0;
    let frames = 0;
    while (records < RING_SHARE && this.#clock.nowUs() < stopUs) {
      const taken = appendOnly.take(slots, APPEND_ONLY_SHARE);
      records += taken;
      frames += taken;
      const at = ring.peek();
      if (at < 0) break;
      if (taken === APPEND_ONLY_SHARE) continue;
      try {
        if (!this.#handle(ringIndex, ring, at, nowUs)) this.#memory.count('recordsInvalid');
      } catch {
        // An unforeseen record must not end the recordings of all other streams.
        this.#memory.count('recordsInvalid');
      }
      ring.release();
      records++;
    }
    if (frames > 0) this.#memory.count('framesRecorded', frames);
    return records;
  }

  /** False when the record cannot be valid. */
  #handle(ringIndex: number, ring: RingConsumer, at: number, nowUs: number): boolean {
    const { view } = ring;
    const stream = view.getInt32(at + RECORD.STREAM, true);
    const recording = this.#bySlot[this.#slots[ringIndex]?.[stream] ?? -1];
    const kind = view.getUint8(at + RECORD.KIND);
    const generation = view.getFloat64(at + RECORD.GENERATION, true);
    if (kind === KIND.OPEN) {
      return this.#open({ ring: ringIndex, stream, generation }, recording, payloadText(ring, at), nowUs);
    }
    if (recording === undefined) {
      this.#memory.count('recordsOrphaned');
      if (kind === KIND.CLOSE) this.#context.results?.post(refused(generation));
      return true;
    }
    const flags = view.getUint8(at + RECORD.FLAGS);
    const channel = view.getUint8(at + RECORD.CHANNEL);
    const position = view.getFloat64(at + RECORD.POSITION, true);
    const count = view.getInt32(at + RECORD.SAMPLE_COUNT, true);
    const bytes = view.getInt32(at + RECORD.LENGTH, true) - RECORD.OUTPUT_HEADER_BYTES;
    const { source } = this.#appendOnly[ringIndex] as AppendOnlyFrames;
    switch (kind) {
      case KIND.FRAME:
      case KIND.CODED_FRAME: {
        const isCoded = kind === KIND.CODED_FRAME;
        if (isCoded !== recording.storesPackets) return false;
        const from = at + RECORD.OUTPUT_HEADER_BYTES;
        const payload = Math.min(view.getInt32(at + RECORD.PAYLOAD_LENGTH, true), bytes);
        const length = (flags & FLAG.NO_PCM) !== 0 ? 0 : payload;
        this.#memory.count('framesRecorded');
        if (isCoded && (flags & FLAG.REPAIRED) !== 0) {
          return recording.correct(channel, { position, count, flags, source, at: from, length }, nowUs);
        }
        const [first, available] = isCoded ? [from, length] : [from >> 1, length >> 1];
        return recording.frame(channel, position, count, flags, source, first, available, nowUs);
      }
      case KIND.CORRECTION: {
        if (recording.storesPackets || 2 * count > bytes) return false;
        const correction = { position, count, flags, source, at: (at + RECORD.OUTPUT_HEADER_BYTES) >> 1 };
        return recording.correct(channel, correction, nowUs);
      }
      case KIND.EDGE:
        return recording.edge(
          channel,
          position,
          (flags & FLAG.SILENT) !== 0,
          silenceKind(view.getInt32(at + RECORD.SILENCE_KIND, true)),
        );
      case KIND.MARK: {
        const duration = view.getInt32(at + RECORD.DURATION, true);
        if (flags === MARK.NOT_SENT) {
          return recording.correct(channel, { position, count: duration, flags: 0, source: undefined, at: 0 }, nowUs);
        }
        return recording.withoutAudio(channel, position, duration, markedState(flags), nowUs);
      }
      case KIND.UPDATE:
        return recording.files.update(payloadText(ring, at));
      case KIND.CLOSE: {
        const end = parseEnd(payloadText(ring, at));
        const recorderRefused = view.getFloat64(at + RECORD.RECORDER_REFUSED, true);
        if (end === undefined) this.#interrupt(recording, nowUs, recorderRefused);
        else this.#finish(recording, { ...end, recorderRefused }, nowUs);
        return end !== undefined;
      }
      default:
        return false;
    }
  }

  #open(
    { ring, stream, generation }: { ring: number; stream: number; generation: number },
    open: Recording | undefined,
    infoJson: string,
    nowUs: number,
  ): boolean {
    const info = parseInfo(infoJson);
    if (info === undefined || stream < 0 || stream >= LIMITS.maxStreams) {
      this.#memory.count('recordingsRefused');
      return false;
    }
    if (open !== undefined) {
      // A shard that was restarted repeats OPEN.
      if (open.info.interactionId === info.interactionId && open.info.startedAtMs === info.startedAtMs) return true;
      this.#interrupt(open, nowUs);
    }
    if (this.#memory.refusesNew && info.segment === undefined) {
      this.#memory.count('recordingsRefused');
      return true;
    }
    const index = this.#freeSlots.pop() ?? this.#abandonOldest();
    if (index === undefined) {
      this.#memory.count('recordingsRefused');
      this.#memory.report(
        `All ${this.#memory.recordings} recordings are in use; a stream is not recorded. Raise maxStreams.`,
      );
      return true;
    }
    const recording = Recording.open(this.#context, { index, ring, stream, generation }, info, infoJson);
    if (recording === undefined) {
      this.#freeSlots.push(index);
      this.#memory.count('recordingsRefused');
      return false;
    }
    this.#memory.count('recordingsOpened');
    this.#bySlot[index] = recording;
    (this.#slots[ring] as Int32Array)[stream] = index;
    return true;
  }

  /** The slot of the recording that has waited longest for its end to be written, or to be converted. */
  #abandonOldest(): number | undefined {
    const oldest = this.#ending.shift() ?? this.#converting.shift();
    oldest?.abandon(this.#clock.nowUs());
    return oldest?.index;
  }

  #interrupt(recording: Recording, nowUs: number, recorderRefused?: number): void {
    const lengthMs = (recording.lengthSamples * 1e3) / recording.info.sampleRate;
    const endedAtMs = recording.info.startedAtMs + lengthMs;
    this.#finish(recording, { endReason: 'interrupted', endedAtMs, recorderRefused, isInterrupted: true }, nowUs);
  }

  #finish(recording: Recording, end: RecordingEnd, nowUs: number): void {
    const slots = this.#slots[recording.ring];
    // A recording of an earlier thread may end after another has taken over its stream's index.
    if (slots?.[recording.stream] === recording.index) slots[recording.stream] = -1;
    this.#bySlot[recording.index] = undefined;
    this.#settle(recording, recording.finish(end, nowUs));
  }

  #settle(recording: Recording, isFinished: boolean): void {
    if (isFinished) this.#freeSlots.push(recording.index);
    else if (recording.conversion.isRunning) this.#converting.push(recording);
    else this.#ending.push(recording);
  }

  /** A share of a conversion; 0 when there is none. */
  #convert(nowUs: number): number {
    const [recording] = this.#converting;
    if (recording === undefined) return 0;
    const stopUs = this.#clock.nowUs() + CONVERT_US;
    if (nowUs >= this.#stopConvertingUs) recording.conversion.leave();
    else if (!recording.conversion.run(() => this.#clock.nowUs() < stopUs)) return 1;
    this.#converting.shift();
    this.#settle(recording, recording.retryFinish(nowUs));
    return 1;
  }

  #retryEnds(nowUs: number): number {
    const stopUs = this.#clock.nowUs() + TURN_US;
    let tried = 0;
    for (let most = Math.min(this.#ending.length, FINISH_SHARE); tried < most; tried++) {
      const recording = this.#ending[0];
      if (recording?.isRetryDue(nowUs) !== true || this.#clock.nowUs() >= stopUs) break;
      this.#ending.shift();
      this.#settle(recording, recording.retryFinish(nowUs));
    }
    return tried;
  }

  /** One bounded share of a round over all recordings; 0 when there is nothing to do for now. */
  #flushDue(nowUs: number): number {
    if (nowUs < this.#nextScanUs) return 0;
    let flushed = 0;
    const stop = Math.min(this.#bySlot.length, this.#scanAt + SLOT_SHARE);
    const stopUs = this.#clock.nowUs() + TURN_US;
    while (this.#scanAt < stop && flushed < FLUSH_SHARE && (flushed === 0 || this.#clock.nowUs() < stopUs)) {
      const recording = this.#bySlot[this.#scanAt++];
      if (recording?.isDue(nowUs) === true) {
        recording.flush(nowUs, false);
        flushed++;
      }
    }
    if (this.#scanAt >= this.#bySlot.length) {
      this.#scanAt = 0;
      this.#nextScanUs = nowUs + this.#scanEveryUs;
    }
    // A round that is under way keeps the thread from sleeping.
    return flushed + (this.#scanAt > 0 ? 1 : 0);
  }
}

/** Of a stream that had no recording when it ended. */
function refused(generation: number): RecordingResult {
  return { generation, outcome: 'failed', cause: 'refused', durationMs: 0, notRecordedMs: 0, segment: 0 };
}

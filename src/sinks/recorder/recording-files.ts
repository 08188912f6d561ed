import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StreamInfo } from '../../core/events.js';
import { isInside, requireInside } from '../../core/files/inside.js';
import { FlacConversion, removeOriginals } from './conversion/flac-conversion.js';
import { OpusConversion } from './conversion/opus-conversion.js';
import { type ConversionWork, RecordingConversion } from './conversion/recording-conversion.js';
import { ENCRYPTED_EXTENSION } from './encryption/chunk-format.js';
import type { RecordingEncryption } from './encryption/encryption.js';
import { AudioFile } from './files/audio-file.js';
import { PlainFile } from './files/byte-file.js';
import { errnoOf, faultReport } from './files/disk-fault.js';
import {
  AUDIO_FILE,
  channelFile,
  fileNames,
  isWavFile,
  lateFile,
  type Manifest,
  segmentFile,
  segmentsOf,
  withSegment,
} from './files/manifest.js';
import {
  MANIFEST_FILE,
  PARTIAL_FILE,
  readCheckpoint,
  readManifest,
  writeCheckpoint,
  writeManifest,
} from './files/manifest-file.js';
import type { RecordingContent, RecordingContext } from './files/recording-context.js';
import { indexFinished } from './folders/finished-index.js';
import { EarlierUnfinished } from './folders/recording-places.js';
import { LateFile, type LatePacket } from './opus/late-file.js';
import { OpusFiles } from './opus/opus-files.js';
import { PLAIN_PACKETS } from './opus/packet-files.js';
import { type RecorderMemory, SLOT } from './recorder-memory.js';
import { parseInfo } from './stream-records.js';

/** After a failed call nothing is tried for so long, so that a full disk is not asked for each buffer of each stream. */
const RETRY_US = 1_000_000;

/**
 * The files of one recording: its folder, the WAV file of its stream and the manifest.
 *
 *     out/<interaction>/audio.wav              the first format
 *     out/<interaction>/audio-2.wav            the second one, after a change of codec, rate or channels
 *     out/<interaction>/audio.wav.enc          the same, encrypted (encryption/)
 *     out/<interaction>/session.json           the manifest, written once the stream has ended
 *     out/<interaction>/session.json.partial   the same during the recording (checkpoints)
 *
 * A stream that continues another one (StreamInfo.segment) joins the folder whose finished manifest has the same
 * interaction, the same start and the end reason `formatChanged`. Its checkpoints and its manifest are those of the
 * whole recording: one list of audio files with their start, one list of spans, counts added up.
 */
export class RecordingFiles {
  readonly #context: RecordingContext;
  readonly #memory: RecorderMemory;
  readonly #slot: number;
  readonly #info: StreamInfo;
  readonly #content: RecordingContent;
  /** One of the two, and the other is undefined. */
  readonly wav: AudioFile | undefined;
  readonly opus: OpusFiles | undefined;
  readonly audio: AudioFile | OpusFiles;
  readonly #late: LateFile;
  readonly #encryption: RecordingEncryption | undefined;
  /** What is made of the audio once the call has ended, such as FLAC; run by the recorder in shares. */
  readonly conversion: RecordingConversion;
  #folder = '';
  /** Of the earlier audio files in the folder. */
  #earlier: Manifest | undefined;
  #retryAtUs = 0;
  #headerAtUs = Number.NEGATIVE_INFINITY;
  #checkpointAtUs = Number.NEGATIVE_INFINITY;
  #checkedAtUs = Number.NEGATIVE_INFINITY;
  #isSealed = false;
  /** The manifest of a recording that had ended when its thread died. */
  #final: Manifest | undefined;
  /** What is known of the call has changed since the last checkpoint. */
  isUpdated = false;

  constructor(context: RecordingContext, index: number, info: StreamInfo, content: RecordingContent) {
    this.#context = context;
    this.#memory = context.memory;
    this.#slot = context.memory.slot(index);
    this.#info = info;
    this.#content = content;
    this.#encryption = context.encryption?.of(index, info, () => this.#segment);
    const storesPackets = context.format === 'opus' && info.codec === 'opus';
    const packets = this.#encryption ?? PLAIN_PACKETS;
    this.opus = storesPackets ? new OpusFiles(packets, context.memory, this.#slot, info) : undefined;
    this.wav = storesPackets ? undefined : new AudioFile(this.#encryption?.byteFile() ?? new PlainFile(), info);
    this.audio = this.opus ?? (this.wav as AudioFile);
    this.#late = new LateFile(() => packets.late(), context.access.fileMode);
    this.conversion = new RecordingConversion((code) => this.#notConverted(code));
  }

  /** Its name; empty while there is none. */
  get folder(): string {
    return this.#folder;
  }

  /** Name of the audio file that the manifest gives for this stream; empty while there is none. */
  get audioFile(): string {
    if (this.opus !== undefined) return this.hasFolder ? channelFile(this.#fileName, 0, this.#info.channels) : '';
    const format = this.conversion.isDone ? 'flac' : 'wav';
    return this.hasFolder ? `${segmentFile(this.#segment, format)}${this.#encryption?.extension ?? ''}` : '';
  }

  get hasFolder(): boolean {
    return this.#folder !== '';
  }

  /** Where the stream begins on the recording's time line. */
  get startMs(): number {
    if (this.#earlier === undefined) return 0;
    const endMs = Math.max(0, ...this.#earlier.spans.map((span) => span.endMs));
    return Math.max(endMs, Math.round((this.#info.segment?.startMs ?? 0) * 1000) / 1000);
  }

  /** Opens the files of an earlier thread; returns their last checkpoint. */
  resume(nowUs: number): Manifest | undefined {
    this.#folder = this.#memory.text(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER);
    if (!isInside(this.#context.outDir, this.#folder)) this.#folder = '';
    if (this.#folder === '') return undefined;
    this.#context.unfinished.add(this.#folder);
    if (this.#segment > 1) this.#earlier = readManifest(this.#path);
    const known = readCheckpoint(this.#path) ?? this.#finished();
    if (known !== undefined && known.endReason !== null) {
      const { writer: _, ...final } = known;
      this.#final = final;
      this.#isSealed = true;
    } else this.attempt(nowUs, () => this.audio.reopen(this.#audioPath));
    return known;
  }

  /** Whether the audio is complete, and nothing is written to it any more. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** What is known of the stream has changed. False when it is another stream, or too long to be kept. */
  update(infoJson: string): boolean {
    const info = parseInfo(infoJson);
    if (info?.interactionId !== this.#info.interactionId || info.startedAtMs !== this.#info.startedAtMs) return false;
    if (!this.#memory.setText(this.#slot, SLOT.INFO_LENGTH, SLOT.INFO, SLOT.INFO_BYTES, infoJson)) return false;
    Object.assign(this.#info, { attributes: info.attributes });
    this.isUpdated = this.hasFolder;
    return true;
  }

  isRetryDue(nowUs: number): boolean {
    return nowUs >= this.#retryAtUs;
  }

  /** Tries at once what a recent failure would put off. */
  forgetFailure(): void {
    this.#retryAtUs = 0;
    this.#checkedAtUs = Number.NEGATIVE_INFINITY;
  }

  /** Runs `work` unless a failure is too recent. False when it was not run or failed. */
  attempt(nowUs: number, work: () => void): boolean {
    if (!this.isRetryDue(nowUs)) return false;
    try {
      work();
      return true;
    } catch (thrown) {
      this.#retryAtUs = nowUs + RETRY_US;
      if (thrown instanceof EarlierUnfinished) return false;
      this.#memory.count('writeErrors');
      const code = errnoOf(thrown);
      if (code === 'ENOENT' && this.hasFolder) this.#startOver(nowUs);
      this.reportFault(faultReport(code, this.#context.outDir));
      return false;
    }
  }

  /** Once a recording. */
  reportFault(report: string): void {
    if (this.#memory.int(this.#slot, SLOT.FAULTED) === 1) return;
    this.#memory.setInt(this.#slot, SLOT.FAULTED, 1);
    this.#memory.count('recordingsFaulted');
    this.#memory.report(report);
  }

  /** Makes sure that the files are open and have a name. Throws what node:fs throws, as do the following ones. */
  ensure(nowUs: number): void {
    if (this.#isThere(nowUs)) return;
    if (this.hasFolder) this.#startOver(nowUs);
    this.#folder = this.#join() ?? this.#create();
    this.#memory.setText(this.#slot, SLOT.FOLDER_LENGTH, SLOT.FOLDER, SLOT.FOLDER_BYTES, this.#folder);
    // Before any audio, so that a repair need not guess which call it is.
    this.checkpoint(nowUs);
  }

  /** Keeps a late packet of Opus for the end of the call. Returns the bytes written. */
  keepLate(packet: LatePacket): number {
    return this.#late.append(this.#latePath, packet);
  }

  /** Has something written into the audio. */
  write(nowUs: number, work: () => void): void {
    this.ensure(nowUs);
    work();
  }

  /** Brings header and checkpoint up to date when they are due. */
  keepUp(nowUs: number, checkpointEveryUs: number): void {
    this.ensure(nowUs);
    // Of an encrypted file nobody reads the header while it is written, and a repair neither.
    if (this.wav && this.#encryption === undefined && nowUs - this.#headerAtUs >= this.#context.headerUs) {
      this.#memory.count('bytesWritten', this.wav.writeHeader(this.wav.endSamples));
      this.#headerAtUs = nowUs;
    }
    if (this.isCheckpointDue(nowUs, checkpointEveryUs)) this.checkpoint(nowUs);
  }

  isCheckpointDue(nowUs: number, everyUs: number): boolean {
    const leastUs = this.isUpdated ? Math.min(everyUs, this.#context.flushUs) : everyUs;
    return nowUs - this.#checkpointAtUs >= leastUs;
  }

  checkpoint(nowUs: number): void {
    requireInside(this.#context.outDir, this.#folder);
    writeCheckpoint(this.#path, this.#manifest(false), this.#context.access.fileMode);
    this.#checkpointAtUs = nowUs;
    this.isUpdated = false;
    this.#content.checkpointed();
  }

  /** Gives the audio its final length and writes the manifest; once more after a conversion, or when it has thrown. */
  finish(nowUs: number, lengthSamples: number): void {
    if (!this.#isSealed) {
      this.ensure(nowUs);
      this.audio.seal(lengthSamples);
      this.audio.close();
      this.#late.close();
      this.#isSealed = true;
    }
    const { access, unfinished, writer } = this.#context;
    requireInside(this.#context.outDir, this.#folder);
    const final = this.#manifest(true);
    const works = this.conversion.hasBegun || lengthSamples === 0 ? [] : this.#worksFor(final);
    if (works.length > 0) {
      // With the end, which the next thread could not know; with the writer, so that a repair leaves it alone.
      writeCheckpoint(this.#path, { ...final, writer }, access.fileMode);
      this.conversion.begin(works);
      return;
    }
    const manifest = this.conversion.applyTo(final);
    // Last, because a manifest with an end says that the audio is complete; until then a repair would look after it.
    writeManifest(this.#path, manifest, access.fileMode);
    removeOriginals(this.#path, manifest);
    unfinished.finished(this.#folder);
    indexFinished(this.#context.outDir, this.#folder, manifest, access.fileMode);
  }

  /** Leaves the files to a repair, which then need not wait for this process to end. */
  abandon(): void {
    const manifest = this.hasFolder ? readCheckpoint(this.#path) : undefined;
    if (manifest === undefined || !isInside(this.#context.outDir, this.#folder)) return;
    const { writer: _, ...rest } = manifest;
    try {
      const marked = this.#memory.int(this.#slot, SLOT.INCOMPLETE) === 1 ? { ...rest, incomplete: true } : rest;
      writeCheckpoint(this.#path, marked, this.#context.access.fileMode);
    } catch {
      // Then the repair waits until this process has ended.
    }
  }

  /** Ends the work with the files; nobody but the recipients can read encrypted ones from now on. */
  close(): void {
    this.audio.close();
    this.#late.close();
    this.#encryption?.forgetKeys();
  }

  #isThere(nowUs: number): boolean {
    if (!this.audio.isOpen) return this.hasFolder && this.audio.reopen(this.#audioPath);
    if (nowUs - this.#checkedAtUs < this.#context.headerUs) return true;
    this.#checkedAtUs = nowUs;
    return this.audio.isLinked;
  }

  /** The folder was removed; what comes from now on gets a new one, at its position. */
  #startOver(nowUs: number): void {
    this.audio.close();
    this.#late.close();
    this.#context.unfinished.remove(this.#folder);
    this.#folder = '';
    this.#earlier = undefined;
    this.#isSealed = false;
    this.#final = undefined;
    this.conversion.reset();
    this.#memory.setInt(this.#slot, SLOT.FOLDER_LENGTH, 0);
    this.#content.removed(nowUs);
    this.reportFault(faultReport('ENOENT', this.#context.outDir));
  }

  #create(): string {
    const { access, unfinished } = this.#context;
    const taken = [MANIFEST_FILE, PARTIAL_FILE, AUDIO_FILE, `${AUDIO_FILE}${ENCRYPTED_EXTENSION}`];
    this.#segment = 1;
    return this.#context.places.make(this.#info, taken, (path, folder) => {
      unfinished.add(folder);
      try {
        this.audio.create(join(path, this.#fileName), access.fileMode);
      } catch (thrown) {
        if (errnoOf(thrown) === 'EEXIST') unfinished.remove(folder);
        throw thrown;
      }
    });
  }

  /** The folder of the stream that this one continues, with a further audio file; undefined when there is none. */
  #join(): string | undefined {
    const { outDir, access, unfinished } = this.#context;
    const folder = this.#context.places.earlierOf(this.#info);
    const isThere = folder !== undefined && isInside(outDir, folder);
    const earlier = isThere ? readManifest(join(outDir, folder)) : undefined;
    if (folder === undefined || earlier === undefined) return undefined;
    const former = this.#segment;
    this.#segment = segmentsOf(earlier).length + 1;
    unfinished.add(folder);
    try {
      this.audio.create(join(outDir, folder, this.#fileName), access.fileMode);
    } catch (thrown) {
      this.#segment = former;
      unfinished.remove(folder);
      // A thread that died here has left a file of which nothing is known.
      if (errnoOf(thrown) === 'EEXIST') return undefined;
      throw thrown;
    }
    this.#earlier = earlier;
    return folder;
  }

  #manifest(isFinal: boolean): Manifest {
    if (isFinal && this.#final !== undefined) return this.#final;
    const content = this.#content.manifest(isFinal);
    const names = this.opus && fileNames(this.#fileName, this.#info.channels);
    const own = { ...(this.#encryption?.manifest(content, isFinal) ?? content), ...names };
    const manifest = this.#earlier === undefined ? own : withSegment(this.#earlier, own, this.startMs);
    const isPending = this.#context.format !== 'wav' && segmentsOf(manifest).some(isWavFile);
    return isPending ? { ...manifest, notConverted: 'pending' } : manifest;
  }

  /** What is still to be done with audio that is complete. */
  #worksFor(final: Manifest): ConversionWork[] {
    const { usesNative, access } = this.#context;
    const { fileMode } = access;
    const works: ConversionWork[] = [];
    if (this.opus !== undefined && existsSync(this.#latePath)) {
      const paths = this.opus.paths(this.#audioPath);
      works.push(new OpusConversion(paths, this.#latePath, this.#info.sampleRate, fileMode, this.#encryption));
    }
    if (final.notConverted !== undefined && final.endReason !== 'formatChanged') {
      works.push(new FlacConversion(this.#path, final, fileMode, usesNative, this.#encryption));
    }
    return works;
  }

  #notConverted(code: string | undefined): void {
    this.#memory.count('recordingsNotConverted');
    if (code !== undefined) this.reportFault(`${faultReport(code, this.#context.outDir)} It is not converted.`);
  }

  /** The finished manifest, if it has this audio as well. */
  #finished(): Manifest | undefined {
    const manifest = readManifest(this.#path);
    return manifest !== undefined && segmentsOf(manifest).length >= this.#segment ? manifest : undefined;
  }

  get #segment(): number {
    return this.#memory.int(this.#slot, SLOT.SEGMENT);
  }

  set #segment(segment: number) {
    this.#memory.setInt(this.#slot, SLOT.SEGMENT, segment);
  }

  get #path(): string {
    return join(this.#context.outDir, this.#folder);
  }

  get #audioPath(): string {
    return join(this.#path, this.#fileName);
  }

  get #latePath(): string {
    return join(this.#path, `${lateFile(this.#segment)}${this.#encryption?.extension ?? ''}`);
  }

  get #fileName(): string {
    return `${segmentFile(this.#segment, this.opus === undefined ? 'wav' : 'opus')}${this.#encryption?.extension ?? ''}`;
  }
}

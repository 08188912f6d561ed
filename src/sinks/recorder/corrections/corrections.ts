import { FLAG } from '../../../ring/layout.js';
import { type SampleSource, sampleSource, type WriteBuffers } from '../buffers/write-buffers.js';
import type { AudioFile } from '../files/audio-file.js';
import { type RecorderMemory, SLOT } from '../recorder-memory.js';
import type { SpanTrack } from '../spans.js';

const ZEROS_SAMPLES = 4096;
const ZEROS = sampleSource(new SharedArrayBuffer(2 * ZEROS_SAMPLES));

/** What corrections need of their recording. */
export interface CorrectionsDependencies {
  readonly memory: RecorderMemory;
  /** Absolute offset of the recording's slot. */
  readonly slot: number;
  readonly channels: 1 | 2;
  readonly buffers: WriteBuffers;
  readonly audio: AudioFile;
  /** To interleave two channels in. */
  readonly scratch: Int16Array;
  /** Runs `work` with the file open, unless the disk has refused something a moment ago. False when it was not done. */
  write(nowUs: number, work: () => void): boolean;
  /** So many samples could not be written. */
  dropped(samples: number, nowUs: number): void;
}

/** Samples from `source.samples[at]` on that belong at `position`. */
interface Samples {
  readonly position: number;
  readonly source: SampleSource;
  readonly at: number;
}

/**
 * `count` samples from `source.samples[at]` on that belong at `position`. Without a source: no packet is missing there,
 * although it was taken for lost.
 */
export interface Correction {
  readonly position: number;
  readonly count: number;
  /** FLAG of ring/layout.ts. */
  readonly flags: number;
  readonly source: SampleSource | undefined;
  readonly at: number;
  /** Of a late packet that is stored as it came: its bytes, from byte `at` on. */
  readonly length?: number;
}

/**
 * Samples that replace those recorded before: in the write buffer, in the file, or partly in both. The audio of a late
 * packet (flag REPAIRED) only ever replaces what was lost: never the audio of another packet, and nothing in a pause. What
 * would lie behind the last frame is left out: a late packet was overtaken, and what overtook it comes first, as a frame
 * or as a mark; a frame that came to lie before the end would be taken for one that comes twice.
 * What the disk refuses is not tried again, since the disk may be full for long and late packets may be many: the
 * recording says then that it was not recorded.
 */
export class Corrections {
  readonly #use: CorrectionsDependencies;
  /** By channel: where the spans of the last checkpoint end. */
  readonly #savedTo = [0, 0];
  /** The last checkpoint says of a repaired stretch that it is lost: a kill would leave it so. */
  isUnsaved = false;

  constructor(dependencies: CorrectionsDependencies) {
    this.#use = dependencies;
  }

  take(track: SpanTrack, correction: Correction, nowUs: number): void {
    const { position, count, flags, source, at } = correction;
    if (source === undefined) {
      this.#takeBack(track, position, count, nowUs);
      return;
    }
    const samples = { position, source, at };
    const isRepair = (flags & FLAG.REPAIRED) !== 0;
    const end = position + count;
    const stretches = isRepair ? track.missing(position, end) : track.recorded(position, end);
    let dropped = 0;
    for (let i = 0; i < stretches.length; i += 2) {
      const start = stretches[i] as number;
      const length = (stretches[i + 1] as number) - start;
      const isWritten = this.#overwrite(track, start, length, samples, nowUs);
      if (isRepair) track.repaired(start, length, (flags & FLAG.SILENT) !== 0);
      if (isRepair && start < (this.#savedTo[track.channel] as number)) this.isUnsaved = true;
      if (isWritten) continue;
      track.notRecorded(start, length);
      dropped += length;
    }
    if (isRepair && stretches.length > 0 && dropped === 0) this.#use.memory.addInt(this.#use.slot, SLOT.REPAIRED, 1);
    if (isRepair && stretches.length === 0) this.#use.memory.count('latePacketsLeftOut');
    if (dropped > 0) this.#use.dropped(dropped, nowUs);
  }

  /** A checkpoint holds everything that is known of these tracks. */
  checkpointed(tracks: readonly SpanTrack[]): void {
    for (const { channel, end } of tracks) this.#savedTo[channel] = end;
    this.isUnsaved = false;
  }

  /** Takes back what was made up for lost packets. */
  #takeBack(track: SpanTrack, position: number, count: number, nowUs: number): void {
    const stretches = track.lost(position, position + count);
    for (let i = 0; i < stretches.length; i += 2) {
      const start = stretches[i] as number;
      const end = stretches[i + 1] as number;
      if (!this.#clear(track, start, end, nowUs)) continue;
      track.notSent(start, end - start);
      if (start < (this.#savedTo[track.channel] as number)) this.isUnsaved = true;
    }
  }

  /** Makes zeros of a stretch; false when a part of it has to go to the file and cannot. */
  #clear(track: SpanTrack, start: number, end: number, nowUs: number): boolean {
    for (let from = start; from < end; from += ZEROS_SAMPLES) {
      const zeros = { position: from, source: ZEROS, at: 0 };
      if (!this.#overwrite(track, from, Math.min(ZEROS_SAMPLES, end - from), zeros, nowUs)) return false;
    }
    return true;
  }

  /** False when a part of it has to go to the file and cannot. */
  #overwrite({ channel }: SpanTrack, start: number, length: number, from: Samples, nowUs: number): boolean {
    const { buffers } = this.#use;
    const end = start + length;
    const heldStart = buffers.heldStart(channel);
    const heldEnd = buffers.heldEnd(channel);
    buffers.overwrite(channel, start, length, from.source, from.at + start - from.position);
    const before = Math.min(end, heldStart);
    const after = Math.max(start, heldEnd);
    if (start >= before && after >= end) return true;
    return this.#use.write(nowUs, () => {
      if (start < before) this.#toFile(channel, start, before, from);
      if (after < end) this.#toFile(channel, Math.max(after, before), end, from);
    });
  }

  #toFile(channel: number, start: number, end: number, { source, position, at }: Samples): void {
    const { audio, channels, memory, scratch } = this.#use;
    const first = at + start - position;
    if (channels === 1) {
      memory.count('bytesWritten', audio.write(source.samples, 2 * first, end - start, start));
      return;
    }
    const most = scratch.length >> 1;
    for (let from = start; from < end; from += most) {
      const to = Math.min(end, from + most);
      scratch.fill(0, 0, 2 * (to - from));
      audio.read(scratch, from, to);
      for (let i = from; i < to; i++) scratch[2 * (i - from) + channel] = source.samples[first + i - start] as number;
      memory.count('bytesWritten', audio.write(scratch, 0, to - from, from));
    }
  }
}

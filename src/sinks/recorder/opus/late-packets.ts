import { FLAG } from '../../../ring/layout.js';
import type { Correction } from '../corrections/corrections.js';
import { type RecorderMemory, SLOT } from '../recorder-memory.js';
import type { SpanTrack } from '../spans.js';
import type { LatePacket } from './late-file.js';

/** What late packets need of their recording. */
export interface LatePacketsDependencies {
  readonly memory: RecorderMemory;
  /** Absolute offset of the recording's slot. */
  readonly slot: number;
  /** Keeps a packet for the end of the call; returns the bytes written. */
  keep(packet: LatePacket): number;
  /** Runs `work` with the files open, unless the disk has refused something a moment ago. False when it was not done. */
  write(nowUs: number, work: () => void): boolean;
  /** So many samples could not be written. */
  dropped(samples: number, nowUs: number): void;
}

/**
 * Late packets of a recording of packets: what Corrections is for samples. A packet is taken only as a whole, and only
 * where one is missing. It is kept beside the audio at once, and comes into its place when the call has ended.
 */
export class LatePackets {
  readonly #use: LatePacketsDependencies;
  /** By channel: where the spans of the last checkpoint end. */
  readonly #savedTo = [0, 0];
  isUnsaved = false;

  constructor(dependencies: LatePacketsDependencies) {
    this.#use = dependencies;
  }

  take(track: SpanTrack, { position, count, flags, source, at, length = 0 }: Correction, nowUs: number): void {
    const { memory, slot } = this.#use;
    const { channel } = track;
    if (source === undefined) {
      const lost = track.lost(position, position + count);
      for (let i = 0; i < lost.length; i += 2) {
        track.notSent(lost[i] as number, (lost[i + 1] as number) - (lost[i] as number));
      }
      return;
    }
    const missing = track.missing(position, position + count);
    let samples = 0;
    for (let i = 0; i < missing.length; i += 2) samples += (missing[i + 1] as number) - (missing[i] as number);
    if (samples < count || length === 0) {
      memory.count('latePacketsLeftOut');
      return;
    }
    const packet = { channel, position, samples: count, packet: source.bytes.subarray(at, at + length) };
    const isWritten = this.#use.write(nowUs, () => memory.count('bytesWritten', this.#use.keep(packet)));
    track.repaired(position, count, (flags & FLAG.SILENT) !== 0);
    if (position < (this.#savedTo[channel] as number)) this.isUnsaved = true;
    if (isWritten) {
      memory.addInt(slot, SLOT.REPAIRED, 1);
      return;
    }
    track.notRecorded(position, count);
    this.#use.dropped(count, nowUs);
  }

  /** A checkpoint holds everything that is known of these tracks. */
  checkpointed(tracks: readonly SpanTrack[]): void {
    for (const { channel, end } of tracks) this.#savedTo[channel] = end;
    this.isUnsaved = false;
  }
}

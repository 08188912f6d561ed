import type { Clock } from '../../core/clock.js';
import type { EndReason, FrameSink, FrameView, PcmSelection, StreamInfo, StreamSummary } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { GuardedReadable } from './guarded-readable.js';
import { Interleaver } from './interleaver.js';
import { LivePace } from './live-pace.js';

export interface ListenOptions {
  /**
   * Silence also while nothing arrives, by the clock, as in a pause or an interruption: a player never has to stop. What
   * arrives late is put out at most 200 ms late, so that the player stays close to the call. Default false: silence comes
   * when the audio after it does.
   */
  readonly realTime?: boolean;
}

/**
 * The audio of one stream from now on: 16-bit PCM, little-endian, at info.sampleRate; two channels are interleaved,
 * channel 0 first. Gaps of the time line are filled with zeros, so that the audio keeps its time; only a gap longer than
 * LIMITS.maxGapSeconds is skipped. Ends with the stream.
 *
 * It never makes the node wait: frames that a slow reader leaves no space for are dropped and counted.
 */
export class ListenStream extends GuardedReadable implements FrameSink {
  /** The stream's format. */
  readonly info: StreamInfo;
  /** Frames, or parts of both channels, that the reader was too slow for. */
  droppedFrames = 0;
  /** Why the stream has ended; undefined before its end, and when the reader left first. */
  endReason: EndReason | undefined;
  readonly #bufferBytes: number;
  readonly #maxGap: number;
  readonly #clock: Clock | undefined;
  readonly #pace: LivePace | undefined;
  readonly #interleaver: Interleaver | undefined;
  // End of what has been pushed or given up, in samples; −1 before the first frame.
  #end = -1;
  #ended = false;

  /** @param clock Makes it a stream in real time. */
  constructor(info: StreamInfo, options: { readonly clock?: Clock; readonly bufferBytes?: number } = {}) {
    const { clock, bufferBytes = LIMITS.monitorBufferBytes } = options;
    super({ highWaterMark: bufferBytes });
    this.info = info;
    this.#clock = clock;
    this.#pace = clock && new LivePace(info.sampleRate, clock.nowUs());
    this.#bufferBytes = bufferBytes;
    this.#maxGap = LIMITS.maxGapSeconds * info.sampleRate;
    this.#interleaver = info.channels === 2 ? new Interleaver(info.sampleRate, this.#put) : undefined;
  }

  get active(): boolean {
    return !this.#ended && !this.destroyed;
  }

  pcmSelection(info: StreamInfo): PcmSelection {
    return this.active && this.#isOurs(info) ? 'all' : 'none';
  }

  frame(frame: FrameView): void {
    this.#take(frame);
    this.throwRejection();
  }

  #take(frame: FrameView): void {
    if (!this.active || !this.#isOurs(frame.info)) return;
    const { channel, positionSamples, sampleCount, arrivalUs } = frame;
    // Samples that were not passed on were silent, or came before this listener was added.
    const pcm = frame.hasPcm ? frame.copyPcm() : new Int16Array(sampleCount);
    if (this.#interleaver === undefined) this.#put(positionSamples, pcm);
    else this.#interleaver.take(channel, positionSamples, pcm, arrivalUs);
  }

  /** Puts out the silence that is due in real time; to be called every 40 ms or so. */
  keepPace(nowUs: number): void {
    if (this.#pace === undefined || !this.active || !this.#pace.isDue(nowUs)) return;
    this.#interleaver?.flush();
    const zeros = this.#pace.fill(nowUs);
    if (zeros > 0) this.#pushWithin(0, new Int16Array(zeros * this.info.channels));
    this.throwRejection();
  }

  streamEnded(info: StreamInfo, summary?: StreamSummary): void {
    if (!this.active || !this.#isOurs(info)) return;
    this.endReason = summary?.endReason;
    this.#interleaver?.flush();
    this.push(null);
    this.throwRejection();
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk === null) this.#ended = true;
    return super.push(chunk);
  }

  override _read(): void {}

  #isOurs(info: StreamInfo): boolean {
    return info.stream === this.info.stream && info.interactionId === this.info.interactionId;
  }

  /** Samples of all channels that begin at `position`. */
  readonly #put = (position: number, pcm: Int16Array): void => {
    const { channels } = this.info;
    if (this.#pace !== undefined && this.#clock !== undefined) {
      this.#pace.place(position, pcm, channels, this.#clock.nowUs());
      this.#pushWithin(this.#pace.zeros, pcm.subarray(this.#pace.skip * channels));
      return;
    }
    const before = this.#end;
    this.#end = position + pcm.length / channels;
    const gap = before < 0 ? 0 : position - before;
    this.#pushWithin(gap > 0 && gap <= this.#maxGap ? gap : 0, pcm);
  };

  /** Drops what the reader has left no space for. */
  #pushWithin(zeros: number, pcm: Int16Array): void {
    const { channels } = this.info;
    const bytes = (zeros * channels + pcm.length) * 2;
    if (bytes === 0) return;
    if (this.readableLength + bytes > this.#bufferBytes) {
      this.droppedFrames++;
      return;
    }
    if (zeros > 0) this.push(Buffer.alloc(zeros * channels * 2));
    if (pcm.length > 0) this.push(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  }
}

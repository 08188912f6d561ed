import type { FrameSink, FrameView, PcmSelection, StreamInfo } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { GuardedReadable } from './guarded-readable.js';

export interface MonitorOptions {
  /** Silent frames as well. */
  readonly includeSilent?: boolean;
  /** Each frame's samples as base64 of 16-bit little-endian PCM; true when absent. */
  readonly payload?: boolean;
  /** Only this interaction. */
  readonly interactionId?: string;
  /** Bytes that may wait for the reader before whole frames are dropped. */
  readonly bufferBytes?: number;
}

/** One line of a monitor. */
export interface MonitorLine {
  readonly type: 'monitor';
  readonly interactionId: string;
  readonly channel: 0 | 1;
  readonly sequenceNumber: number;
  /** RTP timestamp, unwrapped. */
  readonly timestamp: number;
  /** From the start of the stream. */
  readonly positionMs: number;
  readonly sampleRate: number;
  readonly isSilent: boolean;
  readonly concealed: boolean;
  /** Level in decibels below full scale (RMS), −120 for digital silence. */
  readonly levelDbfs: number;
  /** Absent when no payload is wanted or none was passed on. */
  readonly payload?: string;
}

const SILENCE_DBFS = -120;

/**
 * Live audio as lines of JSON, one a frame, for any reader of a stream; until the first read it costs nothing. It never
 * makes the node wait: frames that a slow reader leaves no space for are dropped whole and counted.
 */
export class MonitorStream extends GuardedReadable implements FrameSink {
  /** Frames that the reader was too slow for. */
  droppedFrames = 0;
  readonly #options: MonitorOptions;
  readonly #bufferBytes: number;
  #attached = false;
  #ended = false;

  constructor(options: MonitorOptions = {}) {
    const bufferBytes = options.bufferBytes ?? LIMITS.monitorBufferBytes;
    super({ highWaterMark: bufferBytes });
    this.#options = options;
    this.#bufferBytes = bufferBytes;
  }

  /** Whether it is being read and has not ended. */
  get active(): boolean {
    return this.#attached && !this.#ended && !this.destroyed;
  }

  pcmSelection(info: StreamInfo): PcmSelection {
    if (this.#ended || this.destroyed || this.#options.payload === false || !this.#follows(info)) return 'none';
    return this.#options.includeSilent === true ? 'all' : 'speech';
  }

  frame(frame: FrameView): void {
    this.#take(frame);
    this.throwRejection();
  }

  #take(frame: FrameView): void {
    if (!this.active || !this.#follows(frame.info)) return;
    if (frame.isSilent && this.#options.includeSilent !== true) return;
    if (this.readableLength >= this.#bufferBytes) {
      this.droppedFrames++;
      return;
    }
    const line = Buffer.from(`${JSON.stringify(this.#line(frame))}\n`);
    if (this.readableLength + line.length > this.#bufferBytes) this.droppedFrames++;
    else this.push(line);
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk === null) this.#ended = true;
    return super.push(chunk);
  }

  override _read(): void {
    this.#attached = true;
  }

  #follows(info: StreamInfo): boolean {
    return this.#options.interactionId === undefined || this.#options.interactionId === info.interactionId;
  }

  #line(frame: FrameView): MonitorLine {
    const { info } = frame;
    const decibels = frame.meanSquare > 0 ? 10 * Math.log10(frame.meanSquare) : SILENCE_DBFS;
    return {
      type: 'monitor',
      interactionId: info.interactionId,
      channel: frame.channel,
      sequenceNumber: frame.sequenceNumber,
      timestamp: frame.timestamp,
      positionMs: Math.round((frame.positionSamples * 1e3) / info.sampleRate),
      sampleRate: info.sampleRate,
      isSilent: frame.isSilent,
      concealed: frame.concealed,
      levelDbfs: Math.max(SILENCE_DBFS, Math.round(decibels * 10) / 10),
      ...(this.#options.payload !== false && frame.hasPcm ? { payload: frame.copyPcmBytes().toString('base64') } : {}),
    };
  }
}

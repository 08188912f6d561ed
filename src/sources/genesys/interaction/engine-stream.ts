import { codecId, type StreamFormat } from '../../../core/codec.js';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import type { StreamIngest } from '../../../engine/input/ingest.js';
import { sameFormat } from '../protocol/formats.js';

const NONE = -1;

/** The engine's stream of one interaction. When the format changes, one stream ends and the next one begins. */
export class EngineStream {
  readonly #ingest: StreamIngest;
  readonly #interactionId: string;
  #index = NONE;
  #format: StreamFormat | undefined;
  /** Streams that were ended because another format began. */
  changes = 0;

  constructor(ingest: StreamIngest, interactionId: string) {
    this.#ingest = ingest;
    this.#interactionId = interactionId;
  }

  /** Index in the engine, −1 while none is open. */
  get index(): number {
    return this.#index;
  }

  get isOpen(): boolean {
    return this.#index >= 0;
  }

  /** CodecId of the open stream; 0 without one. */
  get codec(): number {
    return this.#format === undefined ? 0 : codecId(this.#format.codec);
  }

  /** Of the open stream; 0 without one. */
  get channels(): number {
    return this.#format?.channels ?? 0;
  }

  get format(): StreamFormat | undefined {
    return this.#format;
  }

  has(format: StreamFormat): boolean {
    return this.#format !== undefined && sameFormat(this.#format, format);
  }

  /** Whether packets of this codec and channel are packets of the open stream. */
  fits({ codec, channel }: { readonly codec: number; readonly channel: number }): boolean {
    return (codec < 0 || codec === this.codec) && channel < this.channels;
  }

  /**
   * Opens a stream; one that is open already ends, and the new one continues it in another format.
   * @throws TrunklineError when the engine refuses; then no stream is open.
   */
  open(format: StreamFormat): void {
    const continues = this.#index;
    this.#index = NONE;
    this.#format = undefined;
    try {
      this.#index = this.#ingest.openStream(this.#interactionId, format, continues >= 0 ? { continues } : {});
    } catch (error) {
      throw error instanceof TrunklineError ? error : new TrunklineError('ENGINE_FAILED', messageOf(error));
    }
    this.#format = format;
  }

  end(reason: EndReason): void {
    const index = this.#index;
    this.#index = NONE;
    this.#format = undefined;
    if (index >= 0) this.#ingest.endStream(index, reason);
  }

  /** The connection was lost: the next packets may begin another numbering. */
  interrupted(): void {
    if (this.isOpen) this.#ingest.streamInterrupted(this.#index);
  }

  pause(): void {
    if (this.isOpen) this.#ingest.pauseStream(this.#index);
  }

  /** Packets that arrive after `fromUs` are no longer withheld. */
  resume(fromUs: number): void {
    if (this.isOpen) this.#ingest.resumeStream(this.#index, fromUs);
  }
}

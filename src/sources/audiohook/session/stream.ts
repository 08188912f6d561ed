import { Buffer } from 'node:buffer';
import type { EndReason } from '../../../core/events.js';
import { channelMap, type SelectedMedia } from '../protocol/media.js';
import type { AudioHookSource } from '../source.js';
import { Packetiser } from './packetiser.js';
import type { OpenRequest } from './session-contract.js';

/** The session that feeds a stream. */
export interface StreamFeeder {
  readonly sessionId: string;
  /** Where its time line stands, in samples. */
  readonly positionSamples: number;
  /** There is no room for what it brings: let the client wait, until resumed() is called. */
  stalled(): void;
  resumed(): void;
}

/** One interaction's stream in the engine, fed by one session at a time. */
export class AudioHookStream {
  readonly interactionId: string;
  /** Index in the engine. */
  readonly index: number;
  readonly conversationId: string;
  readonly organizationId: string;
  /** What any other session sends is not taken. */
  feeder: StreamFeeder;
  /** Every session that fed it. */
  readonly sessionIds: string[];
  readonly #source: AudioHookSource;
  #media: SelectedMedia;
  #packetiser: Packetiser;
  /**
   * What found no room, in its order: each entry tries again and says whether it got through. The client is made to wait
   * meanwhile, so that it is little more than what one read of its socket brings.
   */
  readonly #waiting: (() => boolean)[] = [];
  /** When a stream without an owner ends; 0 while it has one. */
  heldUntilUs = 0;
  heldReason: EndReason = 'lost';
  ended = false;
  /** Our own pause; it outlasts the session that it was asked of. */
  paused = false;

  constructor(
    source: AudioHookSource,
    index: number,
    interactionId: string,
    feeder: StreamFeeder,
    request: OpenRequest,
    media: SelectedMedia,
  ) {
    this.#source = source;
    this.index = index;
    this.interactionId = interactionId;
    this.feeder = feeder;
    this.sessionIds = [feeder.sessionId];
    this.conversationId = request.conversationId;
    this.organizationId = request.organizationId;
    this.#media = media;
    this.#packetiser = new Packetiser(source.ingest.ordered, index, media, 0);
  }

  get ownerSessionId(): string {
    return this.feeder.sessionId;
  }

  get droppedSamples(): number {
    return this.#packetiser.droppedSamples;
  }

  /** Something waits for room. */
  get isStalled(): boolean {
    return this.#waiting.length > 0;
  }

  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): void {
    if (!this.isStalled && this.#packetiser.write(bytes, positionSamples, nowUs)) {
      this.#source.pushed();
      return;
    }
    // The bytes are the socket's, and valid only now.
    const kept = Buffer.from(bytes);
    this.#wait(() => this.#packetiser.write(kept, positionSamples, nowUs));
  }

  /** Lets go of audio that waits for more to fill a packet. */
  release(nowUs: number): void {
    if (!this.isStalled && this.#packetiser.release(nowUs)) this.#source.pushed();
  }

  flush(nowUs: number): void {
    this.#inOrder(() => this.#packetiser.flush(nowUs));
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number, nowUs: number): void {
    this.flush(nowUs);
    this.#inOrder(() => {
      this.#source.ingest.markSpan(this.index, -1, state, startSamples, lengthSamples);
      return true;
    });
  }

  /** True when `media` decodes to the same thing, so that a later session may carry this stream on. */
  fits(media: SelectedMedia): boolean {
    const mine = this.#media;
    return mine.format === media.format && mine.rate === media.rate && mine.channels.length === media.channels.length;
  }

  /** Another session takes over; the order of its channels may be another. */
  adopt(feeder: StreamFeeder, media: SelectedMedia, nowUs: number): void {
    this.flush(nowUs);
    if (this.isStalled) {
      this.feeder.resumed();
      feeder.stalled();
    }
    this.feeder = feeder;
    this.sessionIds.push(feeder.sessionId);
    this.heldUntilUs = 0;
    if (String(channelMap(media)) !== String(channelMap(this.#media))) {
      this.#inOrder(() => {
        const { sequence, droppedSamples } = this.#packetiser;
        this.#packetiser = new Packetiser(this.#source.ingest.ordered, this.index, media, sequence);
        this.#packetiser.droppedSamples = droppedSamples;
        return true;
      });
    }
    this.#media = media;
  }

  /** Ends it in the engine, once everything that waits has gone before. */
  end(reason: EndReason, nowUs: number): void {
    this.ended = true;
    this.flush(nowUs);
    this.#inOrder(() => {
      this.#source.ingest.endStream(this.index, reason);
      return true;
    });
  }

  /** Tries again to get rid of what waits; true when nothing does any more. */
  retry(): boolean {
    while (this.#waiting[0]?.() === true) this.#waiting.shift();
    if (this.isStalled) return false;
    this.feeder.resumed();
    return true;
  }

  #inOrder(step: () => boolean): void {
    if (this.isStalled || !step()) this.#wait(step);
    else this.#source.pushed();
  }

  #wait(step: () => boolean): void {
    if (this.#waiting.push(step) > 1) return;
    this.#source.stalled(this);
    this.feeder.stalled();
  }
}

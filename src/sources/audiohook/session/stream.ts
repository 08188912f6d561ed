import type { CallAttributes } from '../../../core/attributes/attributes.js';
import type { EndReason } from '../../../core/events.js';
import { MS_PER_SECOND } from '../../../core/units.js';
import type { Interleaved } from '../protocol/deinterleave.js';
import { channelMap, type SelectedMedia } from '../protocol/media.js';
import { Packetiser } from './packetiser.js';
import type { Publisher } from './publisher.js';
import type { OpenRequest } from './session-contract.js';

/** The session whose audio goes into a stream. */
export interface StreamOwner {
  readonly sessionId: string;
  /** The API key that the session was authenticated with. */
  readonly apiKey: string;
  /** What the address of its connection says of the call. */
  readonly attributes?: CallAttributes | undefined;
  /** Current position of its time line, in samples. */
  readonly positionSamples: number;
  /** The engine has no capacity for its audio: stop reading from the client until resumed() is called. */
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
  readonly apiKey: string;
  readonly openedUs: number;
  /** Audio of any other session is not taken. */
  owner: StreamOwner;
  /** Every session that has owned the stream. */
  readonly sessionIds: string[];
  readonly #publisher: Publisher;
  #media: SelectedMedia;
  #packetiser: Packetiser;
  /**
   * Steps that the engine had no capacity for, in order: each tries again and returns whether it succeeded. The client's
   * socket is not read meanwhile, so that there are few more than one read of it brings.
   */
  readonly #waiting: (() => boolean)[] = [];
  /** When a detached stream ends; 0 while it has an owner. */
  detachedUntilUs = 0;
  detachReason: EndReason = 'lost';
  ended = false;
  /** Our own pause; it continues in the session that continues the stream. */
  paused = false;
  /** The pause of the client, as its last session reported it. */
  clientPaused = false;

  constructor(
    publisher: Publisher,
    index: number,
    interactionId: string,
    owner: StreamOwner,
    request: OpenRequest,
    media: SelectedMedia,
    nowUs: number,
  ) {
    this.#publisher = publisher;
    this.index = index;
    this.interactionId = interactionId;
    this.owner = owner;
    this.sessionIds = [owner.sessionId];
    this.conversationId = request.conversationId;
    this.organizationId = request.organizationId;
    this.apiKey = owner.apiKey;
    this.openedUs = nowUs;
    this.#media = media;
    this.#packetiser = new Packetiser(publisher.ingest.ordered, publisher.deinterleaver, index, media, 0);
  }

  get ownerSessionId(): string {
    return this.owner.sessionId;
  }

  get droppedSamples(): number {
    return this.#packetiser.droppedSamples;
  }

  /** Something waits for capacity in the engine. */
  get isStalled(): boolean {
    return this.#waiting.length > 0;
  }

  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): void {
    if (!this.isStalled && this.#packetiser.write(bytes, positionSamples, nowUs)) {
      this.#publisher.schedule();
      return;
    }
    // The bytes belong to the socket and are valid only until this call returns.
    const copy = Uint8Array.from(bytes);
    this.#wait(() => this.#packetiser.write(copy, positionSamples, nowUs));
  }

  /** See Packetiser.writeWhole. */
  wholeAudio(samples: Interleaved, pairs: number, positionSamples: number, nowUs: number): boolean {
    if (this.isStalled || !this.#packetiser.writeWhole(samples, pairs, positionSamples, nowUs)) return false;
    this.#publisher.schedule((pairs / this.#media.rate) * MS_PER_SECOND);
    return true;
  }

  /** Sends audio that waits for more to fill a packet. */
  release(nowUs: number): void {
    if (!this.isStalled && this.#packetiser.release(nowUs)) this.#publisher.schedule();
  }

  flush(nowUs: number): void {
    this.#inOrder(() => this.#packetiser.flush(nowUs));
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number, nowUs: number): void {
    this.flush(nowUs);
    this.#inOrder(() => {
      this.#publisher.ingest.markSpan(this.index, -1, state, startSamples, lengthSamples);
      return true;
    });
  }

  /** True when `media` decodes to the same format, so that a later session may continue this stream. */
  fits(media: SelectedMedia): boolean {
    const mine = this.#media;
    return mine.format === media.format && mine.rate === media.rate && mine.channels.length === media.channels.length;
  }

  /** Another session takes over; the order of its channels may differ. */
  attach(owner: StreamOwner, media: SelectedMedia, nowUs: number): void {
    this.flush(nowUs);
    if (this.isStalled) {
      this.owner.resumed();
      owner.stalled();
    }
    this.owner = owner;
    this.sessionIds.push(owner.sessionId);
    this.detachedUntilUs = 0;
    if (String(channelMap(media)) !== String(channelMap(this.#media))) {
      this.#inOrder(() => {
        const { sequence, droppedSamples } = this.#packetiser;
        const { ingest, deinterleaver } = this.#publisher;
        this.#packetiser = new Packetiser(ingest.ordered, deinterleaver, this.index, media, sequence);
        this.#packetiser.droppedSamples = droppedSamples;
        return true;
      });
    }
    this.#media = media;
  }

  /** Ends the stream in the engine, after everything that waits. */
  end(reason: EndReason, nowUs: number): void {
    this.ended = true;
    this.flush(nowUs);
    this.#inOrder(() => {
      this.#publisher.ingest.endStream(this.index, reason);
      return true;
    });
  }

  /** Retries the steps that wait; true when none is left. */
  retry(): boolean {
    while (this.#waiting[0]?.() === true) this.#waiting.shift();
    if (this.isStalled) return false;
    this.owner.resumed();
    return true;
  }

  #inOrder(step: () => boolean): void {
    if (this.isStalled || !step()) this.#wait(step);
    else this.#publisher.schedule();
  }

  #wait(step: () => boolean): void {
    if (this.#waiting.push(step) > 1) return;
    this.#publisher.stalled(this);
    this.owner.stalled();
  }
}

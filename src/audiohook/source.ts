import { messageOf, TrunklineError } from '../core/errors.js';
import type { EndReason } from '../core/events.js';
import type { StreamIngest } from '../engine/ingest.js';
import { channelMap, type SelectedMedia, streamFormat } from './media.js';
import { Packetiser } from './packetiser.js';
import type { OpenRequest } from './session-contract.js';

/** Frames are 200 ms long where it matters, so a few more are nothing to them. */
const SUBMIT_MS = 4;

/** One interaction's stream in the engine, fed by one session at a time. */
export class AudioHookStream {
  readonly interactionId: string;
  /** Index in the engine. */
  readonly index: number;
  readonly conversationId: string;
  readonly organizationId: string;
  /** The session that feeds it; what any other one sends is not taken. */
  ownerSessionId: string;
  /** Every session that fed it. */
  readonly sessionIds: string[];
  /** Where its owner's time line stands, in samples. */
  positionOf: () => number = () => 0;
  readonly #source: AudioHookSource;
  #media: SelectedMedia;
  #packetiser: Packetiser;
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
    sessionId: string,
    request: OpenRequest,
    media: SelectedMedia,
  ) {
    this.#source = source;
    this.index = index;
    this.interactionId = interactionId;
    this.ownerSessionId = sessionId;
    this.sessionIds = [sessionId];
    this.conversationId = request.conversationId;
    this.organizationId = request.organizationId;
    this.#media = media;
    this.#packetiser = new Packetiser(source.ingest.batch, index, media, 0);
  }

  get droppedSamples(): number {
    return this.#packetiser.droppedSamples;
  }

  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): void {
    this.#packetiser.write(bytes, positionSamples, nowUs);
    this.#source.pushed();
  }

  /** Lets go of audio that waits for more to fill a packet. */
  release(nowUs: number): void {
    if (this.#packetiser.release(nowUs)) this.#source.pushed();
  }

  flush(nowUs: number): void {
    this.#packetiser.flush(nowUs);
    this.#source.pushed();
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number, nowUs: number): void {
    this.#packetiser.flush(nowUs);
    // The audio before the stretch has to be on the time line before the stretch is.
    this.#source.submit();
    this.#source.ingest.markSpan(this.index, -1, state, startSamples, lengthSamples);
  }

  /** True when `media` decodes to the same thing, so that a later session may carry this stream on. */
  fits(media: SelectedMedia): boolean {
    const mine = this.#media;
    return mine.format === media.format && mine.rate === media.rate && mine.channels.length === media.channels.length;
  }

  /** Another session takes over; the order of its channels may be another. */
  adopt(sessionId: string, media: SelectedMedia, nowUs: number): void {
    this.flush(nowUs);
    this.ownerSessionId = sessionId;
    this.sessionIds.push(sessionId);
    this.heldUntilUs = 0;
    if (String(channelMap(media)) !== String(channelMap(this.#media))) {
      const dropped = this.#packetiser.droppedSamples;
      this.#packetiser = new Packetiser(this.#source.ingest.batch, this.index, media, this.#packetiser.sequence);
      this.#packetiser.droppedSamples = dropped;
    }
    this.#media = media;
  }
}

export interface OpenedStream {
  readonly stream: AudioHookStream;
  /** Where the session's samples begin on the stream's time line. */
  readonly baseSamples: number;
}

/**
 * The streams of all AudioHook sessions: opens them in the engine, keeps those of a session that broke off or was
 * asked to reconnect for a while, and joins the session that continues it to the same stream.
 */
export class AudioHookSource {
  readonly ingest: StreamIngest;
  readonly #bySession = new Map<string, AudioHookStream>();
  readonly #byInteraction = new Map<string, AudioHookStream>();
  readonly #held = new Set<AudioHookStream>();
  #pending = false;

  constructor(ingest: StreamIngest) {
    this.ingest = ingest;
  }

  /** Streams that wait for a session to continue them. */
  get heldStreams(): number {
    return this.#held.size;
  }

  /** The open stream of that interaction, held ones included. */
  find(interactionId: string): AudioHookStream | undefined {
    return this.#byInteraction.get(interactionId);
  }

  /**
   * The stream for a session: the one it continues, or a new one. The interaction's id is the conversation's; a second
   * session of the same conversation at the same time gets its own id added.
   * @throws TrunklineError as openStream does.
   */
  open(sessionId: string, request: OpenRequest, media: SelectedMedia, nowUs: number): OpenedStream {
    for (const { id } of request.continuedSessions) {
      const joined = this.#join(id.toLowerCase(), sessionId, request, media, nowUs);
      if (joined !== undefined) return joined;
    }
    const conversation = request.conversationId.toLowerCase();
    const taken = this.#byInteraction.has(conversation);
    const { interactionId, index } = this.#openFirstFree(
      taken ? [] : [conversation],
      `${conversation}.${sessionId}`,
      media,
    );
    const stream = new AudioHookStream(this, index, interactionId, sessionId, request, media);
    this.#byInteraction.set(interactionId, stream);
    this.#bySession.set(sessionId, stream);
    return { stream, baseSamples: 0 };
  }

  /** A session let go of its stream; it ends at `heldUntilUs` unless another session continues it. */
  hold(stream: AudioHookStream, sessionId: string, reason: EndReason, heldUntilUs: number): void {
    if (stream.ownerSessionId !== sessionId) return;
    stream.heldUntilUs = heldUntilUs;
    stream.heldReason = reason;
    this.#held.add(stream);
  }

  end(stream: AudioHookStream, sessionId: string, reason: EndReason, nowUs: number): void {
    if (stream.ended || stream.ownerSessionId !== sessionId) return;
    stream.ended = true;
    stream.flush(nowUs);
    this.submit();
    this.ingest.endStream(stream.index, reason);
    this.#held.delete(stream);
    this.#byInteraction.delete(stream.interactionId);
    for (const id of stream.sessionIds) this.#bySession.delete(id);
  }

  /** Ends the streams that nobody continued in time; with no time given, all that are held. */
  sweep(nowUs: number, dueUs = nowUs): void {
    for (const stream of this.#held) {
      if (stream.heldUntilUs <= dueUs) this.end(stream, stream.ownerSessionId, stream.heldReason, nowUs);
    }
  }

  /** Packets wait in the batch, and go to the engine with those of other sessions: waking a shard costs more than a frame. */
  pushed(): void {
    if (this.#pending) return;
    this.#pending = true;
    setTimeout(this.#submitPending, SUBMIT_MS);
  }

  submit(): void {
    this.#pending = false;
    this.ingest.submit();
  }

  readonly #submitPending = (): void => {
    if (this.#pending) this.submit();
  };

  #openFirstFree(
    preferred: readonly string[],
    last: string,
    media: SelectedMedia,
  ): { interactionId: string; index: number } {
    for (const interactionId of preferred) {
      try {
        return { interactionId, index: this.ingest.openStream(interactionId, streamFormat(media), { ordered: true }) };
      } catch (thrown) {
        // Another source of the same engine may be capturing the call already.
        if (!(thrown instanceof TrunklineError) || thrown.code !== 'STREAM_EXISTS') throw thrown;
      }
    }
    return { interactionId: last, index: this.ingest.openStream(last, streamFormat(media), { ordered: true }) };
  }

  #join(
    continuedId: string,
    sessionId: string,
    request: OpenRequest,
    media: SelectedMedia,
    nowUs: number,
  ): OpenedStream | undefined {
    const stream = this.#bySession.get(continuedId);
    if (stream === undefined || !stream.fits(media) || !sameCall(stream, request)) return undefined;
    const end = stream.positionOf();
    stream.adopt(sessionId, media, nowUs);
    this.#held.delete(stream);
    this.#bySession.set(sessionId, stream);
    // A client that carries its own time line on says so by its position; what lies between came to nobody.
    const base = Math.max(end, request.positionSamples);
    if (base > end) stream.mark('discarded', end, base - end, nowUs);
    return { stream, baseSamples: base };
  }
}

function sameCall(stream: AudioHookStream, request: OpenRequest): boolean {
  return (
    stream.conversationId.toLowerCase() === request.conversationId.toLowerCase() &&
    stream.organizationId.toLowerCase() === request.organizationId.toLowerCase()
  );
}

/** Why a stream could not be opened, for the client: nothing of our inside. */
export function openFailure(thrown: unknown): { info: string; detail: string } {
  const full = thrown instanceof TrunklineError && thrown.code === 'LIMIT_EXCEEDED';
  return { info: full ? 'No capacity left' : 'Internal server error', detail: messageOf(thrown) };
}

import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import type { OrderedStreamIngest, StreamOptions } from '../../../engine/input/ingest.js';
import { mergedAttributes } from '../protocol/call-attributes.js';
import type { Deinterleaver } from '../protocol/deinterleave.js';
import { type SelectedMedia, streamFormat } from '../protocol/media.js';
import { Publisher } from './publisher.js';
import type { OpenRequest } from './session-contract.js';
import { AudioHookStream, type StreamOwner } from './stream.js';
import { isAheadOfClock } from './time-line.js';

export interface OpenedStream {
  readonly stream: AudioHookStream;
  /** Position on the stream's time line at which the session's samples begin. */
  readonly baseSamples: number;
}

/** Why a session may not continue the stream that it names. It gets a stream of its own, except for `ahead`. */
export type ContinuationRefusal =
  /** The stream belongs to a session of another API key. */
  | 'key'
  /** The stream belongs to another organization or conversation. */
  | 'call'
  /** The medium differs from the stream's. */
  | 'format'
  /** The position is too far ahead of the clock. */
  | 'ahead';

/**
 * The streams of all AudioHook sessions. Opens them in the engine, keeps the stream of a session that broke off or was
 * asked to reconnect for a while, and joins the session that continues it to the same stream.
 */
export class AudioHookStreams {
  readonly #publisher: Publisher;
  readonly #bySession = new Map<string, AudioHookStream>();
  readonly #byInteraction = new Map<string, AudioHookStream>();
  /** Streams without a session. */
  readonly #detached = new Set<AudioHookStream>();
  readonly #refused: (reason: ContinuationRefusal, owner: StreamOwner) => void;

  constructor(
    ingest: OrderedStreamIngest,
    deinterleaver: Deinterleaver,
    refused: (reason: ContinuationRefusal, owner: StreamOwner) => void,
  ) {
    this.#refused = refused;
    this.#publisher = new Publisher(ingest, deinterleaver);
  }

  /** Number of streams that wait for a session to continue them. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /** Every open stream. */
  openStreams(): IterableIterator<AudioHookStream> {
    return this.#byInteraction.values();
  }

  /** The open stream of that interaction, attached to a session or not. */
  find(interactionId: string): AudioHookStream | undefined {
    return this.#byInteraction.get(interactionId);
  }

  /**
   * The stream for a session: the one it continues, or a new one. The interaction's id is the conversation's; a second
   * session of the same conversation at the same time gets its own id appended. A session whose id returns continues its
   * own stream. `ahead` when the position of a continuing session is too far ahead of the clock.
   * @throws TrunklineError as openStream does.
   */
  open(owner: StreamOwner, request: OpenRequest, media: SelectedMedia, nowUs: number): OpenedStream | 'ahead' {
    const { sessionId } = owner;
    for (const id of new Set([...request.continuedSessions.map(({ id }) => id.toLowerCase()), sessionId])) {
      const stream = this.#bySession.get(id);
      if (stream === undefined) continue;
      const refusal = refusalOf(stream, owner, request, media, nowUs);
      if (refusal === undefined) return this.#join(stream, owner, request, media, nowUs);
      this.#refused(refusal, owner);
      if (refusal === 'ahead') return refusal;
    }
    const conversation = request.conversationId.toLowerCase();
    const taken = this.#byInteraction.has(conversation);
    const { interactionId, index } = this.#openFirstFree(
      taken ? [] : [conversation],
      `${conversation}.${sessionId}`,
      media,
      {
        organizationId: request.organizationId.toLowerCase(),
        attributes: mergedAttributes(owner.attributes ?? {}, request.attributes),
      },
    );
    const stream = new AudioHookStream(this.#publisher, index, interactionId, owner, request, media, nowUs);
    this.#byInteraction.set(interactionId, stream);
    // An id that another key uses already keeps its stream.
    const known = this.#bySession.get(sessionId);
    if (known === undefined || known.apiKey === owner.apiKey) this.#bySession.set(sessionId, stream);
    return { stream, baseSamples: 0 };
  }

  /** Detaches a stream from its session; it ends at `untilUs` unless another session continues it. */
  detach(stream: AudioHookStream, owner: StreamOwner, reason: EndReason, untilUs: number): void {
    if (stream.owner !== owner) return;
    stream.detachedUntilUs = untilUs;
    stream.detachReason = reason;
    this.#detached.add(stream);
  }

  end(stream: AudioHookStream, owner: StreamOwner, reason: EndReason, nowUs: number): void {
    if (stream.ended || stream.owner !== owner) return;
    stream.end(reason, nowUs);
    this.#detached.delete(stream);
    this.#byInteraction.delete(stream.interactionId);
    for (const id of stream.sessionIds) if (this.#bySession.get(id) === stream) this.#bySession.delete(id);
  }

  /** Ends a stream that waits for a session. False when that interaction has none. */
  endDetachedOf(interactionId: string, nowUs: number): boolean {
    const stream = this.#byInteraction.get(interactionId);
    if (stream === undefined || !this.#detached.has(stream)) return false;
    this.end(stream, stream.owner, 'stopped', nowUs);
    return true;
  }

  /** Gives the sessions that continue detached streams more time. */
  extendTimers(byUs: number): void {
    for (const stream of this.#detached) stream.detachedUntilUs += byUs;
  }

  /** Ends the detached streams that no session continued by `dueUs`. */
  endDetached(nowUs: number, dueUs = nowUs): void {
    for (const stream of this.#detached) {
      if (stream.detachedUntilUs <= dueUs) this.end(stream, stream.owner, stream.detachReason, nowUs);
    }
  }

  /** Resolves when no stream waits for capacity in the engine. */
  flowing(): Promise<void> {
    return this.#publisher.flowing();
  }

  #openFirstFree(
    preferred: readonly string[],
    last: string,
    media: SelectedMedia,
    described: Pick<StreamOptions, 'organizationId' | 'attributes'>,
  ): { interactionId: string; index: number } {
    const { ingest } = this.#publisher;
    const options = { ordered: true, ...described };
    for (const interactionId of preferred) {
      try {
        return { interactionId, index: ingest.openStream(interactionId, streamFormat(media), options) };
      } catch (thrown) {
        // Another source of the same engine may be capturing the call already.
        if (!(thrown instanceof TrunklineError) || thrown.code !== 'STREAM_EXISTS') throw thrown;
      }
    }
    return { interactionId: last, index: ingest.openStream(last, streamFormat(media), options) };
  }

  #join(
    stream: AudioHookStream,
    owner: StreamOwner,
    request: OpenRequest,
    media: SelectedMedia,
    nowUs: number,
  ): OpenedStream {
    const end = stream.owner.positionSamples;
    stream.attach(owner, media, nowUs);
    this.#detached.delete(stream);
    this.#bySession.set(owner.sessionId, stream);
    // A client that continues its own time line reports its position; the audio in between was never received.
    const base = Math.max(end, request.positionSamples);
    if (base > end) stream.mark('discarded', end, base - end, nowUs);
    return { stream, baseSamples: base };
  }
}

function refusalOf(
  stream: AudioHookStream,
  owner: StreamOwner,
  request: OpenRequest,
  media: SelectedMedia,
  nowUs: number,
): ContinuationRefusal | undefined {
  if (stream.apiKey !== owner.apiKey) return 'key';
  const isSameCall =
    stream.conversationId.toLowerCase() === request.conversationId.toLowerCase() &&
    stream.organizationId.toLowerCase() === request.organizationId.toLowerCase();
  if (!isSameCall) return 'call';
  if (!stream.fits(media)) return 'format';
  return isAheadOfClock(request.positionSamples / media.rate, nowUs - stream.openedUs) ? 'ahead' : undefined;
}

/** Why a stream could not be opened: `info` for the client, without internals, and `detail` for the log. */
export function openFailure(thrown: unknown): { info: string; detail: string } {
  const full = thrown instanceof TrunklineError && thrown.code === 'LIMIT_EXCEEDED';
  return { info: full ? 'No capacity left' : 'Internal server error', detail: messageOf(thrown) };
}

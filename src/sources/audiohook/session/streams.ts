import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import type { OrderedStreamIngest } from '../../../engine/input/ingest.js';
import { type SelectedMedia, streamFormat } from '../protocol/media.js';
import { Publisher } from './publisher.js';
import type { OpenRequest } from './session-contract.js';
import { AudioHookStream, type StreamOwner } from './stream.js';

export interface OpenedStream {
  readonly stream: AudioHookStream;
  /** Position on the stream's time line at which the session's samples begin. */
  readonly baseSamples: number;
}

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

  constructor(ingest: OrderedStreamIngest) {
    this.#publisher = new Publisher(ingest);
  }

  /** Number of streams that wait for a session to continue them. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /** The open stream of that interaction, attached to a session or not. */
  find(interactionId: string): AudioHookStream | undefined {
    return this.#byInteraction.get(interactionId);
  }

  /**
   * The stream for a session: the one it continues, or a new one. The interaction's id is the conversation's; a second
   * session of the same conversation at the same time gets its own id appended.
   * @throws TrunklineError as openStream does.
   */
  open(owner: StreamOwner, request: OpenRequest, media: SelectedMedia, nowUs: number): OpenedStream {
    const { sessionId } = owner;
    for (const { id } of request.continuedSessions) {
      const joined = this.#join(id.toLowerCase(), owner, request, media, nowUs);
      if (joined !== undefined) return joined;
    }
    const conversation = request.conversationId.toLowerCase();
    const taken = this.#byInteraction.has(conversation);
    const { interactionId, index } = this.#openFirstFree(
      taken ? [] : [conversation],
      `${conversation}.${sessionId}`,
      media,
    );
    const stream = new AudioHookStream(this.#publisher, index, interactionId, owner, request, media);
    this.#byInteraction.set(interactionId, stream);
    this.#bySession.set(sessionId, stream);
    return { stream, baseSamples: 0 };
  }

  /** Detaches a stream from its session; it ends at `untilUs` unless another session continues it. */
  detach(stream: AudioHookStream, sessionId: string, reason: EndReason, untilUs: number): void {
    if (stream.ownerSessionId !== sessionId) return;
    stream.detachedUntilUs = untilUs;
    stream.detachReason = reason;
    this.#detached.add(stream);
  }

  end(stream: AudioHookStream, sessionId: string, reason: EndReason, nowUs: number): void {
    if (stream.ended || stream.ownerSessionId !== sessionId) return;
    stream.end(reason, nowUs);
    this.#detached.delete(stream);
    this.#byInteraction.delete(stream.interactionId);
    for (const id of stream.sessionIds) this.#bySession.delete(id);
  }

  /** Ends the detached streams that no session continued by `dueUs`. */
  endDetached(nowUs: number, dueUs = nowUs): void {
    for (const stream of this.#detached) {
      if (stream.detachedUntilUs <= dueUs) this.end(stream, stream.ownerSessionId, stream.detachReason, nowUs);
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
  ): { interactionId: string; index: number } {
    const { ingest } = this.#publisher;
    for (const interactionId of preferred) {
      try {
        return { interactionId, index: ingest.openStream(interactionId, streamFormat(media), { ordered: true }) };
      } catch (thrown) {
        // Another source of the same engine may be capturing the call already.
        if (!(thrown instanceof TrunklineError) || thrown.code !== 'STREAM_EXISTS') throw thrown;
      }
    }
    return { interactionId: last, index: ingest.openStream(last, streamFormat(media), { ordered: true }) };
  }

  #join(
    continuedId: string,
    owner: StreamOwner,
    request: OpenRequest,
    media: SelectedMedia,
    nowUs: number,
  ): OpenedStream | undefined {
    const stream = this.#bySession.get(continuedId);
    if (stream === undefined || !stream.fits(media) || !sameCall(stream, request)) return undefined;
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

function sameCall(stream: AudioHookStream, request: OpenRequest): boolean {
  return (
    stream.conversationId.toLowerCase() === request.conversationId.toLowerCase() &&
    stream.organizationId.toLowerCase() === request.organizationId.toLowerCase()
  );
}

/** Why a stream could not be opened: `info` for the client, without internals, and `detail` for the log. */
export function openFailure(thrown: unknown): { info: string; detail: string } {
  const full = thrown instanceof TrunklineError && thrown.code === 'LIMIT_EXCEEDED';
  return { info: full ? 'No capacity left' : 'Internal server error', detail: messageOf(thrown) };
}

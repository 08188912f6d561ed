import { messageOf, TrunklineError } from '../../core/errors.js';
import type { EndReason } from '../../core/events.js';
import type { OrderedStreamIngest } from '../../engine/input/ingest.js';
import { type SelectedMedia, streamFormat } from './protocol/media.js';
import type { OpenRequest } from './session/session-contract.js';
import { AudioHookStream, type StreamFeeder } from './session/stream.js';

/** Frames are 200 ms long where it matters, so a few more are nothing to them. */
const PUBLISH_MS = 4;

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
  readonly ingest: OrderedStreamIngest;
  readonly #bySession = new Map<string, AudioHookStream>();
  readonly #byInteraction = new Map<string, AudioHookStream>();
  readonly #held = new Set<AudioHookStream>();
  /** Streams with something that found no room, in the order in which that happened. */
  readonly #stalled = new Set<AudioHookStream>();
  readonly #whenFlowing: (() => void)[] = [];
  #pending = false;

  constructor(ingest: OrderedStreamIngest) {
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
  open(feeder: StreamFeeder, request: OpenRequest, media: SelectedMedia, nowUs: number): OpenedStream {
    const { sessionId } = feeder;
    for (const { id } of request.continuedSessions) {
      const joined = this.#join(id.toLowerCase(), feeder, request, media, nowUs);
      if (joined !== undefined) return joined;
    }
    const conversation = request.conversationId.toLowerCase();
    const taken = this.#byInteraction.has(conversation);
    const { interactionId, index } = this.#openFirstFree(
      taken ? [] : [conversation],
      `${conversation}.${sessionId}`,
      media,
    );
    const stream = new AudioHookStream(this, index, interactionId, feeder, request, media);
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
    stream.end(reason, nowUs);
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

  /** Packets wait to be shown to their shards with those of other sessions: waking one costs more than a frame. */
  pushed(): void {
    if (this.#pending) return;
    this.#pending = true;
    setTimeout(this.#onTimer, PUBLISH_MS);
  }

  /** A stream has something that found no room: it tries again until it does. */
  stalled(stream: AudioHookStream): void {
    this.#stalled.add(stream);
    // Shards make room only by what they have been shown.
    this.ingest.ordered.publish();
    this.pushed();
  }

  /** Resolves when no stream waits for room any more. */
  flowing(): Promise<void> {
    if (this.#stalled.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenFlowing.push(resolve));
  }

  readonly #onTimer = (): void => {
    this.#pending = false;
    for (const stream of this.#stalled) if (stream.retry()) this.#stalled.delete(stream);
    this.ingest.ordered.publish();
    if (this.#stalled.size > 0) this.pushed();
    else for (const resolve of this.#whenFlowing.splice(0)) resolve();
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
    feeder: StreamFeeder,
    request: OpenRequest,
    media: SelectedMedia,
    nowUs: number,
  ): OpenedStream | undefined {
    const stream = this.#bySession.get(continuedId);
    if (stream === undefined || !stream.fits(media) || !sameCall(stream, request)) return undefined;
    const end = stream.feeder.positionSamples;
    stream.adopt(feeder, media, nowUs);
    this.#held.delete(stream);
    this.#bySession.set(feeder.sessionId, stream);
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

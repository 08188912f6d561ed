import { z } from 'zod';
import type { Clock } from '../../../core/clock.js';
import { MS_PER_SECOND } from '../../../core/units.js';
import { readFailure, requestError } from './platform.js';
import type { Rest } from './rest.js';

/** `ended`: less than a minute ago, its media can still be had. `expired`: longer ago. */
export type Availability = 'active' | 'ended' | 'expired' | 'notFound';

/** Media of an ended interaction can be had for this long. */
export const AVAILABILITY_WINDOW_MS = 60 * MS_PER_SECOND;

const time = z.string().nullish().catch(undefined);
const voice = z.object({
  state: z.string().nullish().catch(undefined),
  mediaType: z.string().nullish().catch(undefined),
  endTime: time,
  disconnectedTime: time,
});
const voices = z.array(voice).nullish().catch(undefined);
const conversation = z.object({
  endTime: time,
  participants: z
    .array(z.object({ calls: voices, sessions: voices }))
    .nullish()
    .catch(undefined),
});
const extended = z.object({ body: z.unknown() });

/** The body of an answer of the SDK, whether it is an extended response or the body itself. */
export function bodyOf(answer: unknown): unknown {
  const wrapped = extended.safeParse(answer);
  return wrapped.success ? wrapped.data.body : answer;
}

/**
 * Whether a conversation resource (or the SDK's extended response that holds one) has media. It ended when the last of
 * its participants' calls or voice sessions did, or at its own end time; one whose calls name no end is active.
 */
export function judgeConversation(resource: unknown, nowMs: number): Exclude<Availability, 'notFound'> {
  const read = conversation.safeParse(bodyOf(resource));
  const endMs = read.success ? endOf(read.data) : undefined;
  if (endMs === undefined) return 'active';
  return nowMs - endMs < AVAILABILITY_WINDOW_MS ? 'ended' : 'expired';
}

function endOf(read: z.infer<typeof conversation>): number | undefined {
  let latest: number | undefined;
  for (const participant of read.participants ?? []) {
    const sessions = (participant.sessions ?? []).filter((session) => (session.mediaType ?? 'voice') === 'voice');
    for (const session of [...(participant.calls ?? []), ...sessions]) {
      const endMs = millis(session.disconnectedTime) ?? millis(session.endTime);
      // One that goes on keeps the conversation going, unless the conversation itself knows better.
      if (endMs === undefined && session.state !== 'disconnected' && session.state !== 'terminated') {
        return millis(read.endTime);
      }
      if (endMs !== undefined) latest = Math.max(latest ?? endMs, endMs);
    }
  }
  return latest ?? millis(read.endTime);
}

function millis(text: string | null | undefined): number | undefined {
  const parsed = Date.parse(text ?? '');
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** Asks REST about conversations. */
export class Conversations {
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #seen: (interactionId: string, resource: unknown) => void;

  /** @param seen takes each conversation resource that REST has answered with. */
  constructor(rest: Rest, clock: Clock, seen: (interactionId: string, resource: unknown) => void = () => {}) {
    this.#rest = rest;
    this.#clock = clock;
    this.#seen = seen;
  }

  /**
   * @param tokenTaken The first request has its token of the bucket already.
   * @throws TrunklineError AUTH_FAILED, RATE_LIMITED or CONNECTION_FAILED when the platform cannot be asked.
   */
  async availability(interactionId: string, tokenTaken = false): Promise<Availability> {
    const resource = await this.resource(interactionId, tokenTaken);
    return resource === undefined ? 'notFound' : judgeConversation(resource, this.#clock.wallMs());
  }

  /** The resource itself, undefined when there is none. @throws TrunklineError as `availability` does. */
  async resource(interactionId: string, tokenTaken = false): Promise<unknown> {
    try {
      const answer: unknown = await this.#rest.request(
        ({ conversations }) => conversations.getConversation(interactionId),
        tokenTaken,
      );
      this.#seen(interactionId, answer);
      return answer;
    } catch (error) {
      if (error instanceof Error && error.name === 'TrunklineError') throw error;
      const failure = readFailure(error);
      if (failure.status === 404) return undefined;
      throw requestError('Asking for a conversation', failure);
    }
  }
}

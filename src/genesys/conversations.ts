import { z } from 'zod';
import { MS_PER_SECOND } from '../core/units.js';
import { isTransient, readFailure, requestError } from './platform.js';
import type { TokenBucket } from './rate-limit.js';
import { parseRetryAfterUs, withRetry } from './retry.js';
import type { SignIn, SignInEnvironment } from './sign-in.js';

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

/**
 * Whether a conversation resource (or the SDK's extended response that holds one) has media to be had. It ended when
 * the last of its participants' calls or voice sessions did, or when it says itself that it has; one whose calls say
 * nothing of an end is active.
 */
export function judgeConversation(resource: unknown, nowMs: number): Exclude<Availability, 'notFound'> {
  const wrapped = extended.safeParse(resource);
  const read = conversation.safeParse(wrapped.success ? wrapped.data.body : resource);
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

/** Asks REST about conversations, within the request budget; 401 renews the token once. */
export class Conversations {
  readonly #signIn: SignIn;
  readonly #bucket: TokenBucket;
  readonly #environment: SignInEnvironment;

  constructor(signIn: SignIn, environment: SignInEnvironment) {
    this.#signIn = signIn;
    this.#bucket = environment.bucket;
    this.#environment = environment;
  }

  /**
   * @param tokenTaken The first request has its token of the bucket already.
   * @throws TrunklineError AUTH_FAILED, RATE_LIMITED or CONNECTION_FAILED when the platform cannot be asked.
   */
  async availability(interactionId: string, tokenTaken = false): Promise<Availability> {
    const { clock, signal } = this.#environment;
    let renewed = false;
    let isPaid = tokenTaken;
    try {
      const resource = await withRetry(
        async () => {
          const token = await this.#signIn.getToken();
          const { conversations } = await this.#signIn.platform();
          if (!isPaid) await this.#bucket.take(signal);
          isPaid = false;
          try {
            return await conversations.getConversation(interactionId);
          } catch (error) {
            if (renewed || readFailure(error).status !== 401) throw error;
            renewed = true;
            await this.#signIn.renew(token);
            await this.#bucket.take(signal);
            return await conversations.getConversation(interactionId);
          }
        },
        (error) => {
          if (error instanceof Error && error.name === 'TrunklineError') return { again: false };
          const failure = readFailure(error);
          return { again: isTransient(failure), retryAfterUs: parseRetryAfterUs(failure.retryAfter, clock.wallMs()) };
        },
        this.#environment,
      );
      return judgeConversation(resource, clock.wallMs());
    } catch (error) {
      if (error instanceof Error && error.name === 'TrunklineError') throw error;
      const failure = readFailure(error);
      if (failure.status === 404) return 'notFound';
      throw requestError('Asking for a conversation', failure);
    }
  }
}

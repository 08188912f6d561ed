import { setTimeout as delay } from 'node:timers/promises';
import { US_PER_MS, US_PER_SECOND } from '../../../core/units.js';

/** The one retry policy: waits that double, full jitter, a last attempt. */
export interface RetryPolicy {
  /** Longest first wait. */
  readonly baseUs: number;
  /** Longest wait of all. */
  readonly capUs: number;
  readonly maxAttempts: number;
}

/** 1 s × 2^n, at most five attempts: connections and requests alike. */
export const RETRY: RetryPolicy = { baseUs: US_PER_SECOND, capUs: 60 * US_PER_SECOND, maxAttempts: 5 };

/** For a call whose media may still be a minute away. */
export const MEDIA_RETRY: RetryPolicy = { baseUs: 2 * US_PER_SECOND, capUs: 20 * US_PER_SECOND, maxAttempts: 8 };

/** Between 0 and 1, as Math.random. */
export type Random = () => number;

/**
 * The wait before attempt `attempt` (from 0): anything between zero and base × 2^attempt, so that a thousand peers that
 * lost their server together do not come back together.
 */
export function backoffUs(policy: RetryPolicy, attempt: number, random: Random): number {
  return random() * Math.min(policy.capUs, policy.baseUs * 2 ** attempt);
}

export type Sleep = (delayUs: number, signal?: AbortSignal) => Promise<void>;

export const sleep: Sleep = async (delayUs, signal) => {
  await delay(delayUs / US_PER_MS, undefined, signal === undefined ? {} : { signal });
};

/** What a failed attempt means for the next. */
export interface Verdict {
  readonly again: boolean;
  /** Least wait that the server asks for. */
  readonly retryAfterUs?: number | undefined;
}

/** Runs `attempt` until it succeeds, its error is final or the policy's attempts are used up; then throws that error. */
export async function withRetry<T>(
  attempt: () => Promise<T>,
  judge: (error: unknown) => Verdict,
  options: {
    readonly policy?: RetryPolicy;
    readonly random?: Random;
    readonly sleep?: Sleep;
    readonly signal?: AbortSignal | undefined;
    /** Called for each failure that is followed by another attempt. */
    readonly onRetry?: (error: unknown, waitUs: number) => void;
  } = {},
): Promise<T> {
  const policy = options.policy ?? RETRY;
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      const { again, retryAfterUs = 0 } = judge(error);
      if (!again || failures + 1 >= policy.maxAttempts) throw error;
      const waitUs = Math.max(retryAfterUs, backoffUs(policy, failures, options.random ?? Math.random));
      options.onRetry?.(error, waitUs);
      await (options.sleep ?? sleep)(waitUs, options.signal);
    }
  }
}

/** `Retry-After` of RFC 9110 10.2.3: seconds or a date. Undefined when it says nothing sensible. */
export function parseRetryAfterUs(header: unknown, wallMs: number): number | undefined {
  if (typeof header !== 'string' && typeof header !== 'number') return undefined;
  const text = String(header).trim();
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : (Date.parse(text) - wallMs) / 1_000;
  if (!Number.isFinite(seconds)) return undefined;
  return Math.min(3_600, Math.max(0, seconds)) * US_PER_SECOND;
}

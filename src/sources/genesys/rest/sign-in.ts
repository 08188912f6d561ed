import { type Clock, systemClock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../../core/units.js';
import {
  isTlsFailure,
  isTransient,
  loadPlatform,
  type Platform,
  type RequestFailure,
  readFailure,
  requestError,
} from './platform.js';
import type { TokenBucket } from './rate-limit.js';
import { type Endpoints, signInHost } from './region.js';
import type { RequestLimits } from './request-limits.js';
import { parseRetryAfterUs, type Random, RETRY, type RetryPolicy, type Sleep, withRetry } from './retry.js';
import type { Transport } from './transport.js';

const MINUTE_MS = 60 * MS_PER_SECOND;
const RENEWAL_MARGIN_MS = 5 * MINUTE_MS;
// A renewal that failed although the token still lives is tried again after this, or at a tenth of what is left.
const RENEWAL_RETRY_MS = 30 * MS_PER_SECOND;

export interface SignInSettings {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly endpoints: Endpoints;
  readonly transport: Transport;
  /** For tests. */
  readonly limits?: RequestLimits;
}

export interface SignInDependencies {
  readonly clock: Clock;
  readonly bucket: TokenBucket;
  readonly random?: Random;
  readonly sleep?: Sleep;
  readonly signal?: AbortSignal;
}

// What the platform says of a token's life may be wrong: tokens that are said to live for less than this are not renewed
// more often than after 0.5 s, 1 s, 2 s and so on, up to 10 s, and used until then.
const SHORT_LIFE_MS = 20 * MS_PER_SECOND;
const SHORT_LIFE_BASE_MS = MS_PER_SECOND / 2;
const SHORT_LIFE_CAP_MS = 10 * MS_PER_SECOND;

/** At start there is no call to lose: it goes on for as long as success is possible. */
const AT_START: RetryPolicy = {
  baseUs: US_PER_SECOND,
  capUs: 30 * US_PER_SECOND,
  maxAttempts: Number.POSITIVE_INFINITY,
};

// Visible ASCII, as RFC 6750 section 2.1 has it: anything else cannot stand in a header.
const USABLE_TOKEN = /^[\x21-\x7e]{1,8192}$/;

/** When a token is renewed: five minutes before its end, or at half its life if that is under ten minutes. */
export function renewalDelayMs(lifeMs: number): number {
  return lifeMs < 10 * MINUTE_MS ? lifeMs / 2 : lifeMs - RENEWAL_MARGIN_MS;
}

/**
 * Sign-in by OAuth client credentials through Genesys's SDK, and the token's renewal. However many connections ask,
 * one sign-in is under way at a time.
 */
export class SignIn {
  readonly #settings: SignInSettings;
  readonly #dependencies: SignInDependencies;
  #platform: Promise<Platform> | undefined;
  #token: { readonly text: string; readonly signedInMs: number; readonly endsMs: number } | undefined;
  #renewal: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Tokens of a short life, one after the other. */
  #shortLives = 0;
  /** Until then a token is used, whatever end it has. */
  #useUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  #counts = { succeeded: 0, failed: 0 };

  /** Called with each failure that is not the end: of an attempt that is made again, and of a renewal in the background. */
  onFailure: (error: TrunklineError) => void = () => {};

  constructor(settings: SignInSettings, dependencies: SignInDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
  }

  /** The SDK's client, which has the same token. */
  platform(): Promise<Platform> {
    if (this.#platform === undefined) {
      const { endpoints, transport, limits } = this.#settings;
      this.#platform = loadPlatform(endpoints, transport, this.#dependencies.signal, limits);
      // A failure to load is not remembered.
      this.#platform.catch(() => {
        this.#platform = undefined;
      });
    }
    return this.#platform;
  }

  /** Sign-ins and renewals since the start. Each attempt that fails counts, those that are made again included. */
  get counts(): { readonly succeeded: number; readonly failed: number } {
    return { ...this.#counts };
  }

  /** Milliseconds since the token was given; undefined without one. */
  tokenAgeMs(): number | undefined {
    return this.#token === undefined ? undefined : this.#dependencies.clock.wallMs() - this.#token.signedInMs;
  }

  /**
   * The first sign-in. Tries again for as long as success is possible: without network, and after 429 and 5xx.
   *
   * @throws TrunklineError AUTH_FAILED for wrong credentials, CONFIG_INVALID without the SDK, CONNECTION_FAILED when what
   *   answers is not the platform, or when it is stopped.
   */
  async start(): Promise<void> {
    await this.#join(AT_START);
  }

  /** The token, signing in when there is none that lives. @throws TrunklineError as `renew` does. */
  async getToken(): Promise<string> {
    const nowMs = this.#dependencies.clock.wallMs();
    const token = this.#token;
    if (token !== undefined && (nowMs < token.endsMs || nowMs < this.#useUntilMs)) return token.text;
    return this.renew();
  }

  /**
   * Signs in again, or joins the sign-in that is under way.
   *
   * @param refused The token that a server would not take. If another one has come in the meantime, that one is given.
   * @throws TrunklineError AUTH_FAILED for wrong credentials, CONNECTION_FAILED or RATE_LIMITED after the last attempt.
   */
  renew(refused?: string): Promise<string> {
    const current = this.#token;
    const isRenewed = refused !== undefined && current !== undefined && current.text !== refused;
    return this.#renewal === undefined && isRenewed ? this.getToken() : this.#join(RETRY);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #join(policy: RetryPolicy): Promise<string> {
    this.#renewal ??= this.#signIn(policy).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #signIn(policy: RetryPolicy): Promise<string> {
    const { clock, bucket, signal } = this.#dependencies;
    const { clientId, clientSecret, endpoints } = this.#settings;
    if (clientId === '' || clientSecret === '') throw credentialsError('are missing');
    const { client } = await this.platform();
    const what = `Sign-in at ${signInHost(endpoints)}`;
    const auth = await withRetry(
      async () => {
        await bucket.take(signal);
        const given = await client.loginClientCredentialsGrant(clientId, clientSecret).catch((error: unknown) => {
          this.#counts.failed++;
          throw error;
        });
        if (USABLE_TOKEN.test(String(given.accessToken)) && Number.isFinite(given.tokenExpiryTime)) return given;
        // The SDK has taken it over already.
        client.setAccessToken(this.#token?.text ?? '');
        this.#counts.failed++;
        throw new TrunklineError('PROTOCOL_ERROR', `${what}: the answer contains no usable token; check the API URL.`);
      },
      (error) => {
        // A platform that signed us in before may be broken for a moment; another server will never be the platform.
        if (error instanceof TrunklineError) return { again: this.#token !== undefined };
        const failure = readFailure(error);
        const again = isTransient(failure) && (policy !== AT_START || mayPass(failure));
        return { again, retryAfterUs: parseRetryAfterUs(failure.retryAfter, clock.wallMs()) };
      },
      { ...this.#dependencies, policy, onRetry: (error, waitUs) => this.onFailure(triedAgain(what, error, waitUs)) },
    ).catch((error: unknown) => {
      if (signal?.aborted === true) throw new TrunklineError('CONNECTION_FAILED', 'Sign-in stopped with its source.');
      if (error instanceof TrunklineError) throw error;
      const failure = readFailure(error);
      const { status } = failure;
      // OAuth answers wrong credentials with 400 invalid_client as well as with 401 (RFC 6749 section 5.2).
      if (status === 400 || status === 401 || status === 403) throw credentialsError(`were refused (${status})`);
      throw requestError(what, failure);
    });
    this.#counts.succeeded++;
    const nowMs = clock.wallMs();
    // The SDK works the end out with the system's clock; this clock may be another.
    const lifeMs = Math.max(0, auth.tokenExpiryTime - systemClock.wallMs());
    this.#token = { text: auth.accessToken, signedInMs: nowMs, endsMs: nowMs + lifeMs };
    this.#shortLives = lifeMs < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    const leastMs =
      this.#shortLives === 0 ? 0 : Math.min(SHORT_LIFE_CAP_MS, SHORT_LIFE_BASE_MS * 2 ** (this.#shortLives - 1));
    this.#useUntilMs = nowMs + leastMs;
    this.#renewIn(Math.max(leastMs, renewalDelayMs(lifeMs)));
    return auth.accessToken;
  }

  #renewIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    // Longer than a 32-bit timer can wait: it then fires early, which does no harm.
    this.#timer = setTimeout(() => void this.#renewInBackground(), Math.min(delayMs, 0x7fff_ffff));
    this.#timer.unref();
  }

  async #renewInBackground(): Promise<void> {
    try {
      await this.renew();
    } catch (error) {
      if (this.#closed) return;
      if (error instanceof TrunklineError) this.onFailure(error);
      this.#renewIn(RENEWAL_RETRY_MS);
    }
  }
}

/** Whether a failure can be over by itself: not when what answers is no TLS, or not the platform. */
function mayPass({ status, networkCode }: RequestFailure): boolean {
  return status !== undefined || (networkCode !== '' && !isTlsFailure(networkCode) && networkCode !== 'EPROTO');
}

function triedAgain(what: string, error: unknown, waitUs: number): TrunklineError {
  const { code, message } = error instanceof TrunklineError ? error : requestError(what, readFailure(error));
  return new TrunklineError(code, `${message} It is tried again in ${(waitUs / US_PER_SECOND).toFixed(1)} s.`);
}

function credentialsError(what: string): TrunklineError {
  return new TrunklineError(
    'AUTH_FAILED',
    `Sign-in: the credentials ${what}; check GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REGION.`,
  );
}

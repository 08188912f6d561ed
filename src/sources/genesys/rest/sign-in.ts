import { type Clock, systemClock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../../core/units.js';
import { isTransient, loadPlatform, type Platform, readFailure, requestError } from './platform.js';
import type { TokenBucket } from './rate-limit.js';
import { type Endpoints, signInHost } from './region.js';
import { parseRetryAfterUs, type Random, type Sleep, withRetry } from './retry.js';
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
}

export interface SignInDependencies {
  readonly clock: Clock;
  readonly bucket: TokenBucket;
  readonly random?: Random;
  readonly sleep?: Sleep;
  readonly signal?: AbortSignal;
}

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
  readonly #environment: SignInDependencies;
  #platform: Promise<Platform> | undefined;
  #token: { readonly text: string; readonly signedInMs: number; readonly endsMs: number } | undefined;
  #renewal: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Called with each failure that is not the end: of an attempt that is made again, and of a renewal in the background. */
  onFailure: (error: TrunklineError) => void = () => {};

  constructor(settings: SignInSettings, environment: SignInDependencies) {
    this.#settings = settings;
    this.#environment = environment;
  }

  /** The SDK's client, which has the same token. */
  platform(): Promise<Platform> {
    if (this.#platform === undefined) {
      this.#platform = loadPlatform(this.#settings.endpoints, this.#settings.transport);
      // A failure to load is not remembered.
      this.#platform.catch(() => {
        this.#platform = undefined;
      });
    }
    return this.#platform;
  }

  /** Milliseconds since the token was given; undefined without one. */
  tokenAgeMs(): number | undefined {
    return this.#token === undefined ? undefined : this.#environment.clock.wallMs() - this.#token.signedInMs;
  }

  /** The token, signing in when there is none that lives. @throws TrunklineError as `renew` does. */
  async getToken(): Promise<string> {
    if (this.#token !== undefined && this.#environment.clock.wallMs() < this.#token.endsMs) return this.#token.text;
    return this.renew();
  }

  /**
   * Signs in again, or joins the sign-in that is under way.
   *
   * @param refused The token that a server would not take. If another one has come in the meantime, that one is given.
   * @throws TrunklineError AUTH_FAILED for wrong credentials, CONNECTION_FAILED or RATE_LIMITED after the last attempt.
   */
  renew(refused?: string): Promise<string> {
    if (this.#renewal === undefined) {
      const current = this.#token;
      if (refused !== undefined && current !== undefined && current.text !== refused) return this.getToken();
      this.#renewal = this.#signIn().finally(() => {
        this.#renewal = undefined;
      });
    }
    return this.#renewal;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #signIn(): Promise<string> {
    const { clock, bucket, signal } = this.#environment;
    const { clientId, clientSecret, endpoints } = this.#settings;
    if (clientId === '' || clientSecret === '') throw credentialsError('are missing');
    const { client } = await this.platform();
    const what = `Sign-in at ${signInHost(endpoints)}`;
    const auth = await withRetry(
      async () => {
        await bucket.take(signal);
        return client.loginClientCredentialsGrant(clientId, clientSecret);
      },
      (error) => {
        const failure = readFailure(error);
        return { again: isTransient(failure), retryAfterUs: parseRetryAfterUs(failure.retryAfter, clock.wallMs()) };
      },
      { ...this.#environment, onRetry: (error, waitUs) => this.onFailure(triedAgain(what, error, waitUs)) },
    ).catch((error: unknown) => {
      if (signal?.aborted === true) throw new TrunklineError('CONNECTION_FAILED', 'Sign-in stopped with its source.');
      const failure = readFailure(error);
      const { status } = failure;
      // OAuth answers wrong credentials with 400 invalid_client as well as with 401 (RFC 6749 section 5.2).
      if (status === 400 || status === 401 || status === 403) throw credentialsError(`were refused (${status})`);
      throw requestError(what, failure);
    });
    const nowMs = clock.wallMs();
    if (typeof auth.accessToken !== 'string' || !Number.isFinite(auth.tokenExpiryTime)) {
      throw new TrunklineError(
        'PROTOCOL_ERROR',
        'Sign-in: the answer contains no token; check the configured API URL.',
      );
    }
    // The SDK works the end out with the system's clock; this clock may be another.
    const lifeMs = Math.max(0, auth.tokenExpiryTime - systemClock.wallMs());
    this.#token = { text: auth.accessToken, signedInMs: nowMs, endsMs: nowMs + lifeMs };
    this.#renewIn(renewalDelayMs(lifeMs));
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

function triedAgain(what: string, error: unknown, waitUs: number): TrunklineError {
  const { code, message } = requestError(what, readFailure(error));
  return new TrunklineError(code, `${message} It is tried again in ${(waitUs / US_PER_SECOND).toFixed(1)} s.`);
}

function credentialsError(what: string): TrunklineError {
  return new TrunklineError(
    'AUTH_FAILED',
    `Sign-in: the credentials ${what}; check GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REGION.`,
  );
}

import { isTransient, type Platform, readFailure } from './platform.js';
import { parseRetryAfterUs, withRetry } from './retry.js';
import type { SignIn, SignInEnvironment } from './sign-in.js';

/** Requests to the platform within the budget: 401 renews the token once, what is transient is tried again. */
export class Rest {
  readonly #signIn: Pick<SignIn, 'getToken' | 'renew' | 'platform'>;
  readonly #environment: SignInEnvironment;

  constructor(signIn: Pick<SignIn, 'getToken' | 'renew' | 'platform'>, environment: SignInEnvironment) {
    this.#signIn = signIn;
    this.#environment = environment;
  }

  /**
   * @param tokenTaken The first request has its token of the bucket already.
   * @throws TrunklineError of the sign-in; else what the SDK threw, to be read by readFailure.
   */
  request<Answer>(ask: (platform: Platform) => Promise<Answer>, tokenTaken = false): Promise<Answer> {
    const { clock, bucket, signal } = this.#environment;
    let renewed = false;
    let isPaid = tokenTaken;
    return withRetry(
      async () => {
        const token = await this.#signIn.getToken();
        const platform = await this.#signIn.platform();
        if (!isPaid) await bucket.take(signal);
        isPaid = false;
        try {
          return await ask(platform);
        } catch (error) {
          if (renewed || readFailure(error).status !== 401) throw error;
          renewed = true;
          await this.#signIn.renew(token);
          await bucket.take(signal);
          return await ask(platform);
        }
      },
      (error) => {
        if (error instanceof Error && error.name === 'TrunklineError') return { again: false };
        const failure = readFailure(error);
        return { again: isTransient(failure), retryAfterUs: parseRetryAfterUs(failure.retryAfter, clock.wallMs()) };
      },
      this.#environment,
    );
  }
}

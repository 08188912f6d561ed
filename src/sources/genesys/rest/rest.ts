import { isTransient, type Platform, readFailure } from './platform.js';
import { backoffUs, parseRetryAfterUs, RETRY, sleep, withRetry } from './retry.js';
import type { SignIn, SignInDependencies } from './sign-in.js';

// A platform that has lost its tokens may lose the next one as well; a third refusal is meant.
const MAX_RENEWALS = 2;

/** Requests to the platform within the budget: 401 renews the token, what is transient is tried again. */
export class Rest {
  readonly #signIn: Pick<SignIn, 'getToken' | 'renew' | 'platform'>;
  readonly #dependencies: SignInDependencies;

  constructor(signIn: Pick<SignIn, 'getToken' | 'renew' | 'platform'>, dependencies: SignInDependencies) {
    this.#signIn = signIn;
    this.#dependencies = dependencies;
  }

  /**
   * @param tokenTaken The first request has its token of the bucket already.
   * @throws TrunklineError of the sign-in; else what the SDK threw, to be read by readFailure.
   */
  request<Answer>(ask: (platform: Platform) => Promise<Answer>, tokenTaken = false): Promise<Answer> {
    const { clock, bucket, signal, random = Math.random, sleep: wait = sleep } = this.#dependencies;
    let renewals = 0;
    let isPaid = tokenTaken;
    return withRetry(
      async () => {
        for (;;) {
          const token = await this.#signIn.getToken();
          const platform = await this.#signIn.platform();
          if (!isPaid) await bucket.take(signal);
          isPaid = false;
          try {
            return await ask(platform);
          } catch (error) {
            if (renewals === MAX_RENEWALS || readFailure(error).status !== 401) throw error;
            // The first costs no time; another one so soon waits.
            if (renewals > 0) await wait(backoffUs(RETRY, renewals - 1, random), signal);
            renewals++;
            await this.#signIn.renew(token);
          }
        }
      },
      (error) => {
        if (error instanceof Error && error.name === 'TrunklineError') return { again: false };
        const failure = readFailure(error);
        return { again: isTransient(failure), retryAfterUs: parseRetryAfterUs(failure.retryAfter, clock.wallMs()) };
      },
      this.#dependencies,
    );
  }
}

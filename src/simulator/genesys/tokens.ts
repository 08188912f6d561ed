import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.js';

/** Beyond this the oldest tokens are forgotten. */
const MAX_TOKENS = 10_000;

export interface TokenOptions {
  /** When absent, any id and secret that are not empty are accepted. */
  readonly clientId?: string | undefined;
  readonly clientSecret?: string | undefined;
  readonly tokenSeconds: number;
}

/** Issues and knows bearer tokens. */
export class TokenStore {
  /** Seconds that a new token lives. */
  lifeSeconds: number;
  readonly #options: TokenOptions;
  readonly #clock: Clock;
  readonly #expiryUs = new Map<string, number>();

  constructor(options: TokenOptions, clock: Clock) {
    this.#options = options;
    this.lifeSeconds = options.tokenSeconds;
    this.#clock = clock;
  }

  /** All tokens issued so far are valid no more. */
  forget(): void {
    this.#expiryUs.clear();
  }

  /** Whether an Authorization header of HTTP Basic (RFC 7617) names a client that may have a token. */
  accepts(authorization: string | undefined): boolean {
    const encoded = /^basic +([a-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
    if (encoded === undefined) return false;
    const credentials = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = credentials.indexOf(':');
    const id = credentials.slice(0, Math.max(colon, 0));
    const secret = credentials.slice(colon + 1);
    const { clientId = id, clientSecret = secret } = this.#options;
    return id !== '' && secret !== '' && id === clientId && secret === clientSecret;
  }

  issue(): string {
    const oldest = this.#expiryUs.keys().next();
    if (this.#expiryUs.size >= MAX_TOKENS && oldest.done !== true) this.#expiryUs.delete(oldest.value);
    const token = randomBytes(48).toString('base64url');
    this.#expiryUs.set(token, this.#clock.nowUs() + this.lifeSeconds * 1e6);
    return token;
  }

  /** Whether an Authorization header bears a token (RFC 6750) that was issued here and has not expired. */
  isValid(authorization: string | undefined): boolean {
    const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    const expiryUs = this.#expiryUs.get(token);
    if (expiryUs === undefined) return false;
    if (this.#clock.nowUs() < expiryUs) return true;
    this.#expiryUs.delete(token);
    return false;
  }
}

import { Webhook } from 'standardwebhooks';
import { TrunklineError } from '../core/errors.js';

/** The specification asks for 24 to 64 bytes. */
const KEY_BYTES = { least: 24, most: 64 };

/** Signs messages by the Standard Webhooks specification, with each secret: a receiver may know only one of them. */
export class Signer {
  readonly #keys: readonly Webhook[];

  /** @throws TrunklineError CONFIG_INVALID for a secret that is none. Its message does not contain it. */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0) throw invalid('No secret is given');
    this.#keys = secrets.map(keyOf);
  }

  /** Headers of one attempt. */
  headers(id: string, at: Date, body: string): Record<string, string> {
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': this.#keys.map((key) => key.sign(id, at, body)).join(' '),
    };
  }
}

function keyOf(secret: string): Webhook {
  const encoded = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : '';
  const bytes = Buffer.from(encoded, 'base64');
  const isEncoded = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded);
  if (isEncoded && bytes.length >= KEY_BYTES.least && bytes.length <= KEY_BYTES.most) return new Webhook(secret);
  throw invalid('A secret is none');
}

function invalid(what: string): TrunklineError {
  return new TrunklineError(
    'CONFIG_INVALID',
    `${what}: a webhook secret is "whsec_" and the base64 of 24 to 64 random bytes. ` +
      'Make one with: echo "whsec_$(openssl rand -base64 32)"',
  );
}

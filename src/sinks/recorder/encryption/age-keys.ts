import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { parseBech32 } from './bech32.js';

/** The one who may open recordings: an X25519 public key (`age1…`), as age-keygen prints it. */
export interface Recipient {
  readonly text: string;
  readonly key: KeyObject;
  readonly bytes: Uint8Array;
}

/** The secret of a recipient (`AGE-SECRET-KEY-1…`). */
export interface Identity {
  readonly key: KeyObject;
  readonly recipient: Uint8Array;
}

// RFC 8410: what stands in front of the 32 bytes of an X25519 key in DER.
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

/** @throws TrunklineError CONFIG_INVALID when it is no recipient that can be encrypted to. */
export function parseRecipient(text: string): Recipient {
  const parsed = parseBech32(text);
  if (text.startsWith('AGE-SECRET-KEY-')) {
    throw invalid('this is the secret key; give the public one, age1…, and keep this one away from the node');
  }
  if (/^(age1pq1|age1tag|ssh-|age1[a-z]+1)/.test(text) && parsed?.prefix !== 'age') {
    throw invalid(
      `${shortened(text)} is of a kind that is not supported; give an X25519 recipient, as age-keygen makes it`,
    );
  }
  if (parsed?.prefix !== 'age' || parsed.bytes.length !== KEY_BYTES) {
    throw invalid(
      `${shortened(text)} is no age recipient: age1 and 58 letters and digits, exactly as age-keygen prints it`,
    );
  }
  const recipient = { text, key: publicKey(parsed.bytes), bytes: parsed.bytes };
  try {
    // A key of low order, which gives everybody the same secret, is refused by the exchange itself.
    diffieHellman({ privateKey: generateKeyPairSync('x25519').privateKey, publicKey: recipient.key });
  } catch {
    throw invalid(`${shortened(text)} is no key that can be encrypted to`);
  }
  return recipient;
}

/**
 * The recipients in a text, one a line; blank lines and lines that begin with `#` are none, as for `age -R`.
 * @throws TrunklineError CONFIG_INVALID that names the line.
 */
export function parseRecipients(text: string, name: string): Recipient[] {
  return eachLine(text, name, parseRecipient);
}

/** @throws TrunklineError CONFIG_INVALID that names the line when a line is no secret key of X25519. */
export function parseIdentities(text: string, name: string): Identity[] {
  return eachLine(text, name, (line) => {
    const parsed = parseBech32(line);
    if (parsed?.prefix === 'age') throw invalid('this is the public key; the secret one, AGE-SECRET-KEY-1…, is needed');
    if (parsed?.prefix !== 'age-secret-key-' || parsed.bytes.length !== KEY_BYTES) {
      throw invalid('it is no AGE-SECRET-KEY-1…; decrypt an identity file with a passphrase first (age -d)');
    }
    const key = createPrivateKey({ key: Buffer.concat([PKCS8, parsed.bytes]), format: 'der', type: 'pkcs8' });
    return { key, recipient: rawPublicKey(createPublicKey(key)) };
  });
}

/** @throws when it has another length. */
export function publicKey(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' });
}

export function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
}

function eachLine<Key>(text: string, name: string, parse: (line: string) => Key): Key[] {
  const keys: Key[] = [];
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    try {
      keys.push(parse(line));
    } catch (thrown) {
      throw invalid(`${name}, line ${at + 1}: ${messageOf(thrown)}`);
    }
  }
  if (keys.length === 0) throw invalid(`${name} has no keys`);
  return keys;
}

/** So much of a text that a typing error is found and no secret is printed. */
function shortened(text: string): string {
  return JSON.stringify(text.length > 24 ? `${text.slice(0, 20)}…` : text);
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}

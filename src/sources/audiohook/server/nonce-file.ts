import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { US_PER_MS } from '../../../core/units.js';
import { Authenticator } from '../protocol/signature.js';
import type { AudioHookServerOptions } from './server-options.js';

/** Lines after which the file is rewritten with only those nonces that have not expired. */
const MAX_LINES = 100_000;

/** A nonce, hashed, and when it expires in microseconds of the wall clock. */
export type NonceEntry = readonly [nonce: string, expiryUs: number];

/**
 * Keeps the nonces of accepted signatures over a restart, so that no request can be replayed after it. Nonces live for
 * seconds only: the file is not synced, since a machine takes longer to start again.
 */
export class NonceFile {
  readonly #path: string;
  readonly #onError: (message: string) => void;
  #fd: number;
  #lines = 0;

  /** @throws TrunklineError FILE_FAILED when the file cannot be written. */
  constructor(path: string, onError: (message: string) => void) {
    this.#path = path;
    this.#onError = onError;
    try {
      this.#fd = openSync(path, 'a', 0o600);
    } catch (error) {
      const message = `Cannot write the nonce file ${path}: ${messageOf(error)}. Choose another with nonceFile.`;
      throw new TrunklineError('FILE_FAILED', message, { cause: error });
    }
  }

  /** The nonces of an earlier process that have not expired, oldest first. */
  read(nowUs: number): NonceEntry[] {
    const entries: NonceEntry[] = [];
    for (const line of readFileSync(this.#path, 'utf8').split('\n')) {
      const [nonce = '', expiry] = line.split(' ');
      const expiryUs = Number(expiry);
      if (nonce !== '' && expiryUs > nowUs) entries.push([nonce, expiryUs]);
    }
    entries.sort(([, one], [, other]) => one - other);
    this.#rewrite(entries);
    return entries;
  }

  /** Adds one nonce; `all` are those that have not expired. */
  append(entry: NonceEntry, all: () => Iterable<NonceEntry>): void {
    if (this.#lines >= MAX_LINES) this.#rewrite(all());
    else this.#write([entry]);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #rewrite(entries: Iterable<NonceEntry>): void {
    try {
      const fd = openSync(this.#path, 'w', 0o600);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      this.#onError(messageOf(error));
      return;
    }
    this.#lines = 0;
    this.#write(entries);
  }

  #write(entries: Iterable<NonceEntry>): void {
    let text = '';
    for (const [nonce, expiryUs] of entries) {
      text += `${nonce} ${expiryUs}\n`;
      this.#lines += 1;
    }
    if (text === '') return;
    try {
      writeSync(this.#fd, text);
    } catch (error) {
      this.#onError(messageOf(error));
    }
  }
}

/**
 * The authenticator of a server, with the nonces of its file when it has one.
 * @throws TrunklineError CONFIG_INVALID for keys that would admit no client, or any client; FILE_FAILED when the nonce
 *   file cannot be written.
 */
export function authenticatorOf(
  { keys, allowUnsigned, nonceFile: path }: AudioHookServerOptions,
  nowMs: number,
  onError: (message: string) => void,
): { readonly authenticator: Authenticator; readonly nonceFile: NonceFile | undefined } {
  // Checks the keys, before the file is made.
  if (path === undefined) {
    return { authenticator: new Authenticator({ keys, allowUnsigned, notBeforeMs: nowMs }), nonceFile: undefined };
  }
  let nonceFile: NonceFile | undefined;
  const authenticator: Authenticator = new Authenticator({
    keys,
    allowUnsigned,
    onNonce: (nonce, expiryUs) => nonceFile?.append([nonce, expiryUs], () => authenticator.nonces.entries()),
  });
  nonceFile = new NonceFile(path, onError);
  authenticator.nonces.restore(nonceFile.read(nowMs * US_PER_MS));
  return { authenticator, nonceFile };
}

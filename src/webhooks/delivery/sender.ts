import { type ClientRequest, type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { httpAgent } from '../../core/network/http-agent.js';

/** What became of one attempt. */
export type Attempt =
  | { readonly result: 'accepted' }
  /** 410: the receiver wants no more of them. */
  | { readonly result: 'gone' }
  | { readonly result: 'failed'; readonly reason: string; readonly retryAfterMs?: number };

export interface SenderOptions {
  readonly url: string;
  readonly timeoutMs: number;
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string | undefined;
  readonly concurrency: number;
}

const MAX_RETRY_AFTER_MS = 24 * 3_600_000;
/** More of an answer is not read: the connection is closed. */
const MAX_ANSWER_BYTES = 65_536;

/**
 * Sends one request at a time of a message: no redirect is followed, no answer is believed for longer than the timeout.
 * Proxies are those of the environment (HTTPS_PROXY, NO_PROXY), as for all other requests of a node.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent;

  /** @throws TrunklineError CONFIG_INVALID for a CA file or a proxy that cannot be one. */
  constructor(options: SenderOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.#agent = httpAgent(options.url, { maxSockets: options.concurrency, caFile: options.caFile });
  }

  /** @param wallMs now, for a Retry-After that is a date. */
  send(body: string, headers: Record<string, string>, wallMs: number): Promise<Attempt> {
    return new Promise((resolve) => {
      const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const outgoing = request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'trunkline-webhooks',
          ...headers,
        },
      });
      const timeout = setTimeout(() => {
        resolve({ result: 'failed', reason: `no answer within ${this.#options.timeoutMs / 1000} s` });
        outgoing.destroy();
      }, this.#options.timeoutMs);
      outgoing.once('response', (response) => {
        // The status decides; a body that never ends changes nothing, and the timeout ends it.
        resolve(attemptOf(response, wallMs));
        readToEnd(response, outgoing);
        response.once('close', () => clearTimeout(timeout));
      });
      outgoing.on('error', (error) => {
        clearTimeout(timeout);
        resolve({ result: 'failed', reason: reasonOf(error) });
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function attemptOf({ statusCode = 0, headers }: IncomingMessage, wallMs: number): Attempt {
  if (statusCode >= 200 && statusCode < 300) return { result: 'accepted' };
  if (statusCode === 410) return { result: 'gone' };
  const retryAfterMs = retryAfter(headers['retry-after'], wallMs);
  const reason =
    statusCode >= 300 && statusCode < 400
      ? `the receiver answered ${statusCode}, a redirect, which is not followed`
      : `the receiver answered ${statusCode}`;
  return { result: 'failed', reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Seconds, or a date; RFC 9110, 10.2.3. */
function retryAfter(value: string | undefined, wallMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - wallMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

/** So that the connection can be used again; but not a body without an end. */
function readToEnd(response: IncomingMessage, outgoing: ClientRequest): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) outgoing.destroy();
  });
  response.on('error', () => {});
}

/** The error's code only: its text may contain the address, and so a secret of the path. */
function reasonOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return `the receiver cannot be reached (${code})`;
}

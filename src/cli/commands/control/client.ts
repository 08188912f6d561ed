import { readFileSync } from 'node:fs';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import process from 'node:process';
import type { Command } from 'commander';
import { messageOf, TrunklineError } from '../../../core/errors.js';

/** How a command reaches the control server of a node. */
export interface ControlFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
}

const DEFAULT_URL = 'http://127.0.0.1:9464';
/** A node answers within milliseconds; one that does not for this long has stopped or is unreachable. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 << 20;

/** Adds the options that every command has that talks to a node. */
export function addControlOptions(command: Command): Command {
  return command
    .option('--url <url>', `address of the node's control server (default: TRUNKLINE_URL, or ${DEFAULT_URL})`)
    .option('--token-file <file>', 'file with the token; default: the token in TRUNKLINE_TOKEN, if any')
    .option('--ca-file <file>', 'PEM file of certificates to trust beside the usual ones')
    .option('--token [token]', 'refused, because other users can read command lines', refuseToken);
}

function refuseToken(): never {
  throw new TrunklineError(
    'CONFIG_INVALID',
    '--token is refused, because other users can read command lines: set TRUNKLINE_TOKEN in the environment, or name a ' +
      'file with --token-file.',
  );
}

/** The control server of a node. */
export class ControlClient {
  /** Without a slash at its end. */
  readonly url: string;
  readonly #token: string | undefined;
  readonly #ca: string | undefined;

  /** @throws TrunklineError CONFIG_INVALID for an address that is none, FILE_FAILED for a file that cannot be read. */
  constructor({ url = process.env['TRUNKLINE_URL'] || DEFAULT_URL, tokenFile, caFile }: ControlFlags) {
    if (!/^https?:\/\/[^/?#]+(?:\/[^?#]*)?$/.test(url) || !URL.canParse(url)) {
      throw new TrunklineError('CONFIG_INVALID', `${url} is no address of a control server, such as ${DEFAULT_URL}.`);
    }
    this.url = url.replace(/\/+$/, '');
    this.#token = tokenFile === undefined ? process.env['TRUNKLINE_TOKEN']?.trim() || undefined : readText(tokenFile);
    this.#ca = caFile === undefined ? undefined : readText(caFile);
  }

  /** Headers that say who asks. */
  get headers(): Readonly<Record<string, string>> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /** Certificates to trust beside the usual ones, for a connection of another kind. */
  get ca(): string | undefined {
    return this.#ca;
  }

  /**
   * Asks for a path below `/api/v1`; returns what the JSON of the answer says.
   * @throws TrunklineError CONNECTION_FAILED when no node answers, AUTH_FAILED for a token that is missing, wrong or has
   *   too low a role, STREAM_UNKNOWN for 404, and others by the status.
   */
  async call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#exchange(method, `${this.url}/api/v1${path}`, body);
    if (status >= 200 && status < 300) return text === '' ? undefined : parseAnswer(text, this.url);
    throw this.#failure(status, text);
  }

  #exchange(method: string, url: string, body?: object): Promise<{ status: number; text: string }> {
    const request = url.startsWith('https:') ? requestHttps : requestHttp;
    const json = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      ...this.headers,
      accept: 'application/json',
      ...(json === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }),
    };
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(this.unreachable(error));
      const options = { method, headers, agent: false, timeout: TIMEOUT_MS, ...(this.#ca && { ca: this.#ca }) };
      const sent = request(url, options, (response) => {
        read(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), fail);
      });
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      sent.on('error', fail);
      sent.end(json);
    });
  }

  /** The error for an answer that is a refusal, to a request of another kind. */
  async refused(response: IncomingMessage): Promise<TrunklineError> {
    const text = await read(response).catch(() => '');
    return this.#failure(response.statusCode ?? 0, text);
  }

  /** The error for a connection that failed. */
  unreachable(error: unknown): TrunklineError {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const advice = UNREACHABLE[code] ?? 'Is that the address of its control server? See --url.';
    const message = `No node answers at ${this.url}: ${messageOf(error) || code}. ${advice}`;
    return new TrunklineError('CONNECTION_FAILED', message, { cause: error });
  }

  #failure(status: number, text: string): TrunklineError {
    const message = messageIn(text) ?? `HTTP status ${status}`;
    if (status === 401) {
      const advice = 'Set TRUNKLINE_TOKEN, or name a file with --token-file; "trunkline token create" makes one.';
      return new TrunklineError('AUTH_FAILED', `${this.url} wants a valid token: ${message} ${advice}`);
    }
    if (status === 403) return new TrunklineError('AUTH_FAILED', `${this.url} refuses it: ${message}`);
    if (status === 404) return new TrunklineError('STREAM_UNKNOWN', message);
    if (status === 429) return new TrunklineError('RATE_LIMITED', `${this.url}: ${message}`);
    if (status === 400 || status === 409 || status === 414) return new TrunklineError('CONFIG_INVALID', message);
    return new TrunklineError('CONNECTION_FAILED', `${this.url} cannot do it: ${message}`);
  }
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Is the node running, and is that its --control-port?',
  ENOTFOUND: 'There is no host of that name.',
  SELF_SIGNED_CERT_IN_CHAIN: 'Name its issuer with --ca-file.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Name its certificate with --ca-file.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Name its issuer with --ca-file.',
};

async function read(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseAnswer(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TrunklineError('PROTOCOL_ERROR', `What answers at ${url} is no control server of trunkline.`);
  }
}

/** The message of an error that the API has answered. */
function messageIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : undefined;
  } catch {
    return undefined;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

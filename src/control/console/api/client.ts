import { noteAnswer, noteSilence } from './connection.js';
import { signOut, token } from './session.js';

/** An answer of the node that is no success. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The node did not answer: it is stopped, restarting or out of reach. */
export class Unreachable extends Error {}

interface RequestOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** How long the whole response may take; 0 is as long as it takes. Default 10 s. */
  readonly timeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 10_000;

/** Path below the page's own address: the console may be mounted anywhere. */
export function urlOf(path: string): string {
  return new URL(path, document.baseURI).href.replace(/#.*$/, '');
}

export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const bearer = token();
  const headers: Record<string, string> = {};
  if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`;
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  const { timeoutMs = REQUEST_TIMEOUT_MS } = options;
  const signals = [options.signal, timeoutMs === 0 ? undefined : AbortSignal.timeout(timeoutMs)];
  let response: Response;
  try {
    response = await fetch(urlOf(path), {
      method: options.method ?? 'GET',
      headers,
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    noteSilence();
    throw new Unreachable('The node does not answer.');
  }
  noteAnswer();
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (failure.status === 401) {
    signOut(bearer === undefined ? undefined : 'The token is not valid, or no longer.');
  }
  throw failure;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, { signal });
  return (await response.json()) as T;
}

export async function post(path: string, body: unknown = {}): Promise<unknown> {
  const response = await request(path, { method: 'POST', body });
  return parsed(await response.text());
}

export async function put(path: string, body: unknown): Promise<unknown> {
  const response = await request(path, { method: 'PUT', body });
  return parsed(await response.text());
}

/** A path below `/api/v1`; every part is escaped, whatever an id contains. */
export function api(...parts: readonly string[]): string {
  return ['api/v1', ...parts.map(encodeURIComponent)].join('/');
}

export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** What to tell a person about a failure. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function failureOf(response: Response): Promise<ApiError> {
  const body = parsed(await response.text().catch(() => '')) as { error?: { code?: unknown; message?: unknown } };
  const { code, message } = body?.error ?? {};
  return new ApiError(
    response.status,
    typeof code === 'string' ? code : `HTTP_${response.status}`,
    typeof message === 'string' ? message : `The node answered ${response.status}.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

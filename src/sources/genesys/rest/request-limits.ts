import { LIMITS } from '../../../core/limits.js';
import { MS_PER_SECOND } from '../../../core/units.js';

/**
 * What a request to the platform may cost, sign-in included. A server may be broken, or another one than it should be.
 * Node itself limits the headers of an answer to 16 KiB.
 */
export const REQUEST_LIMITS = {
  /** Of an answer, after decompression. A page of 100 conversations has 2 MB as a rule. */
  maxBodyBytes: 16 << 20,
  /** Of nested arrays and objects in an answer; a conversation has about ten. */
  maxDepth: 64,
  /** From the first byte sent to the last one received, however steadily bytes keep coming. */
  totalMs: 30 * MS_PER_SECOND,
} as const;

export type RequestLimits = { readonly [Limit in keyof typeof REQUEST_LIMITS]: number };

/** The part of axios's request options that is set here. */
interface RequestOptions {
  maxContentLength?: number;
  signal?: AbortSignal;
  transformResponse?: ((data: unknown) => unknown)[];
}

/** The codes that readFailure finds in the errors of requests that went beyond a limit. */
export const BEYOND_LIMIT = {
  /** Of axios, for a signal that was aborted. */
  time: 'ERR_CANCELED',
  /** Of axios. */
  bytes: 'ERR_BAD_RESPONSE',
  depth: 'ERR_ANSWER_TOO_DEEP',
  /** Of Node's HTTP parser. */
  headers: 'HPE_HEADER_OVERFLOW',
} as const;

/**
 * A hook of the SDK's HTTP client that puts the limits on each request.
 * @param stopped aborts the requests under way.
 */
export function limitRequests(stopped: AbortSignal | undefined, limits: RequestLimits = REQUEST_LIMITS) {
  return (options: RequestOptions): RequestOptions => {
    const timeout = AbortSignal.timeout(limits.totalMs);
    options.signal = stopped === undefined ? timeout : AbortSignal.any([stopped, timeout]);
    options.maxContentLength = limits.maxBodyBytes;
    options.transformResponse = [(data) => parseAnswer(data, limits.maxDepth)];
    return options;
  };
}

/** JSON as a value; other text, such as an error page, cut to a length that can be reported. */
function parseAnswer(data: unknown, maxDepth: number): unknown {
  if (typeof data !== 'string' || data === '') return data;
  if (depthOf(data, maxDepth) > maxDepth) {
    throw Object.assign(new Error('The answer is nested too deeply.'), { code: BEYOND_LIMIT.depth });
  }
  try {
    return JSON.parse(data);
  } catch {
    return data.slice(0, LIMITS.maxNameBytes);
  }
}

/** How deep arrays and objects are nested in JSON, or a number beyond `most`. */
function depthOf(json: string, most: number): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let at = 0; at < json.length && deepest <= most; at++) {
    const character = json[at];
    if (isText) {
      if (character === '\\') at++;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}

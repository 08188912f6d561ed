import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { z } from 'zod';
import type { Clock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import type { CertifiedKey } from '../../../core/network/certificate.js';
import type { Deinterleaver } from '../protocol/deinterleave.js';
import type { PublicAddressOptions } from '../protocol/public-address.js';
import type { AudioHookKey } from '../protocol/signature.js';
import { isUuid } from '../protocol/wire.js';
import { type OpenRequest, SESSION_TIMING, type SessionTiming } from '../session/session-contract.js';

export interface AudioHookLimits {
  /** Milliseconds for the TLS handshake and for the headers of a request; default 5,000. */
  readonly headerMs: number;
  /** Bytes of one WebSocket message; default 1 MiB. Text above 64 KiB is answered with `disconnect` in any case. */
  readonly messageBytes: number;
  /** Sessions at one time; default 8,192. */
  readonly sessions: number;
  /** Sessions of one organization at one time; default 8,192. */
  readonly sessionsPerOrganization: number;
  /** New sessions per second of one API key, on average; twice as many at once; default 1,000. */
  readonly handshakesPerSecond: number;
  /** Failed authentications per second of one remote address, on average; four times as many at once; default 20. */
  readonly failuresPerSecond: number;
  /** Messages (or 2 KiB of audio) per second that one client may send, on average; default 500. */
  readonly messagesPerSecond: number;
  /** The same at once; default 4,096. */
  readonly messageBurst: number;
  /** Bytes that may wait to be sent to one client; default 256 KiB. A client that reads slower is disconnected. */
  readonly outboundBytes: number;
}

export const AUDIOHOOK_LIMITS: AudioHookLimits = {
  headerMs: 5_000,
  messageBytes: 1 << 20,
  sessions: 8_192,
  sessionsPerOrganization: 8_192,
  handshakesPerSecond: 1_000,
  failuresPerSecond: 20,
  messagesPerSecond: 500,
  messageBurst: 4_096,
  outboundBytes: 1 << 18,
};

export const DEFAULT_PATH = '/audiohook/ws';

/**
 * Options of the AudioHook server. Where it gets its connections from is one of three: `port`, a server of its own;
 * `httpServer`, a server of the embedder; `noServer`, the embedder calls handleUpgrade().
 */
export interface AudioHookServerOptions extends PublicAddressOptions {
  /** Port of a server of its own; 0 for any free port. */
  readonly port?: number | undefined;
  /** Address to listen on. Default: 127.0.0.1 without `tls`, all interfaces with it. */
  readonly host?: string | undefined;
  /**
   * A Node `http.Server` or `https.Server`, such as fastify's `app.server`, on which WebSocket requests for `path` are
   * taken. Its other requests and other WebSocket paths are left to the embedder, who also listens, closes it, and
   * answers health checks.
   */
  readonly httpServer?: HttpServer | HttpsServer | undefined;
  /** The embedder passes WebSocket requests to handleUpgrade(). */
  readonly noServer?: boolean | undefined;
  /** Path of the WebSocket. Default: `/audiohook/ws`. */
  readonly path?: string | undefined;
  /** Keys that clients may use, at least one. */
  readonly keys: readonly AudioHookKey[];
  /** Accept requests without a signature for keys without a secret. Default: false. */
  readonly allowUnsigned?: boolean | undefined;
  /** The former name of `publicAuthority`. @deprecated Use `publicAuthority`. */
  readonly authority?: string | undefined;
  /** Without it the server uses plain HTTP, for loopback or behind a TLS terminator. Only with `port`. */
  readonly tls?: CertifiedKey | undefined;
  /**
   * File that keeps the nonces of accepted signatures over a restart. Without it, requests that were signed before the
   * start are refused, and one that was signed in the same second can be replayed.
   */
  readonly nonceFile?: string | undefined;
  /** Limits of the server and of each client; those left out keep their defaults. */
  readonly limits?: Partial<AudioHookLimits> | undefined;
  /** Time limits of the protocol; those left out keep their defaults. */
  readonly timing?: Partial<SessionTiming> | undefined;
  /** Delay of the answer to a failed authentication, milliseconds. Default: 500. */
  readonly refusalDelayMs?: number | undefined;
  /** How long the stream of a lost connection waits for a session to continue it, milliseconds. Default: 5,000. */
  readonly lossWindowMs?: number | undefined;
  /** The same after a `close` with reason reconnect, milliseconds. Default: 15,000. */
  readonly reconnectWindowMs?: number | undefined;
  /** Languages that `opened` lists when a client asks for them. Default: none. */
  readonly supportedLanguages?: readonly string[] | undefined;
  /** Begin sessions with our own pause: all of them, or those for which the function returns true. Default: false. */
  readonly startPaused?: boolean | ((request: OpenRequest) => boolean) | undefined;
  /** Ask clients to discard buffered audio from before this position of the call, in seconds. Default: 0. */
  readonly discardToSeconds?: number | ((request: OpenRequest) => number) | undefined;
  /** Awaited between the end of a stream and `closed`, for at most 4 s, so that recordings are finished first. */
  readonly finishStream?: ((interactionId: string) => Promise<void>) | undefined;
  /** What is wrong at the moment, such as recordings that cannot be written; the health check then answers 503. */
  readonly problems?: (() => readonly string[]) | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How the server takes audio; chosen by the source. */
export interface AudioHookParts {
  /** Default: the one in JavaScript. */
  readonly deinterleaver?: Deinterleaver | undefined;
  /** All audio goes by ws, as text does. */
  readonly audioByWs?: boolean;
}

const count = z.number().positive();
const milliseconds = z.number().nonnegative().max(3_600_000);
const text = z.string().min(1).max(4_096);
const pem = z.custom<string | Buffer>((value) => typeof value === 'string' || Buffer.isBuffer(value), 'must be PEM');
const callback = z.custom((value) => typeof value === 'function', 'must be a function');
const has = (...methods: string[]) =>
  z.custom<object>(
    (value) => methods.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
    `must have the methods ${methods.join(' and ')}`,
  );

/** An object with these keys alone, each of the given schema, and none of them required. */
function partial(names: object, schema: z.ZodType): z.ZodType {
  return z.strictObject(Object.fromEntries(Object.keys(names).map((name) => [name, schema.optional()]))).optional();
}

const optionsSchema = z
  .strictObject({
    port: z.int().min(0).max(65_535).optional(),
    host: text.optional(),
    httpServer: has('on', 'off', 'address').optional(),
    noServer: z.boolean().optional(),
    path: text.regex(/^\/[^?#\s]*$/, 'must begin with / and have no query').optional(),
    keys: z.array(
      z.strictObject({
        apiKey: z.string().max(4_096),
        clientSecret: z.string().max(4_096).optional(),
        organizations: z.array(z.string().refine(isUuid, 'must be a UUID')).optional(),
      }),
    ),
    allowUnsigned: z.boolean().optional(),
    authority: text.optional(),
    publicAuthority: text.optional(),
    publicPath: text.regex(/^\/[^?#\s]*$/, 'must begin with / and have no query').optional(),
    trustedProxies: z.array(text).optional(),
    tls: z.strictObject({ cert: pem, key: pem }).optional(),
    nonceFile: text.optional(),
    limits: partial(AUDIOHOOK_LIMITS, count),
    timing: partial(SESSION_TIMING, count),
    refusalDelayMs: milliseconds.optional(),
    lossWindowMs: milliseconds.optional(),
    reconnectWindowMs: milliseconds.optional(),
    supportedLanguages: z.array(text).optional(),
    startPaused: z.union([z.boolean(), callback]).optional(),
    discardToSeconds: z.union([z.number().nonnegative(), callback]).optional(),
    finishStream: callback.optional(),
    problems: callback.optional(),
    clock: has('nowUs', 'wallMs').optional(),
  })
  .superRefine(({ port, httpServer, noServer, tls, host }, context) => {
    const given = [port !== undefined, httpServer !== undefined, noServer === true].filter(Boolean).length;
    const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (given !== 1) fault('port', 'must be given, or httpServer or noServer instead of it');
    if (port === undefined && tls !== undefined)
      fault('tls', 'needs port; another server has a certificate of its own');
    if (port === undefined && host !== undefined) fault('host', 'needs port; another server listens by itself');
  });

/** Keys, and the certificate, that a running server takes in place of those it has. */
export interface Replacement {
  readonly keys: readonly AudioHookKey[];
  /** Of a server that has one. */
  readonly tls?: CertifiedKey;
}

/**
 * Checks the options at every depth.
 * @param within The option of the caller that holds these, for the message; empty when they are its own.
 * @throws TrunklineError CONFIG_INVALID with the names of all options that are unknown or have a wrong value.
 */
export function checkServerOptions(options: AudioHookServerOptions, within = ''): void {
  const parsed = optionsSchema.safeParse(options);
  if (parsed.success) return;
  const sentences = parsed.error.issues.flatMap((issue) => {
    const path = within === '' ? issue.path : [within, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => `The option "${[...path, key].join('.')}" is unknown.`);
    }
    return [`The option "${path.join('.')}" ${issue.message.replace(/^Invalid input: /, 'is not valid: ')}.`];
  });
  throw new TrunklineError('CONFIG_INVALID', sentences.join(' '));
}

import { z } from 'zod';

export interface ControlOptions {
  /** Name of the service in the node; default `control`. */
  readonly name?: string;
  /** Port to listen on, 0 to 65535; 0 for any free one; default 9464. */
  readonly port?: number;
  /** Take another free port when `port` is in use; default false: the node does not start. */
  readonly orAnyPort?: boolean;
  /**
   * Address to listen on; default 127.0.0.1. Another than one of this machine's own (127.0.0.0/8, ::1, `localhost`) is
   * refused without `tokensFile`.
   */
  readonly host?: string;
  /** Do not listen: the embedder passes requests to handle() and handleUpgrade(); default false. */
  readonly noServer?: boolean;
  /** Of an embedder's server: the path that everything is below, such as `/trunkline`; default none. */
  readonly basePath?: string;
  /** File of tokens, as `trunkline token create` makes it; default none: every caller on this machine is an operator. */
  readonly tokensFile?: string;
  /** Files in PEM: the certificate, followed by its issuers, and its private key; default none: plain HTTP. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /**
   * Names beside `localhost` under which callers reach the server, without port; default none. Requests by IP address
   * are always taken. All others are refused, because a page of another site could make them (DNS rebinding).
   */
  readonly allowedHosts?: readonly string[];
  /** Origins of other sites whose pages may use the API (CORS), such as `https://ops.example.com`; default none. */
  readonly allowedOrigins?: readonly string[];
  /** Folder of the recordings that are listed and served; default none. */
  readonly recordings?: string;
  /** What `GET /api/v1/node/config` answers; it must not hold secrets; default an empty object. */
  readonly config?: () => object;
  /** Reads and changes the log level of the process; default: it cannot be read or changed. */
  readonly logLevel?: { get(): string; set(level: string): void };
  /** Reads keys, tokens and certificates again and reopens files. Returns what failed; default: the node's reopen(). */
  readonly reload?: () => Promise<readonly unknown[]>;
  /** Limits on connections and requests. */
  readonly limits?: Partial<ControlLimits>;
}

export interface ControlLimits {
  /** Connections at the same time, event streams and listeners included; more are closed at once; default 512. */
  readonly connections: number;
  /** Bytes of a request's body; default 65,536. */
  readonly bodyBytes: number;
  /** Milliseconds for the TLS handshake and for the headers of a request; default 5,000. */
  readonly headerMs: number;
  /** Milliseconds for a whole request to arrive; default 10,000. */
  readonly requestMs: number;
  /** Milliseconds that an idle connection is kept; default 15,000. */
  readonly keepAliveMs: number;
  /** Milliseconds after which a client that takes nothing of what waits for it is cut off; default 15,000. */
  readonly stalledMs: number;
}

export const DEFAULT_CONTROL_PORT = 9464;

const count = (max: number) => z.int().min(1).max(max);

const limitsSchema = z.strictObject({
  connections: count(65_536).default(512),
  bodyBytes: count(1 << 20).default(65_536),
  headerMs: count(600_000).default(5_000),
  requestMs: count(600_000).default(10_000),
  keepAliveMs: count(600_000).default(15_000),
  stalledMs: count(600_000).default(15_000),
});

const text = z.string().min(1).max(4096);
const callback = z.custom<(...values: never[]) => unknown>(
  (value) => typeof value === 'function',
  'must be a function',
);

export const controlSchema = z.strictObject({
  name: text.default('control'),
  port: z.int().min(0).max(65_535).default(DEFAULT_CONTROL_PORT),
  orAnyPort: z.boolean().default(false),
  host: text.default('127.0.0.1'),
  noServer: z.boolean().default(false),
  basePath: z
    .string()
    .regex(/^(?:\/[\w.~-]+)*$/, 'must begin with / and end without')
    .default(''),
  tokensFile: text.exactOptional(),
  tls: z.strictObject({ certFile: text, keyFile: text }).exactOptional(),
  allowedHosts: z.array(text.toLowerCase()).default([]),
  allowedOrigins: z
    .array(z.string().regex(/^https?:\/\/[^/\s]+$/, 'must be an origin such as https://ops.example.com'))
    .default([]),
  recordings: text.exactOptional(),
  config: callback.exactOptional(),
  logLevel: z.custom<object>((value) => typeof value === 'object' && value !== null, 'an object').exactOptional(),
  reload: callback.exactOptional(),
  limits: limitsSchema.prefault({}),
});

/** The options with every default. */
export type ControlSettings = Omit<ControlOptions, keyof Defaults> & Defaults;

interface Defaults {
  readonly name: string;
  readonly port: number;
  readonly orAnyPort: boolean;
  readonly host: string;
  readonly noServer: boolean;
  readonly basePath: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly limits: ControlLimits;
}

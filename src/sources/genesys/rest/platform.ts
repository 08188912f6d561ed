import type { Agent } from 'node:https';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND } from '../../../core/units.js';
import type { Endpoints } from './region.js';
import { BEYOND_LIMIT, limitRequests, REQUEST_LIMITS, type RequestLimits } from './request-limits.js';
import type { Transport } from './transport.js';

/** The part of the SDK's ApiClient that is used here; its own types are 73,600 lines of models. */
export interface ApiClient {
  config: { live_reload_config: boolean; logger: { log_level: string; log_to_console: boolean; setLogger(): void } };
  setEnvironment(environment: string): void;
  setGateway(gateway?: Record<string, unknown>): void;
  setReturnExtendedResponses(extended: boolean): void;
  setPersistSettings(persist: boolean): void;
  setProxyAgent(agent: Agent): void;
  setAccessToken(token: string): void;
  setPreHook(hook: (options: object) => object): void;
  callApi(
    path: string,
    method: string,
    pathParameters: object,
    query: Readonly<Record<string, string | number>>,
    headers: object,
    form: object,
    body: unknown,
    authentications: readonly string[],
    contentTypes: readonly string[],
    accepts: readonly string[],
  ): Promise<unknown>;
  loginClientCredentialsGrant(id: string, secret: string): Promise<{ accessToken: string; tokenExpiryTime: number }>;
}

interface ConversationsApi {
  getConversation(id: string): Promise<unknown>;
}

interface NotificationsApi {
  postNotificationsChannels(): Promise<unknown>;
  putNotificationsChannelSubscriptions(channelId: string, topics: readonly { readonly id: string }[]): Promise<unknown>;
}

interface AnalyticsApi {
  postAnalyticsConversationsDetailsQuery(query: object): Promise<unknown>;
}

type ApiClass<Api> = new (client: ApiClient) => Api;

export interface Platform {
  readonly client: ApiClient;
  readonly conversations: ConversationsApi;
  readonly notifications: NotificationsApi;
  readonly analytics: AnalyticsApi;
}

const JSON_TYPE = 'application/json';
const SDK = 'purecloud-platform-client-v2';
/** Where the SDK has its classes as ES modules, one a file. */
const SDK_SOURCE = `${SDK}/src/${SDK}`;

/**
 * Loads Genesys's SDK and makes a client of its own, not yet signed in. Of the SDK only the files that
 * are needed: its main entry is every class of every API in one, half a second of CPU and 50 MB instead of half as much.
 *
 * @param stopped aborts the requests under way.
 * @throws TrunklineError CONFIG_INVALID when the SDK, an optional dependency, is not installed.
 */
export async function loadPlatform(
  endpoints: Endpoints,
  transport: Transport,
  stopped?: AbortSignal,
  limits?: RequestLimits,
): Promise<Platform> {
  const [Client, Conversations, Notifications, Analytics] = await Promise.all([
    sdkClass<new () => ApiClient>('ApiClient.js'),
    sdkClass<ApiClass<ConversationsApi>>('api/ConversationsApi.js'),
    sdkClass<ApiClass<NotificationsApi>>('api/NotificationsApi.js'),
    sdkClass<ApiClass<AnalyticsApi>>('api/AnalyticsApi.js'),
  ]);
  const client = withRequire(() => quietClient(Client));
  client.setPersistSettings(false);
  client.setEnvironment(endpoints.domain);
  const { gateway } = endpoints;
  client.setGateway(
    gateway === undefined
      ? undefined
      : {
          host: gateway.host,
          protocol: gateway.protocol,
          port: gateway.port,
          path_params_login: gateway.path,
          path_params_api: gateway.path,
        },
  );
  // Only the extended form shows status and headers of a refusal, and so Retry-After.
  client.setReturnExtendedResponses(true);
  // The SDK's HTTP client takes HTTPS_PROXY and NO_PROXY from the environment by itself, and the CA from this agent.
  const agent = transport.tlsAgent();
  if (agent !== undefined) client.setProxyAgent(agent);
  client.setPreHook(limitRequests(stopped, limits));
  return {
    client,
    conversations: new Conversations(client),
    notifications: new Notifications(client),
    analytics: new Analytics(client),
  };
}

async function sdkClass<Class>(file: string): Promise<Class> {
  try {
    const module: { default: Class } = await import(`${SDK_SOURCE}/${file}`);
    return module.default;
  } catch (error) {
    const isMissing =
      (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND' && messageOf(error).includes(SDK);
    if (!isMissing) throw error;
    throw new TrunklineError(
      'CONFIG_INVALID',
      `Capturing from Genesys Cloud needs the optional dependency ${SDK}, which is not installed; run: npm install ${SDK}`,
    );
  }
}

function quietClient(Client: new () => ApiClient): ApiClient {
  const client = new Client();
  // The SDK reads a file in the user's home and follows its changes; a log level set there would write tokens out.
  client.config.live_reload_config = false;
  client.config.logger.log_level = 'none';
  client.config.logger.log_to_console = false;
  client.config.logger.setLogger();
  return client;
}

/**
 * The SDK's modules call `require` for the parts of Node and the logger that a client begins with, as if bundled. They
 * find it while `work` runs and no longer; as that is synchronous, no other code sees it.
 */
function withRequire<Result>(work: () => Result): Result {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'require');
  const require = createRequire(createRequire(import.meta.url).resolve(SDK));
  Object.defineProperty(globalThis, 'require', { value: require, configurable: true });
  try {
    return work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'require');
    else Object.defineProperty(globalThis, 'require', before);
  }
}

/** Asks for a resource that none of the loaded classes of the SDK has; theirs do the same. */
export function getResource(
  { client }: Platform,
  path: string,
  query: Readonly<Record<string, string | number>>,
): Promise<unknown> {
  return client.callApi(path, 'GET', {}, query, {}, {}, null, ['PureCloud OAuth'], [JSON_TYPE], [JSON_TYPE]);
}

/** What went wrong with a request, without the request itself, which contains the secret or the token. */
export interface RequestFailure {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  /** Of the network or of axios, such as ECONNREFUSED; empty when there was an answer. */
  readonly networkCode: string;
  readonly retryAfter: unknown;
}

const answered = z.object({ status: z.number(), headers: z.unknown() });
const answeredWithin = z.object({ response: answered });
const unanswered = z.object({ code: z.string() });

/** Reads an error of the SDK: an extended response, or an axios error. */
export function readFailure(error: unknown): RequestFailure {
  const within = answeredWithin.safeParse(error);
  const answer = within.success ? within.data.response : answered.safeParse(error).data;
  if (answer !== undefined) {
    return { status: answer.status, networkCode: '', retryAfter: headerOf(answer.headers, 'retry-after') };
  }
  return { status: undefined, networkCode: unanswered.safeParse(error).data?.code ?? '', retryAfter: undefined };
}

function headerOf(headers: unknown, name: string): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined;
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === name) return value;
  return undefined;
}

/** Worth another attempt: no answer, too many requests, or a failure on the server's side. */
export function isTransient(failure: RequestFailure): boolean {
  return failure.status === undefined || failure.status === 408 || failure.status === 429 || failure.status >= 500;
}

/** The error for the caller: what was asked, what went wrong and what to do. */
export function requestError(what: string, failure: RequestFailure): TrunklineError {
  const { status, networkCode } = failure;
  if (status === undefined) return new TrunklineError('CONNECTION_FAILED', `${what}: ${networkAdvice(networkCode)}`);
  if (status === 429) {
    return new TrunklineError(
      'RATE_LIMITED',
      `${what}: the platform goes on refusing with 429; lower the request rate.`,
    );
  }
  if (status === 401) {
    return new TrunklineError(
      'AUTH_FAILED',
      `${what}: the platform refuses even new tokens (401); check GENESYS_REGION, and that the OAuth client of ` +
        'GENESYS_CLIENT_ID is still active.',
    );
  }
  if (status === 403) {
    return new TrunklineError(
      'AUTH_FAILED',
      `${what}: the platform refuses with 403; give the OAuth client of GENESYS_CLIENT_ID the permission for it.`,
    );
  }
  return new TrunklineError('CONNECTION_FAILED', `${what}: the platform answers with status ${status}; try later.`);
}

export function isTlsFailure(code: string): boolean {
  return /CERT|TLS|SSL|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code);
}

/** A sentence for a network error code of Node. */
export function networkAdvice(code: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name cannot be resolved (${code}); check GENESYS_REGION or the configured address, and DNS.`;
    case 'ECONNREFUSED':
      return 'the connection was refused (ECONNREFUSED); check that the server runs there.';
    case 'ECONNRESET':
    case 'EPIPE':
      return `the connection was reset (${code}).`;
    case BEYOND_LIMIT.time:
      return `there was no complete answer within ${REQUEST_LIMITS.totalMs / MS_PER_SECOND} s; check the network and the address.`;
    case BEYOND_LIMIT.bytes:
      return `the answer is broken, or larger than ${REQUEST_LIMITS.maxBodyBytes >> 20} MiB; check the address.`;
    case BEYOND_LIMIT.depth:
      return `the answer is nested more than ${REQUEST_LIMITS.maxDepth} levels deep; check the address.`;
    case BEYOND_LIMIT.headers:
      return 'the headers of the answer are larger than 16 KiB; check the address.';
    case 'EPROTO':
      return 'the TLS handshake failed (EPROTO): what answers there speaks no TLS; check the address, and any proxy.';
    case 'ETIMEDOUT':
    case 'ECONNABORTED':
      return `no answer in time (${code}); check the network and the proxy settings.`;
    default:
      if (isTlsFailure(code)) {
        return `the TLS certificate is not accepted (${code}); check the address, or name the CA with --ca-file.`;
      }
      return `the network fails${code === '' ? '' : ` (${code})`}; check the connection.`;
  }
}

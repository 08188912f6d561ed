import { lookup } from 'node:dns/promises';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { getProxyForUrl } from 'proxy-from-env';
import type { Config } from '../../config/schema.js';
import { systemClock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { MS_PER_SECOND } from '../../core/units.js';
import {
  isTlsFailure,
  loadPlatform,
  networkAdvice,
  readFailure,
  requestError,
} from '../../sources/genesys/rest/platform.js';
import { type Endpoints, resolveEndpoints, signInHost } from '../../sources/genesys/rest/region.js';
import { REQUEST_LIMITS } from '../../sources/genesys/rest/request-limits.js';
import { Transport } from '../../sources/genesys/rest/transport.js';
import { type Finding, fail, failure, ok, warn } from './finding.js';

const TIMEOUT_MS = 10 * MS_PER_SECOND;
/** `Date` has whole seconds, and its answer was under way. */
const DATE_UNCERTAINTY_MS = 1_500;
/** AudioHook refuses signatures from more than 3 s in the future and from more than 10 s in the past. */
const SKEW_MS = { warn: 2_000, fail: 10_000 } as const;

const PROXY_REFUSES = 'PROXY_REFUSES';

interface Answer {
  readonly url: URL;
  /** The server's clock less ours, at about the same moment; undefined without a Date header. */
  readonly skewMs: number | undefined;
  /** Whose certificate it was, and until when; undefined without TLS. */
  readonly certificate: string | undefined;
}

/**
 * The platform as this machine sees it: names, TLS, the clock, and the sign-in.
 * @param signsIn Whether the node subscribes at the platform. If not, only the clock matters.
 */
export async function checkPlatform(config: Config, signsIn: boolean): Promise<Finding[]> {
  let endpoints: Endpoints;
  let transport: Transport;
  try {
    endpoints = resolveEndpoints(config);
    transport = new Transport(config);
  } catch (error) {
    return [failure('platform', error, 'Correct that setting; `trunkline config` shows where it comes from.')];
  }
  const hosts = hostsOf(endpoints);
  if (!signsIn) return [clockFinding(await Promise.all(hosts.slice(0, 1).map((url) => reached(url, transport))))];
  const [names, answers] = await Promise.all([
    checkNames(hosts),
    Promise.all(hosts.map((url) => reached(url, transport))),
  ]);
  const signIn = await checkSignIn(config, endpoints, transport);
  return [names, ...connectionFindings(answers), clockFinding(answers), signIn];
}

/** Sign-in, API, media, each server once. */
function hostsOf({ domain, gateway, mediaUrl }: Endpoints): URL[] {
  const port = gateway === undefined || gateway.port < 0 ? '' : `:${gateway.port}`;
  const api =
    gateway === undefined
      ? [`https://login.${domain}`, `https://api.${domain}`]
      : [`${gateway.protocol}://${gateway.host}${port}`];
  const origins = [...api, mediaUrl.replace(/^ws/, 'http')].map((url) => new URL(url).origin);
  return [...new Set(origins)].map((origin) => new URL(origin));
}

async function checkNames(hosts: readonly URL[]): Promise<Finding> {
  // Behind a proxy, only its own name is looked up here.
  const proxies = hosts.map((url) => getProxyForUrl(url.href)).filter((proxy) => URL.canParse(proxy));
  const direct = hosts.filter((url) => getProxyForUrl(url.href) === '');
  const names = [...new Set([...direct, ...proxies.map((proxy) => new URL(proxy))].map(({ hostname }) => hostname))];
  const failed = await Promise.all(
    names.map((name) =>
      lookup(name.replace(/^\[|\]$/g, '')).then(
        () => [],
        (error: NodeJS.ErrnoException) => [`${name} (${error.code ?? messageOf(error)})`],
      ),
    ),
  );
  if (failed.flat().length === 0) return ok('dns', `${names.join(', ')} found`);
  const fix = 'Check GENESYS_REGION, --api-url and --media-url, and the DNS server of this machine.';
  return fail('dns', `not found: ${failed.flat().join(', ')}`, fix);
}

/** Asks for the head of an address: whether the server is there, whose certificate it has, and what time it says. */
export async function reached(url: URL, transport: Transport): Promise<Answer | Error> {
  try {
    return await ask(url, transport);
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function ask(url: URL, transport: Transport): Promise<Answer> {
  const options = { ...transport.webSocketOptions(url.href), method: 'HEAD', timeout: TIMEOUT_MS };
  const sentMs = systemClock.wallMs();
  return new Promise((resolve, reject) => {
    const request: ClientRequest = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
    request.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(url, error)));
    request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    request.on('response', (response) => {
      response.resume();
      const { socket, statusCode } = response;
      if (url.protocol === 'https:' && !(socket instanceof TLSSocket)) {
        // The agent passes on what a proxy answers instead of connecting.
        const message = `${url.host}: the proxy refuses to connect to it (${statusCode})`;
        reject(Object.assign(new Error(message), { code: PROXY_REFUSES }));
        return;
      }
      const date = Date.parse(response.headers.date ?? '');
      const oursMs = (sentMs + systemClock.wallMs()) / 2;
      const skewMs = Number.isNaN(date) ? undefined : date + MS_PER_SECOND / 2 - oursMs;
      const peer = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
      const certificate = peer && `${peer.issuer?.O ?? peer.issuer?.CN ?? 'an unnamed issuer'}, until ${peer.valid_to}`;
      resolve({ url, skewMs, certificate });
    });
    request.end();
  });
}

function unreachable(url: URL, { code = '' }: NodeJS.ErrnoException): Error {
  return Object.assign(new Error(`${url.host}: ${networkAdvice(code)}`), { code });
}

/** One finding of each server. */
export function connectionFindings(answers: readonly (Answer | Error)[], name = 'connection'): Finding[] {
  return answers.map((answer) => {
    if (answer instanceof Error) return fail(name, answer.message, adviceFor(answer));
    const { url, certificate } = answer;
    const proxy = getProxyForUrl(url.href);
    const way = proxy === '' ? '' : ` by the proxy ${URL.canParse(proxy) ? new URL(proxy).host : ''}`;
    if (certificate !== undefined) return ok(name, `${url.host} reached${way}; certificate of ${certificate}`);
    const message = `${url.host} reached${way}, without TLS`;
    if (/^(?:localhost|127\.|\[::1\])/.test(url.hostname)) return ok(name, message);
    return warn(name, message, 'Use an address with TLS: what is sent there passes in the clear.');
  });
}

function adviceFor(error: Error): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === PROXY_REFUSES) return 'Check the credentials in HTTPS_PROXY, and allow that host in the proxy.';
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    return 'Check the clock of this machine first. If it is right, the server or a proxy in between must renew its certificate.';
  }
  if (isTlsFailure(code)) return 'If a proxy or firewall opens TLS, name the certificate of its CA with --ca-file.';
  return 'Allow outgoing connections to it in the firewall, or set HTTPS_PROXY.';
}

export function clockFinding(answers: readonly (Answer | Error)[]): Finding {
  const skews = answers.flatMap((answer) => (answer instanceof Error ? [] : [answer.skewMs ?? []])).flat();
  const [skewMs] = skews;
  const fix = 'Synchronise the clock by NTP: timedatectl set-ntp true, or chrony.';
  if (skewMs === undefined) return warn('clock', 'not compared: no server was reached that says the time.', fix);
  const size = Math.max(0, Math.abs(skewMs) - DATE_UNCERTAINTY_MS);
  if (size === 0) return ok('clock', 'agrees with that of the platform, within 1.5 s');
  const seconds = Math.round(Math.abs(skewMs) / MS_PER_SECOND);
  const message = `${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the platform; AudioHook refuses requests when it is wrong`;
  if (size > SKEW_MS.fail) return fail('clock', message, fix);
  return size > SKEW_MS.warn ? warn('clock', message, fix) : ok('clock', message);
}

async function checkSignIn(config: Config, endpoints: Endpoints, transport: Transport): Promise<Finding> {
  const { clientId, clientSecret } = config;
  const name = 'sign-in';
  if (clientId === undefined || clientSecret === undefined) {
    return fail(name, 'the credentials are missing', 'Set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET.');
  }
  const host = signInHost(endpoints);
  try {
    const limits = { ...REQUEST_LIMITS, totalMs: TIMEOUT_MS };
    const { client } = await loadPlatform(endpoints, transport, undefined, limits);
    await client.loginClientCredentialsGrant(clientId, clientSecret);
    return ok(name, `${host} accepts the credentials`);
  } catch (error) {
    if (error instanceof Error && error.name === 'TrunklineError') return failure(name, error, 'Install it.');
    const read = readFailure(error);
    if (read.status === 400 || read.status === 401 || read.status === 403) {
      const fix =
        'Check client id, secret and region, and that the OAuth client is active and has the client credentials grant.';
      return fail(name, `${host} refuses the credentials (${read.status})`, fix);
    }
    return failure(
      name,
      requestError(`Sign-in at ${host}`, read),
      adviceFor(Object.assign(new Error(), { code: read.networkCode })),
    );
  }
}

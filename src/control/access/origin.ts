import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/** What a browser's headers say about where a request comes from. */
export interface OriginRules {
  /** Names beside `localhost` under which the server may be addressed, without port, in lower case. */
  readonly allowedHosts: ReadonlySet<string>;
  /** Other origins whose pages may use the API, such as `https://ops.example.com`. */
  readonly allowedOrigins: ReadonlySet<string>;
}

/**
 * Whether the server may be addressed by that Host header. A page of another site that has its name resolve to this
 * machine (DNS rebinding) is same-origin to the browser, but has its own name in Host; an address never comes about so.
 */
export function isHostAllowed(host: string | undefined, { allowedHosts }: OriginRules): boolean {
  const name = hostNameOf(host);
  if (name === undefined) return false;
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || allowedHosts.has(name);
}

/** The name in a Host header, without port and brackets; undefined when it is not a valid one. */
function hostNameOf(host: string | undefined): string | undefined {
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
  return (bracketed ?? plain)?.toLowerCase();
}

/**
 * Whether a page of another site made the request. Browsers send Origin with WebSockets, with CORS requests, and with
 * all that are not GET or HEAD, and Sec-Fetch-Site with every request to a trustworthy address; other clients send
 * neither.
 */
export function isCrossSite(headers: IncomingHttpHeaders, { allowedOrigins }: OriginRules): boolean {
  const { origin, host = '' } = headers;
  if (origin !== undefined) return !allowedOrigins.has(origin) && hostOf(origin) !== host.toLowerCase();
  const site = headers['sec-fetch-site'];
  return site === 'cross-site' || site === 'same-site';
}

/** Host and port of an origin; undefined for `null` and everything else that is not one. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

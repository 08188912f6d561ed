import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { TrunklineError } from '../errors.js';
import { trustedCertificates } from './certificate.js';

export interface HttpAgentOptions {
  readonly maxSockets: number;
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string | undefined;
}

/**
 * Connections to a server, kept open between requests, through the proxy that HTTPS_PROXY and NO_PROXY name for it.
 * @throws TrunklineError CONFIG_INVALID for a CA file or a proxy that cannot be one.
 */
export function httpAgent(url: string, { maxSockets, caFile }: HttpAgentOptions): HttpAgent {
  const tls = caFile === undefined ? {} : { ca: trustedCertificates(caFile) };
  const common = { keepAlive: true, maxSockets, ...tls };
  const proxy = getProxyForUrl(url);
  if (proxy === '') return url.startsWith('https:') ? new HttpsAgent(common) : new HttpAgent(common);
  if (!/^https?:\/\//.test(proxy) || !URL.canParse(proxy)) {
    throw new TrunklineError('CONFIG_INVALID', 'HTTPS_PROXY must be an address that begins with http:// or https://.');
  }
  return new HttpsProxyAgent(proxy, common);
}

import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { messageOf, TrunklineError } from '../errors.js';

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
  const tls = caFile === undefined ? {} : { ca: [...rootCertificates, certificatesIn(caFile)] };
  const common = { keepAlive: true, maxSockets, ...tls };
  const proxy = getProxyForUrl(url);
  if (proxy === '') return url.startsWith('https:') ? new HttpsAgent(common) : new HttpAgent(common);
  if (!/^https?:\/\//.test(proxy) || !URL.canParse(proxy)) {
    throw new TrunklineError('CONFIG_INVALID', 'HTTPS_PROXY must be an address that begins with http:// or https://.');
  }
  return new HttpsProxyAgent(proxy, common);
}

function certificatesIn(file: string): string {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the CA file ${file}: ${messageOf(error)}.`);
  }
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
  throw new TrunklineError('CONFIG_INVALID', `The CA file ${file} contains no certificate in PEM form.`);
}

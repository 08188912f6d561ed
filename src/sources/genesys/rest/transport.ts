import { Agent } from 'node:https';
import process from 'node:process';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { TrunklineError } from '../../../core/errors.js';
import { trustedCertificates } from '../../../core/network/certificate.js';

export interface TransportSettings {
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string | undefined;
  /** Goes on although NODE_TLS_REJECT_UNAUTHORIZED=0 has switched the verification of certificates off. */
  readonly insecureTls?: boolean | undefined;
}

/** How servers are reached: proxies of the environment (HTTPS_PROXY, NO_PROXY), and whom TLS trusts. */
export class Transport {
  readonly #ca: string[] | undefined;
  readonly #proxies = new Map<string, HttpsProxyAgent<string>>();
  #agent: Agent | undefined;

  /** @throws TrunklineError CONFIG_INVALID for a CA file that is none, and for TLS without verification. */
  constructor(settings: TransportSettings = {}) {
    if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0' && settings.insecureTls !== true) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        'NODE_TLS_REJECT_UNAUTHORIZED=0 lets any server pose as Genesys Cloud and listen in; unset it and name your CA ' +
          'with --ca-file, or, knowing that, set --insecure-tls.',
      );
    }
    this.#ca = settings.caFile === undefined ? undefined : trustedCertificates(settings.caFile);
  }

  /** For HTTPS without regard to proxies; undefined when Node's own will do. */
  tlsAgent(): Agent | undefined {
    if (this.#ca === undefined) return undefined;
    this.#agent ??= new Agent({ ...this.#tls(), keepAlive: true });
    return this.#agent;
  }

  /** Options of a WebSocket to this address. @throws TrunklineError CONFIG_INVALID for a proxy that cannot be one. */
  webSocketOptions(url: string): { agent?: Agent | HttpsProxyAgent<string>; ca?: string[] } {
    const proxy = getProxyForUrl(url.replace(/^ws/, 'http'));
    // An agent for proxies has its CA for the proxy alone; what lies behind goes by the request's.
    if (proxy === '') return this.#tls();
    if (!/^https?:\/\//.test(proxy) || !URL.canParse(proxy)) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        'HTTPS_PROXY must be an address that begins with http:// or https://.',
      );
    }
    const agent = this.#proxies.get(proxy) ?? new HttpsProxyAgent(proxy, this.#tls());
    this.#proxies.set(proxy, agent);
    return { agent, ...this.#tls() };
  }

  #tls(): { ca?: string[] } {
    return this.#ca === undefined ? {} : { ca: this.#ca };
  }
}

import { TrunklineError } from '../../../core/errors.js';

// The platform's regions by their AWS ids, as https://developer.genesys.cloud/platform/api/ and the SDK list them.
const DOMAIN_OF: Readonly<Record<string, string>> = {
  'us-east-1': 'mypurecloud.com',
  'us-east-2': 'use2.us-gov-pure.cloud',
  'us-west-2': 'usw2.pure.cloud',
  'ca-central-1': 'cac1.pure.cloud',
  'mx-central-1': 'mxc1.pure.cloud',
  'sa-east-1': 'sae1.pure.cloud',
  'eu-west-1': 'mypurecloud.ie',
  'eu-west-2': 'euw2.pure.cloud',
  'eu-central-1': 'mypurecloud.de',
  'eu-central-2': 'euc2.pure.cloud',
  'eusc-de-east-1': 'edee1.eusc-pure.cloud',
  'me-central-1': 'mec1.pure.cloud',
  'ap-south-1': 'aps1.pure.cloud',
  'ap-northeast-1': 'mypurecloud.jp',
  'ap-northeast-2': 'apne2.pure.cloud',
  'ap-northeast-3': 'apne3.pure.cloud',
  'ap-southeast-1': 'apse1.pure.cloud',
  'ap-southeast-2': 'mypurecloud.com.au',
};

export const DEFAULT_REGION = 'us-east-1';

export interface Gateway {
  readonly protocol: 'http' | 'https';
  readonly host: string;
  /** −1 for the protocol's own. */
  readonly port: number;
  /** Path before the API's own, without slash at the end; empty for none. */
  readonly path: string;
}

export interface Endpoints {
  /** The platform's domain, such as mypurecloud.ie. */
  readonly domain: string;
  /** Set when another base address than the region's takes the API calls and the sign-in. */
  readonly gateway: Gateway | undefined;
  readonly mediaUrl: string;
}

export interface EndpointSettings {
  /** AWS id such as us-east-1, or a domain such as mypurecloud.ie. */
  readonly region?: string | undefined;
  /** Base address of the API and the sign-in: a simulator, a private deployment. */
  readonly apiUrl?: string | undefined;
  /** Full address of the media WebSocket. */
  readonly mediaUrl?: string | undefined;
}

/** The host that sign-ins go to, with its port where it is not the protocol's own; for messages. */
export function signInHost({ gateway, domain }: Endpoints): string {
  if (gateway === undefined) return `login.${domain}`;
  return gateway.port < 0 ? gateway.host : `${gateway.host}:${gateway.port}`;
}

/** @throws TrunklineError CONFIG_INVALID for a region or an address that cannot be one. */
export function resolveEndpoints(settings: EndpointSettings): Endpoints {
  const region = (settings.region ?? DEFAULT_REGION).trim().toLowerCase();
  const domain = domainOf(region);
  const gateway = settings.apiUrl === undefined ? undefined : parseGateway(settings.apiUrl);
  const mediaUrl = settings.mediaUrl ?? `wss://media.${mediaRegionOf(region, domain)}/api/v2/media/streams`;
  const parsed = parseUrl(mediaUrl);
  if (parsed === null || (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:')) {
    throw new TrunklineError('CONFIG_INVALID', 'The media URL must begin with ws:// or wss://; check --media-url.');
  }
  return { domain, gateway, mediaUrl };
}

function domainOf(region: string): string {
  const known = DOMAIN_OF[region];
  if (known !== undefined) return known;
  const bare = region
    .replace(/^https?:\/\//, '')
    .replace(/^(api|login|apps)\./, '')
    .replace(/\/.*$/, '');
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(bare)) return bare;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `GENESYS_REGION is neither a region such as us-east-1 nor a domain such as mypurecloud.ie. Known regions: ` +
      `${Object.keys(DOMAIN_OF).join(', ')}.`,
  );
}

// The interface's address is media.{region}.mypurecloud.com for a region by its AWS id; a region given by its domain
// is looked up backwards, and a domain that is not listed is taken to serve media below itself.
function mediaRegionOf(region: string, domain: string): string {
  const id = Object.hasOwn(DOMAIN_OF, region)
    ? region
    : Object.keys(DOMAIN_OF).find((key) => DOMAIN_OF[key] === domain);
  return id === undefined ? domain : `${id}.mypurecloud.com`;
}

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function parseGateway(apiUrl: string): Gateway {
  const url = parseUrl(apiUrl);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new TrunklineError('CONFIG_INVALID', 'The API URL must begin with http:// or https://; check --api-url.');
  }
  return {
    protocol: url.protocol === 'http:' ? 'http' : 'https',
    host: url.hostname,
    port: url.port === '' ? -1 : Number(url.port),
    path: url.pathname.replace(/\/+$/, ''),
  };
}

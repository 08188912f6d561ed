import { createHmac, randomBytes } from 'node:crypto';
import { MS_PER_SECOND } from '../../core/units.js';

/** Ways to get the request wrong. */
export const AUTHENTICATION_FAULTS = [
  'badSignature',
  'shortSignature',
  'longSignature',
  'wrongKey',
  'unsigned',
  'replay',
  'old',
  'future',
  'missingComponent',
  'duplicateHeader',
  'shortNonce',
] as const;

/** Ways to get the session wrong, a while after `opened` unless they say otherwise. */
export const SESSION_FAULTS = [
  'badJson',
  'hugeText',
  'skipSeq',
  'wrongVersion',
  'wrongId',
  'missingParameters',
  'halfSample',
  'audioBeforeOpen',
  /** Connects and says nothing. */
  'neverOpen',
  'neverPing',
  /** Pings as fast as it can and reads no answer. */
  'neverRead',
  /** Frames of one byte as fast as the socket takes them. */
  'tinyFrames',
  'unknownType',
  'unknownField',
  'duplicatePaused',
  'discardedAhead',
  'error',
  /** Not wrong, but unusual: a position is the sum of frame lengths in floating point, such as PT0.30000000000000004S. */
  'summedPositions',
  /** Not wrong: fields that nobody needs are null. */
  'nullFields',
  /** Closes during a pause without a message `resumed`. */
  'closeWhilePaused',
  /** Rejoins with the session id that it had before. */
  'sameSessionId',
] as const;

export type SessionFault = (typeof SESSION_FAULTS)[number];
export type ProtocolFault = (typeof AUTHENTICATION_FAULTS)[number] | SessionFault;

export function isSessionFault(fault: ProtocolFault): fault is SessionFault {
  return (SESSION_FAULTS as readonly string[]).includes(fault);
}

export interface RequestIdentity {
  readonly url: URL;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly correlationId: string;
  readonly apiKey: string;
  /** Base64. */
  readonly clientSecret: string | undefined;
}

/** Headers of the upgrade request, signed as Genesys signs it, or wrongly in one respect. */
export function requestHeaders(
  identity: RequestIdentity,
  wallMs: number,
  fault?: ProtocolFault,
): Record<string, string | string[]> {
  const apiKey = fault === 'wrongKey' ? `${identity.apiKey}-unknown` : identity.apiKey;
  const named: [string, string][] = [
    ['audiohook-organization-id', identity.organizationId],
    ['audiohook-session-id', identity.sessionId],
    ['audiohook-correlation-id', identity.correlationId],
    ['x-api-key', apiKey],
  ];
  const headers: Record<string, string | string[]> = Object.fromEntries(named);
  headers['audiohook-retry-attempt'] = '0';
  if (fault === 'duplicateHeader') headers['x-api-key'] = [apiKey, apiKey];
  if (identity.clientSecret === undefined || fault === 'unsigned') return headers;

  const offsetSeconds = fault === 'old' ? -60 : fault === 'future' ? 60 : 0;
  const created = Math.floor(wallMs / MS_PER_SECOND) + offsetSeconds;
  const nonce = fault === 'replay' ? 'the-nonce-of-every-replay' : randomBytes(18).toString('base64');
  const covered: [string, string][] = [
    ['@request-target', identity.url.pathname + identity.url.search],
    ['@authority', identity.url.host],
    ...named,
  ];
  if (fault === 'missingComponent') covered.splice(3, 1);
  const list = covered.map(([name]) => `"${name}"`).join(' ');
  const parameters = `keyid="${apiKey}";nonce="${fault === 'shortNonce' ? 'short' : nonce}";alg="hmac-sha256";created=${created};expires=${created + 10}`;
  const lines = covered.map(([name, value]) => `"${name}": ${value}`);
  lines.push(`"@signature-params": (${list});${parameters}`);
  let mac = createHmac('sha256', Buffer.from(identity.clientSecret, 'base64')).update(lines.join('\n')).digest();
  if (fault === 'badSignature') mac[0] = (mac[0] ?? 0) ^ 1;
  if (fault === 'shortSignature') mac = mac.subarray(0, 31);
  if (fault === 'longSignature') mac = Buffer.concat([mac, mac]);
  headers['signature-input'] = `sig1=(${list});${parameters}`;
  headers['signature'] = `sig1=:${mac.toString('base64')}:`;
  return headers;
}

import { createHmac } from 'node:crypto';
import { Authenticator, type SignedRequest } from '../../src/sources/audiohook/protocol/signature.js';
import type { MicroCase } from './micro-case.js';

const API_KEY = 'benchmark-key';
const UNKNOWN_KEY = 'benchmark-kex';
const SECRET = Buffer.from('a client secret of thirty-two B.').toString('base64');
const CREATED = 1_700_000_000;
const NOW_MS = CREATED * 1000 + 500;
const STEPS = 20;
/** What the others are compared with. */
const KNOWN = 'audiohook refuse a known key, wrong signature';

/** What refusing a request costs: how long it takes must not tell whether the key is known. */
export function audioHookCases(): MicroCase[] {
  const wrong = Buffer.alloc(32, 7);
  return [
    refusal(KNOWN, API_KEY, wrong),
    refusal('audiohook refuse an unknown key', UNKNOWN_KEY, wrong),
    refusal('audiohook refuse an unknown key that signs properly', UNKNOWN_KEY, undefined),
    refusal('audiohook refuse a known key, signature of 31 bytes', API_KEY, wrong.subarray(1)),
    refusal('audiohook refuse an unknown key, signature of 31 bytes', UNKNOWN_KEY, wrong.subarray(1)),
  ];
}

function refusal(name: string, apiKey: string, signature: Buffer | undefined): MicroCase {
  const authenticator = new Authenticator({ keys: [{ apiKey: API_KEY, clientSecret: SECRET }] });
  const request = signedBy(apiKey, signature);
  return {
    name,
    unit: 'request',
    steps: STEPS,
    ...(name === KNOWN ? {} : { beside: KNOWN }),
    run() {
      for (let i = 0; i < STEPS; i++) {
        if (authenticator.verify(request, NOW_MS).ok) throw new Error('The request was let in.');
      }
    },
  };
}

function signedBy(apiKey: string, signature: Buffer | undefined): SignedRequest {
  const target = '/audiohook/ws';
  const headers: Record<string, string> = {
    host: 'audiohook.example.com',
    'audiohook-organization-id': 'd7934305-0972-4844-938e-9060eef73d05',
    'audiohook-session-id': '30b0e395-84d3-4570-ac13-9a62d8f514c0',
    'audiohook-correlation-id': 'e160e428-53e2-487c-977d-96989bf5c99d',
    'x-api-key': apiKey,
  };
  const covered: [string, string][] = [
    ['@request-target', target],
    ['@authority', headers['host'] ?? ''],
    ...Object.entries(headers).slice(1),
  ];
  const list = `(${covered.map(([name]) => `"${name}"`).join(' ')});keyid="${apiKey}";nonce="MTIzNDU2Nzg5MDEyMzQ1Njc4";alg="hmac-sha256";created=${CREATED};expires=${CREATED + 10}`;
  const base = [...covered.map(([name, value]) => `"${name}": ${value}`), `"@signature-params": ${list}`].join('\n');
  const mac = signature ?? createHmac('sha256', Buffer.from(SECRET, 'base64')).update(base).digest();
  const all = { ...headers, 'signature-input': `sig1=${list}`, signature: `sig1=:${mac.toString('base64')}:` };
  return {
    method: 'GET',
    target,
    headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]])),
  };
}

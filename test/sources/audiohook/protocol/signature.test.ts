import crypto, { createHmac } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NonceCache } from '../../../../src/sources/audiohook/protocol/nonce-cache.js';
import {
  Authenticator,
  type AuthFailure,
  type SignedRequest,
} from '../../../../src/sources/audiohook/protocol/signature.js';

// The example of the AudioHook protocol documentation, "Establishing connection".
const API_KEY = 'SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh';
const SECRET = 'TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=';
const CREATED = 1_641_013_200;
const COMPONENTS = [
  '@request-target',
  '@authority',
  'audiohook-organization-id',
  'audiohook-session-id',
  'audiohook-correlation-id',
  'x-api-key',
];
const PUBLISHED: Record<string, string> = {
  host: 'audiohook.example.com',
  'audiohook-organization-id': 'd7934305-0972-4844-938e-9060eef73d05',
  'audiohook-session-id': '30b0e395-84d3-4570-ac13-9a62d8f514c0',
  'audiohook-correlation-id': 'e160e428-53e2-487c-977d-96989bf5c99d',
  'x-api-key': API_KEY,
  signature: 'sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:',
  'signature-input': `sig1=("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" "audiohook-correlation-id" "x-api-key");keyid="${API_KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;expires=3282026430`,
};
const TARGET = '/api/v1/voicebiometrics/ws';
const NOW_MS = CREATED * 1000 + 1500;

function request(headers: Record<string, string | string[] | undefined>, target = TARGET): SignedRequest {
  const entries = Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]);
  return { method: 'GET', target, headers: Object.fromEntries(entries) };
}

interface Signing {
  secret?: string;
  apiKey?: string;
  components?: string[];
  parameters?: string;
  headers?: Record<string, string>;
  target?: string;
}

// Written from the text of the draft alone, without the code under test.
function sign({
  secret = SECRET,
  apiKey = API_KEY,
  components = COMPONENTS,
  parameters,
  headers = {},
  target = TARGET,
}: Signing = {}): Record<string, string> {
  const all: Record<string, string> = { ...PUBLISHED, 'x-api-key': apiKey, ...headers };
  const list = `(${components.map((name) => `"${name}"`).join(' ')});${parameters ?? fields({ keyid: apiKey })}`;
  const lines = components.map((name) => {
    const value = name === '@request-target' ? target : name === '@authority' ? all['host'] : all[name];
    return `"${name}": ${value}`;
  });
  const base = [...lines, `"@signature-params": ${list}`].join('\n');
  const mac = createHmac('sha256', Buffer.from(secret, 'base64')).update(base).digest('base64');
  return { ...all, 'signature-input': `sig1=${list}`, signature: `sig1=:${mac}:` };
}

function fields(
  change: Partial<Record<'keyid' | 'nonce' | 'created' | 'expires' | 'alg' | 'tag', string | number | undefined>> = {},
): string {
  const all = {
    keyid: API_KEY,
    nonce: 'MTIzNDU2Nzg5MDEyMzQ1Njc4',
    alg: 'hmac-sha256',
    created: CREATED,
    expires: CREATED + 30,
    ...change,
  };
  return Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? value : `"${value}"`}`)
    .join(';');
}

const authenticator = (): Authenticator => new Authenticator({ keys: [{ apiKey: API_KEY, clientSecret: SECRET }] });
const failure = (reason: AuthFailure): object => ({ ok: false, reason });
const accepted = { ok: true, apiKey: API_KEY, signed: true };

describe('good signatures', () => {
  it('the published vector', () => {
    expect(authenticator().verify(request(PUBLISHED), NOW_MS)).toEqual(accepted);
  });

  it.each<[string, Signing, string?]>([
    ['signed here', {}],
    ['a target with a query', { target: '/ws?a=1&b=%20' }, '/ws?a=1&b=%20'],
    ['components in another order', { components: [...COMPONENTS].reverse() }],
    [
      'more components than needed',
      { components: [...COMPONENTS, 'user-agent'], headers: { 'user-agent': 'GenesysCloud-AudioHook-Client' } },
    ],
    ['a parameter nobody knows', { parameters: fields({ tag: 'audiohook' }) }],
    ['no alg and no expires', { parameters: fields({ alg: undefined, expires: undefined }) }],
    ['3 s in the future', { parameters: fields({ created: CREATED + 4 }) }],
    ['expired 2 s ago', { parameters: fields({ expires: CREATED - 1 }) }],
    ['almost 10 s old', { parameters: fields({ created: CREATED - 8 }) }],
    ['a nonce of 22 characters', { parameters: fields({ nonce: '1234567890123456789012' }) }],
  ])('%s', (_name, signing, target) => {
    expect(authenticator().verify(request(sign(signing), target), NOW_MS)).toEqual(accepted);
  });

  it('authority in capitals and with the default port', () => {
    const headers = sign();
    expect(authenticator().verify(request({ ...headers, host: 'AudioHook.example.com:443' }), NOW_MS)).toEqual(
      accepted,
    );
  });

  it('authority given by configuration, behind a proxy', () => {
    const keys = [{ apiKey: API_KEY, clientSecret: SECRET }];
    const arrived = { ...request({ ...sign(), host: '10.0.0.1:8080' }), authority: 'AudioHook.example.com' };
    expect(new Authenticator({ keys }).verify(arrived, NOW_MS)).toEqual(accepted);
  });
});

describe('refused', () => {
  const withSignature = (bytes: Buffer): Record<string, string> => ({
    ...sign(),
    signature: `sig1=:${bytes.toString('base64')}:`,
  });
  const without = (name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(sign()).filter(([key]) => key !== name));

  it.each<[string, Record<string, string | string[] | undefined>, AuthFailure]>([
    ['no key', without('x-api-key'), 'keyMissing'],
    ['an unknown key, properly signed by its own secret', sign({ apiKey: 'someone-else' }), 'keyUnknown'],
    ['the wrong secret', sign({ secret: 'd3Jvbmc=' }), 'signatureMismatch'],
    ['the secret not base64-decoded', sign({ secret: Buffer.from(SECRET).toString('base64') }), 'signatureMismatch'],
    ['no signature at all', { ...without('signature'), 'signature-input': undefined }, 'unsigned'],
    ['no Signature', without('signature'), 'headerMalformed'],
    ['no Signature-Input', without('signature-input'), 'headerMalformed'],
    ['a signature under another label', { ...sign(), signature: 'sig2=:AAAA:' }, 'headerMalformed'],
    ['a signature that is no byte sequence', { ...sign(), signature: 'sig1="abc"' }, 'headerMalformed'],
    ['garbage in Signature-Input', { ...sign(), 'signature-input': 'sig1=("@authority' }, 'headerMalformed'],
    ['an inner list of numbers', { ...sign(), 'signature-input': 'sig1=(1 2);created=1' }, 'headerMalformed'],
    ['a component twice', sign({ components: [...COMPONENTS, 'x-api-key'] }), 'componentUnsupported'],
    ['a component that is not there', sign({ components: [...COMPONENTS, 'x-nothing'] }), 'componentUnsupported'],
    ['a derived component that nobody knows', sign({ components: [...COMPONENTS, '@moon'] }), 'componentUnsupported'],
    ['no keyid', sign({ parameters: fields({ keyid: undefined }) }), 'parameterMissing'],
    ['no nonce', sign({ parameters: fields({ nonce: undefined }) }), 'parameterMissing'],
    ['no created', sign({ parameters: fields({ created: undefined }) }), 'parameterMissing'],
    ['another algorithm', sign({ parameters: fields({ alg: 'hmac-sha512' }) }), 'parameterInvalid'],
    ['created as text', sign({ parameters: fields({ created: 'now' }) }), 'parameterInvalid'],
    ['a keyid that is not the key', sign({ parameters: fields({ keyid: 'other' }) }), 'keyidMismatch'],
    ['a nonce of 21 characters', sign({ parameters: fields({ nonce: '123456789012345678901' }) }), 'nonceShort'],
    ['created beyond the skew', sign({ parameters: fields({ created: CREATED + 5 }) }), 'created'],
    ['older than 10 s', sign({ parameters: fields({ created: CREATED - 9 }) }), 'tooOld'],
    ['expired beyond the skew', sign({ parameters: fields({ expires: CREATED - 2 }) }), 'expired'],
    [
      'a header changed after signing',
      { ...sign(), 'audiohook-session-id': '30b0e395-84d3-4570-ac13-9a62d8f514c1' },
      'signatureMismatch',
    ],
    ['another host', { ...sign(), host: 'elsewhere.example.com' }, 'signatureMismatch'],
    [
      'one bit of the signature changed',
      { ...sign(), signature: sign()['signature']?.replace(/:(.)/, (_all, c: string) => (c === 'A' ? ':B' : ':A')) },
      'signatureMismatch',
    ],
  ])('%s', (_name, headers, reason) => {
    expect(authenticator().verify(request(headers), NOW_MS)).toEqual(failure(reason));
  });

  it('a signature of any bytes of any length but the right ones', () => {
    const right = Buffer.from(sign()['signature']?.slice(6, -1) ?? '', 'base64');
    const one = authenticator();
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      // The right one cut, or gone on with.
      fc.nat({ max: 31 }).map((at) => right.subarray(0, at)),
      fc.uint8Array({ minLength: 1, maxLength: 168 }).map((more) => Buffer.concat([right, more])),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        fc.pre(!right.equals(some));
        const reason = some.length === 32 ? 'signatureMismatch' : 'signatureLength';
        expect(one.verify(request(withSignature(Buffer.from(some))), NOW_MS)).toEqual(failure(reason));
      }),
      { numRuns: 1000 },
    );
    for (const length of [...Array(201).keys(), 4096]) {
      const reason = length === 32 ? 'signatureMismatch' : 'signatureLength';
      expect(one.verify(request(withSignature(Buffer.alloc(length))), NOW_MS)).toEqual(failure(reason));
    }
  });

  it.each(COMPONENTS)('a signature that leaves out %s', (name) => {
    const components = COMPONENTS.filter((other) => other !== name);
    expect(authenticator().verify(request(sign({ components })), NOW_MS)).toEqual(failure('componentMissing'));
  });

  it.each(['host', ...COMPONENTS.slice(2), 'signature', 'signature-input'])('%s twice', (name) => {
    const headers = sign();
    const twice = [headers[name] ?? '', headers[name] ?? ''];
    expect(authenticator().verify(request({ ...headers, [name]: twice }), NOW_MS)).toEqual(failure('headerDuplicated'));
  });

  it.each(COMPONENTS.slice(2, 5))('without the signed header %s', (name) => {
    expect(authenticator().verify(request(without(name)), NOW_MS)).toEqual(failure('componentUnsupported'));
  });

  it('a signed request for another target', () => {
    expect(authenticator().verify(request(sign(), `${TARGET}?x`), NOW_MS)).toEqual(failure('signatureMismatch'));
  });
});

describe('the work of a refusal', () => {
  /** Every step of cryptography that a verification takes, and on how much. The real ones run; they are only noted. */
  function workOf(headers: Record<string, string>): string[] {
    const { createHmac: hmac, timingSafeEqual } = crypto;
    const steps: string[] = [];
    crypto.createHmac = (algorithm, key) => {
      steps.push(`hmac ${algorithm} with ${(key as Buffer).length} bytes`);
      const mac = hmac(algorithm, key);
      const update = mac.update.bind(mac);
      mac.update = (data: string | NodeJS.ArrayBufferView) => {
        steps.push(`of ${Buffer.byteLength(data as string)} bytes`);
        return update(data as string);
      };
      return mac;
    };
    crypto.timingSafeEqual = (a, b) => {
      steps.push(`compare ${a.byteLength} with ${b.byteLength} bytes`);
      return timingSafeEqual(a, b);
    };
    syncBuiltinESMExports();
    try {
      expect(authenticator().verify(request(headers), NOW_MS).ok).toBe(false);
    } finally {
      Object.assign(crypto, { createHmac: hmac, timingSafeEqual });
      syncBuiltinESMExports();
    }
    return steps;
  }

  it('is the same for a known and an unknown key, for a signature of the right length and of a wrong one', () => {
    const unknown = `${API_KEY.slice(0, -1)}x`;
    const known = workOf(sign({ secret: 'd3Jvbmc=' }));
    expect(known).toEqual([
      'hmac sha256 with 32 bytes',
      expect.stringMatching(/^of \d+ bytes$/),
      'compare 32 with 32 bytes',
    ]);
    const keyid = fields({ keyid: unknown });
    expect(workOf(sign({ apiKey: unknown, parameters: keyid }))).toEqual(known);
    expect(workOf({ ...sign(), signature: 'sig1=:AAAA:' })).toEqual(known);
    expect(workOf({ ...sign({ apiKey: unknown, parameters: keyid }), signature: 'sig1=:AAAA:' })).toEqual(known);
  });
});

describe('replay', () => {
  it('the same nonce is refused for as long as it could be accepted', () => {
    const one = authenticator();
    expect(one.verify(request(sign()), NOW_MS)).toEqual(accepted);
    expect(one.verify(request(sign()), NOW_MS + 1)).toEqual(failure('replayed'));
    expect(one.verify(request(sign()), NOW_MS + 8400)).toEqual(failure('replayed'));
    expect(one.verify(request(sign()), NOW_MS + 8600)).toEqual(failure('tooOld'));
  });

  it('covers a signature from the future', () => {
    const one = authenticator();
    const future = sign({ parameters: fields({ created: CREATED + 4 }) });
    for (let ms = 0; ms < 12_500; ms += 500) {
      expect(one.verify(request(future), NOW_MS + ms)).toEqual(ms === 0 ? accepted : failure('replayed'));
    }
    expect(one.verify(request(future), NOW_MS + 13_000)).toEqual(failure('tooOld'));
  });

  it('a request that fails for another reason uses no nonce up', () => {
    const one = authenticator();
    expect(one.verify(request({ ...sign(), signature: 'sig1=:AAAA:' }), NOW_MS)).toEqual(failure('signatureLength'));
    expect(one.verify(request(sign()), NOW_MS)).toEqual(accepted);
  });

  it('the cache is bounded and forgets in time', () => {
    const cache = new NonceCache(13, 3);
    expect(['a', 'b', 'c', 'd'].map((nonce) => cache.add(nonce, 0))).toEqual(['added', 'added', 'added', 'full']);
    expect(cache.add('a', 12_999_999)).toBe('replayed');
    expect(cache.add('a', 13_000_000)).toBe('added');
    expect(cache.size).toBe(1);
  });
});

describe('keys', () => {
  const open = { keys: [{ apiKey: 'plain' }, { apiKey: API_KEY, clientSecret: SECRET }], allowUnsigned: true };

  it('without a secret are let in unsigned only when that is configured', () => {
    expect(new Authenticator(open).verify(request({ 'x-api-key': 'plain' }), NOW_MS)).toEqual({
      ok: true,
      apiKey: 'plain',
      signed: false,
    });
    expect(() => new Authenticator({ keys: [{ apiKey: 'plain' }] })).toThrowError(/allow them/);
  });

  it('with a secret must sign even when unsigned requests are allowed', () => {
    expect(new Authenticator(open).verify(request({ 'x-api-key': API_KEY }), NOW_MS)).toEqual(failure('unsigned'));
    expect(new Authenticator(open).verify(request({ 'x-api-key': 'nobody' }), NOW_MS)).toEqual(failure('keyUnknown'));
  });

  it('without a secret cannot sign', () => {
    expect(new Authenticator(open).verify(request(sign({ apiKey: 'plain' })), NOW_MS)).toEqual(
      failure('unexpectedSignature'),
    );
  });

  it.each([
    ['none at all', []],
    ['an empty one', [{ apiKey: '', clientSecret: SECRET }]],
    [
      'one twice',
      [
        { apiKey: 'a', clientSecret: SECRET },
        { apiKey: 'a', clientSecret: SECRET },
      ],
    ],
    ['an empty secret', [{ apiKey: 'a', clientSecret: '' }]],
    ['a secret that is no base64', [{ apiKey: 'a', clientSecret: 'not base64!' }]],
  ])('are refused as configuration: %s', (_name, keys) => {
    expect(() => new Authenticator({ keys })).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('several are told apart', () => {
    const keys = [
      { apiKey: 'a', clientSecret: 'YQ==' },
      { apiKey: 'b', clientSecret: 'Yg==' },
    ];
    const two = new Authenticator({ keys });
    expect(two.verify(request(sign({ apiKey: 'b', secret: 'Yg==' })), NOW_MS)).toEqual({
      ok: true,
      apiKey: 'b',
      signed: true,
    });
    expect(two.verify(request(sign({ apiKey: 'b', secret: 'YQ==' })), NOW_MS)).toEqual(failure('signatureMismatch'));
  });
});

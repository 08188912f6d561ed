import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type InnerList, isInnerList, type Parameters, parseDictionary, serializeInnerList } from 'structured-headers';
import { TrunklineError } from '../../../core/errors.js';
import { LIMITS } from '../../../core/limits.js';
import { MS_PER_SECOND, US_PER_MS, US_PER_SECOND } from '../../../core/units.js';
import { NonceCache } from './nonce-cache.js';

/**
 * Authentication by API key and HTTP message signature (draft-ietf-httpbis-message-signatures as Genesys uses it, the
 * header syntax of RFC 8941, HMAC-SHA256). No I/O: takes the request and the time, returns a verdict. The
 * reason of a refusal is for the log; clients cannot tell refusals apart.
 */
export interface AudioHookKey {
  /** As in the integration's settings; sent by clients as `X-API-KEY`. */
  readonly apiKey: string;
  /** Base64, as in the integration's settings. Without one, requests cannot be signed. */
  readonly clientSecret?: string | undefined;
  /** Ids of the organizations that may use this key; every organization when absent. */
  readonly organizations?: readonly string[] | undefined;
}

export interface SignedRequest {
  readonly method: string;
  /** Path and query as in the request line. */
  readonly target: string;
  /** The authority that the client connected to; Host when absent. */
  readonly authority?: string | undefined;
  /** Names in lower case, with every value that was sent. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>;
}

export type AuthFailure =
  | 'keyMissing'
  | 'keyUnknown'
  | 'headerDuplicated'
  | 'unsigned'
  | 'unexpectedSignature'
  | 'headerMalformed'
  | 'componentMissing'
  | 'componentUnsupported'
  | 'parameterMissing'
  | 'parameterInvalid'
  | 'keyidMismatch'
  | 'nonceShort'
  | 'created'
  | 'expired'
  | 'tooOld'
  /** Signed before this process started, when nonces of an earlier one are not known. */
  | 'beforeStart'
  | 'signatureLength'
  | 'signatureMismatch'
  | 'replayed'
  | 'nonceCacheFull'
  /** The key may not be used for this organization. */
  | 'organizationNotAllowed';

export type AuthResult =
  | { readonly ok: true; readonly apiKey: string; readonly signed: boolean }
  | { readonly ok: false; readonly reason: AuthFailure };

const REQUIRED_COMPONENTS = [
  '@request-target',
  '@authority',
  'audiohook-organization-id',
  'audiohook-session-id',
  'audiohook-correlation-id',
  'x-api-key',
] as const;

/** Headers that must not be repeated: implementations differ in which value they would use. */
const SINGLE_HEADERS = [
  'host',
  'audiohook-organization-id',
  'audiohook-session-id',
  'audiohook-correlation-id',
  'x-api-key',
  'signature',
  'signature-input',
] as const;

const MAX_SKEW_SECONDS = 3;
const MAX_AGE_SECONDS = 10;
/** From 3 s before `created` to 10 s after it. */
const NONCE_LIFE_SECONDS = MAX_AGE_SECONDS + MAX_SKEW_SECONDS;
const MIN_NONCE_LENGTH = 22;
const MAX_NONCE_LENGTH = 256;

interface Signature {
  readonly components: readonly string[];
  readonly parameters: Parameters;
  readonly bytes: Uint8Array;
  /** Inner list and parameters, in canonical form. */
  readonly text: string;
}

// Thrown and caught in this file only; elsewhere a verdict is a value.
class Refusal extends Error {
  readonly reason: AuthFailure;

  constructor(reason: AuthFailure) {
    super(reason);
    this.reason = reason;
  }
}

export interface AuthenticatorOptions {
  readonly keys: readonly AudioHookKey[];
  /** Accept requests without a signature for keys without a secret. */
  readonly allowUnsigned?: boolean | undefined;
  /** Refuse what was signed before this time, milliseconds since 1970: its nonces may have been used already. */
  readonly notBeforeMs?: number;
  /** Called with each nonce that was accepted, hashed, and when it expires. */
  readonly onNonce?: (nonce: string, expiryUs: number) => void;
}

interface Key {
  readonly secret: Buffer | undefined;
  readonly organizations: ReadonlySet<string> | undefined;
}

function keyTable(keys: readonly AudioHookKey[], allowUnsigned: boolean): Map<string, Key> {
  if (keys.length === 0) throw configError('No API key is configured; give at least one');
  const table = new Map<string, Key>();
  for (const { apiKey, clientSecret, organizations } of keys) {
    if (apiKey === '' || table.has(apiKey)) throw configError('API keys must be different and not empty');
    if (clientSecret === undefined && !allowUnsigned) {
      throw configError(
        'An API key without a client secret needs unsigned requests to be allowed; give the secret, or allow them',
      );
    }
    table.set(apiKey, {
      secret: clientSecret === undefined ? undefined : decodeSecret(clientSecret),
      organizations: organizations && new Set(organizations.map((id) => id.toLowerCase())),
    });
  }
  return table;
}

export class Authenticator {
  #keys: ReadonlyMap<string, Key>;
  readonly #allowUnsigned: boolean;
  readonly #notBeforeSeconds: number;
  readonly #onNonce: AuthenticatorOptions['onNonce'];
  // Used for unknown keys, so that they take the same time as known ones.
  readonly #dummySecret = randomBytes(32);
  readonly nonces = new NonceCache(NONCE_LIFE_SECONDS, LIMITS.audioHookNonces);

  /** @throws TrunklineError CONFIG_INVALID for keys that would admit no client, or any client. */
  constructor(options: AuthenticatorOptions) {
    // The time in a signature is in whole seconds.
    this.#notBeforeSeconds = Math.floor((options.notBeforeMs ?? 0) / MS_PER_SECOND);
    this.#onNonce = options.onNonce;
    this.#allowUnsigned = options.allowUnsigned === true;
    this.#keys = keyTable(options.keys, this.#allowUnsigned);
  }

  /**
   * Accepts these keys from now on, and no others.
   * @throws TrunklineError CONFIG_INVALID for keys that would admit no client, or any client; the former ones stay then.
   */
  useKeys(keys: readonly AudioHookKey[]): void {
    this.#keys = keyTable(keys, this.#allowUnsigned);
  }

  verify(request: SignedRequest, nowMs: number): AuthResult {
    try {
      return { ok: true, ...this.#verify(request, nowMs) };
    } catch (thrown) {
      if (thrown instanceof Refusal) return { ok: false, reason: thrown.reason };
      throw thrown;
    }
  }

  #verify(request: SignedRequest, nowMs: number): { apiKey: string; signed: boolean } {
    for (const name of SINGLE_HEADERS) {
      if ((request.headers[name]?.length ?? 0) > 1) throw new Refusal('headerDuplicated');
    }
    const apiKey = request.headers['x-api-key']?.[0];
    if (apiKey === undefined || apiKey === '') throw new Refusal('keyMissing');
    const key = this.#keys.get(apiKey);
    const secret = key?.secret;
    const signed = request.headers['signature'] !== undefined || request.headers['signature-input'] !== undefined;
    if (!signed) {
      if (key === undefined) throw new Refusal('keyUnknown');
      if (secret !== undefined) throw new Refusal('unsigned');
      checkOrganization(key, request);
      return { apiKey, signed };
    }
    const signature = readSignature(request);
    const nonce = checkParameters(signature.parameters, apiKey, nowMs / MS_PER_SECOND);
    const base = signatureBase(request, signature);
    const mac = createHmac('sha256', secret ?? this.#dummySecret)
      .update(base)
      .digest();
    // timingSafeEqual throws on different lengths, and the length is no secret.
    const rightLength = signature.bytes.length === mac.length;
    const matches = timingSafeEqual(rightLength ? signature.bytes : this.#dummySecret, mac);
    if (key === undefined) throw new Refusal('keyUnknown');
    if (secret === undefined) throw new Refusal('unexpectedSignature');
    if (!rightLength) throw new Refusal('signatureLength');
    if (!matches) throw new Refusal('signatureMismatch');
    // Only after the signature: requests that are not signed with the key must not fill the cache.
    if (Number(signature.parameters.get('created')) < this.#notBeforeSeconds) throw new Refusal('beforeStart');
    checkOrganization(key, request);
    this.#checkNonce(`${apiKey}\n${nonce}`, nowMs * US_PER_MS);
    return { apiKey, signed };
  }

  #checkNonce(nonce: string, nowUs: number): void {
    const hash = createHash('sha256').update(nonce).digest('base64');
    const seen = this.nonces.add(hash, nowUs);
    if (seen === 'replayed') throw new Refusal('replayed');
    if (seen === 'full') throw new Refusal('nonceCacheFull');
    this.#onNonce?.(hash, nowUs + NONCE_LIFE_SECONDS * US_PER_SECOND);
  }
}

function checkOrganization({ organizations }: Key, request: SignedRequest): void {
  const organization = request.headers['audiohook-organization-id']?.[0]?.toLowerCase() ?? '';
  if (organizations?.has(organization) === false) throw new Refusal('organizationNotAllowed');
}

function configError(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', `${message}.`);
}

function decodeSecret(text: string): Buffer {
  const secret = Buffer.from(text, 'base64');
  if (secret.length === 0 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) {
    throw configError('A client secret must be base64, as in the settings of the integration');
  }
  return secret;
}

function readSignature(request: SignedRequest): Signature {
  const inputText = request.headers['signature-input']?.[0];
  const signatureText = request.headers['signature']?.[0];
  if (inputText === undefined || signatureText === undefined) throw new Refusal('headerMalformed');
  try {
    const signatures = parseDictionary(signatureText);
    for (const [label, input] of parseDictionary(inputText)) {
      const item = signatures.get(label);
      if (item === undefined) continue;
      if (!isInnerList(input) || isInnerList(item) || !(item[0] instanceof ArrayBuffer)) break;
      return { ...readComponents(input), bytes: new Uint8Array(item[0]), text: serializeInnerList(input) };
    }
  } catch (thrown) {
    if (thrown instanceof Refusal) throw thrown;
  }
  throw new Refusal('headerMalformed');
}

function readComponents(input: InnerList): { components: readonly string[]; parameters: Parameters } {
  const components: string[] = [];
  for (const [name, parameters] of input[0]) {
    if (typeof name !== 'string') throw new Refusal('headerMalformed');
    if (parameters.size > 0 || components.includes(name)) throw new Refusal('componentUnsupported');
    components.push(name);
  }
  return { components, parameters: input[1] };
}

/** Checks the parameters of a signature; returns its nonce. */
function checkParameters(parameters: Parameters, apiKey: string, nowSeconds: number): string {
  const keyid = parameters.get('keyid');
  const nonce = parameters.get('nonce');
  const created = parameters.get('created');
  const expires = parameters.get('expires');
  const alg = parameters.get('alg');
  if (keyid === undefined || nonce === undefined || created === undefined) throw new Refusal('parameterMissing');
  if (typeof nonce !== 'string' || !Number.isInteger(created)) throw new Refusal('parameterInvalid');
  if (expires !== undefined && !Number.isInteger(expires)) throw new Refusal('parameterInvalid');
  if (alg !== undefined && alg !== 'hmac-sha256') throw new Refusal('parameterInvalid');
  if (keyid !== apiKey) throw new Refusal('keyidMismatch');
  if (nonce.length < MIN_NONCE_LENGTH) throw new Refusal('nonceShort');
  if (nonce.length > MAX_NONCE_LENGTH) throw new Refusal('parameterInvalid');
  if (Number(created) > nowSeconds + MAX_SKEW_SECONDS) throw new Refusal('created');
  if (nowSeconds - Number(created) > MAX_AGE_SECONDS) throw new Refusal('tooOld');
  if (expires !== undefined && Number(expires) + MAX_SKEW_SECONDS < nowSeconds) throw new Refusal('expired');
  return nonce;
}

function signatureBase(request: SignedRequest, signature: Signature): string {
  for (const name of REQUIRED_COMPONENTS) {
    if (!signature.components.includes(name)) throw new Refusal('componentMissing');
  }
  let base = '';
  for (const name of signature.components) base += `"${name}": ${componentValue(request, name)}\n`;
  return `${base}"@signature-params": ${signature.text}`;
}

function componentValue(request: SignedRequest, name: string): string {
  const query = request.target.indexOf('?');
  switch (name) {
    case '@request-target':
      return request.target;
    case '@authority':
      return normalAuthority(request.authority ?? request.headers['host']?.[0]);
    case '@method':
      return request.method;
    case '@path':
      return query < 0 ? request.target : request.target.slice(0, query);
    case '@query':
      return query < 0 ? '?' : request.target.slice(query);
  }
  const values = request.headers[name];
  if (values === undefined || name.startsWith('@')) throw new Refusal('componentUnsupported');
  return values.map((value) => value.trim()).join(', ');
}

// Lower case and without the default port, which signing libraries omit even when Host has it.
function normalAuthority(host: string | undefined): string {
  if (host === undefined || host === '') throw new Refusal('componentUnsupported');
  return host.toLowerCase().replace(/:443$/, '');
}

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CallAttributes } from '../../../core/attributes/attributes.js';
import type { Clock } from '../../../core/clock.js';
import { AddressLimiter } from '../../../core/network/address-limiter.js';
import { TokenBucket } from '../../../core/network/token-bucket.js';
import { queryAttributes } from '../protocol/call-attributes.js';
import { describeAddress, type PublicAddress, pathOf } from '../protocol/public-address.js';
import type { Authenticator, AuthResult } from '../protocol/signature.js';
import { isUuid } from '../protocol/wire.js';
import type { ConnectionIdentity } from './connection-contract.js';
import type { AudioHookRejection, RejectionReason } from './server-events.js';
import type { AudioHookLimits } from './server-options.js';

/** Refusals whose answer is delayed at the same time; beyond them connections are closed without an answer. */
const MAX_DELAYED_REFUSALS = 1_024;

export interface Refusal {
  readonly status: number;
  readonly reason: RejectionReason;
  /** For the log. */
  readonly detail?: string;
  /** Of the client, if a trusted proxy named it. */
  readonly remoteAddress?: string | undefined;
}

/** An authenticated client. The key is kept apart from the identity, which goes into events and logs. */
export interface AdmittedClient {
  readonly identity: ConnectionIdentity;
  readonly apiKey: string;
  /** What its address says of the call. */
  readonly attributes?: CallAttributes | undefined;
}

/** What admission needs from its server. */
export interface AdmissionDependencies {
  readonly path: string;
  readonly draining: boolean;
  readonly sessionsLive: number;
  readonly authenticator: Authenticator;
  readonly publicAddress: PublicAddress;
  readonly clock: Clock;
  readonly limits: AudioHookLimits;
  readonly refusalDelayMs: number;
  /** The live session of that id. */
  liveSession(sessionId: string): AdmittedClient | undefined;
  rejected(rejection: AudioHookRejection): void;
}

/** Decides which requests become sessions, and refuses the others. */
export class Admission {
  readonly #dependencies: AdmissionDependencies;
  readonly #failures: AddressLimiter;
  /** By API key, so that no client can use up another one's allowance. */
  readonly #handshakes = new Map<string, TokenBucket>();
  readonly #liveByOrganization = new Map<string, number>();
  readonly #rejected: Partial<Record<RejectionReason, number>> = {};
  #delayedRefusals = 0;

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies;
    const { failuresPerSecond } = dependencies.limits;
    this.#failures = new AddressLimiter(failuresPerSecond, 4 * failuresPerSecond);
  }

  get rejected(): Partial<Record<RejectionReason, number>> {
    return { ...this.#rejected };
  }

  /**
   * Checks that reveal anything come after the signature. Limits on requests do so as well: what cannot sign must not
   * use up the allowance of what can.
   */
  admit(request: IncomingMessage): AdmittedClient | Refusal {
    const { path, draining, publicAddress, authenticator, clock } = this.#dependencies;
    const target = request.url ?? '/';
    if (pathOf(target) !== path) return { status: 404, reason: 'path' };
    if (draining) return { status: 503, reason: 'draining' };
    const headers = request.headersDistinct;
    const arrived = { remoteAddress: request.socket.remoteAddress, target, headers };
    const checked = publicAddress.resolve(arrived);
    const { remoteAddress } = checked;
    const signed = { method: request.method ?? 'GET', target: checked.target, authority: checked.authority, headers };
    const auth = authenticator.verify(signed, clock.wallMs());
    if (!auth.ok) {
      const { reason } = auth;
      if (!this.#failures.tryTake(remoteAddress, clock.nowUs())) {
        return { status: 429, reason: 'addressFailures', remoteAddress };
      }
      if (reason !== 'signatureMismatch') return { status: 401, reason, remoteAddress };
      return { status: 401, reason, remoteAddress, detail: describeAddress(arrived, checked) };
    }
    const refusal = this.#checkClient(auth, identityOf(request));
    return 'status' in refusal ? { ...refusal, remoteAddress } : { ...refusal, attributes: queryAttributes(target) };
  }

  #checkClient(auth: AuthResult & { ok: true }, identity: ConnectionIdentity | undefined): AdmittedClient | Refusal {
    const { clock, limits, sessionsLive } = this.#dependencies;
    const { apiKey, signed } = auth;
    if (!this.#handshakesOf(apiKey).tryTake(1, clock.nowUs())) return { status: 429, reason: 'handshakeRate' };
    if (identity === undefined) return { status: 400, reason: 'identity' };
    const live = this.#dependencies.liveSession(identity.sessionId);
    if (live !== undefined) {
      // The old connection is dead without our knowledge, or the client would not have connected again.
      const mayTakeOver = signed && live.apiKey === apiKey && live.identity.organizationId === identity.organizationId;
      return mayTakeOver ? { identity, apiKey } : { status: 409, reason: 'sessionLive' };
    }
    if (sessionsLive >= limits.sessions) return { status: 503, reason: 'sessionLimit' };
    const ofOrganization = this.#liveByOrganization.get(identity.organizationId) ?? 0;
    if (ofOrganization >= limits.sessionsPerOrganization) return { status: 429, reason: 'organizationLimit' };
    return { identity, apiKey };
  }

  connected({ organizationId }: ConnectionIdentity): void {
    this.#liveByOrganization.set(organizationId, (this.#liveByOrganization.get(organizationId) ?? 0) + 1);
  }

  disconnected({ organizationId }: ConnectionIdentity): void {
    const count = (this.#liveByOrganization.get(organizationId) ?? 0) - 1;
    if (count > 0) this.#liveByOrganization.set(organizationId, count);
    else this.#liveByOrganization.delete(organizationId);
  }

  /** Answers with the status alone; a failed authentication only after a delay. */
  refuse(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    const { remoteAddress = request.socket.remoteAddress, ...rest } = refusal;
    this.#count({ ...rest, ...identityOf(request) }, remoteAddress);
    if (refusal.status !== 401) {
      answer(socket, refusal.status);
      return;
    }
    if (this.#delayedRefusals >= MAX_DELAYED_REFUSALS) {
      socket.destroy();
      return;
    }
    this.#delayedRefusals += 1;
    setTimeout(() => {
      this.#delayedRefusals -= 1;
      answer(socket, refusal.status);
    }, this.#dependencies.refusalDelayMs).unref();
  }

  /** A TLS handshake failed, so that there is no request to answer. */
  tlsFailed(code: string, socket: Socket): void {
    this.#count({ reason: 'tls', code }, socket.remoteAddress);
  }

  #handshakesOf(apiKey: string): TokenBucket {
    let bucket = this.#handshakes.get(apiKey);
    if (bucket === undefined) {
      const { limits, clock } = this.#dependencies;
      bucket = new TokenBucket(limits.handshakesPerSecond, 2 * limits.handshakesPerSecond, clock.nowUs());
      this.#handshakes.set(apiKey, bucket);
    }
    return bucket;
  }

  #count(rejection: AudioHookRejection, remoteAddress: string | undefined): void {
    const { reason } = rejection;
    this.#rejected[reason] = (this.#rejected[reason] ?? 0) + 1;
    this.#dependencies.rejected({ ...rejection, ...(remoteAddress === undefined ? {} : { remoteAddress }) });
  }
}

function answer(socket: Duplex, status: number): void {
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
  socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

function identityOf(request: IncomingMessage): ConnectionIdentity | undefined {
  const sessionId = request.headers['audiohook-session-id'];
  const organizationId = request.headers['audiohook-organization-id'];
  const correlationId = request.headers['audiohook-correlation-id'];
  if (typeof sessionId !== 'string' || !isUuid(sessionId)) return undefined;
  if (typeof organizationId !== 'string' || !isUuid(organizationId)) return undefined;
  return {
    sessionId: sessionId.toLowerCase(),
    organizationId: organizationId.toLowerCase(),
    correlationId: typeof correlationId === 'string' && isUuid(correlationId) ? correlationId.toLowerCase() : '',
  };
}

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../core/clock.js';
import { TokenBucket } from '../../../core/token-bucket.js';
import { Authenticator } from '../protocol/signature.js';
import { isUuid } from '../protocol/wire.js';
import type { ConnectionIdentity } from './connection-contract.js';
import type { AudioHookRejection, RejectionReason } from './server-events.js';
import type { AudioHookLimits, AudioHookServerOptions } from './server-options.js';

const DEFAULT_REFUSAL_DELAY_MS = 500;
/** Refusals whose answer is delayed at the same time; beyond them connections are closed without an answer. */
const MAX_DELAYED_REFUSALS = 1_024;

export interface Refusal {
  readonly status: number;
  readonly reason: RejectionReason;
}

/** What admission needs from its server. */
export interface AdmissionDependencies {
  readonly path: string;
  readonly draining: boolean;
  readonly sessionsLive: number;
  isLive(sessionId: string): boolean;
  rejected(rejection: AudioHookRejection): void;
}

/** Decides which requests become sessions, and refuses the others. */
export class Admission {
  readonly #dependencies: AdmissionDependencies;
  readonly #clock: Clock;
  readonly #limits: AudioHookLimits;
  readonly #authenticator: Authenticator;
  readonly #handshakes: TokenBucket;
  readonly #refusalDelayMs: number;
  readonly #liveByOrganization = new Map<string, number>();
  readonly #rejected: Partial<Record<RejectionReason, number>> = {};
  #delayedRefusals = 0;

  /** @throws TrunklineError CONFIG_INVALID for keys that would admit no client, or any client. */
  constructor(
    dependencies: AdmissionDependencies,
    options: AudioHookServerOptions,
    limits: AudioHookLimits,
    clock: Clock,
  ) {
    this.#dependencies = dependencies;
    this.#clock = clock;
    this.#limits = limits;
    this.#authenticator = new Authenticator(options);
    this.#handshakes = new TokenBucket(limits.handshakesPerSecond, 2 * limits.handshakesPerSecond, clock.nowUs());
    this.#refusalDelayMs = options.refusalDelayMs ?? DEFAULT_REFUSAL_DELAY_MS;
  }

  get rejected(): Partial<Record<RejectionReason, number>> {
    return { ...this.#rejected };
  }

  /** Checks that reveal anything come after the signature; checks that save work come before it. */
  admit(request: IncomingMessage): ConnectionIdentity | Refusal {
    const { path, draining, sessionsLive } = this.#dependencies;
    if (pathOf(request.url) !== path) return { status: 404, reason: 'path' };
    if (draining) return { status: 503, reason: 'draining' };
    if (!this.#handshakes.tryTake(1, this.#clock.nowUs())) return { status: 429, reason: 'handshakeRate' };
    const signed = { method: request.method ?? 'GET', target: request.url ?? '/', headers: request.headersDistinct };
    const auth = this.#authenticator.verify(signed, this.#clock.wallMs());
    if (!auth.ok) return { status: 401, reason: auth.reason };
    const identity = identityOf(request);
    if (identity === undefined) return { status: 400, reason: 'identity' };
    const { sessions, sessionsPerOrganization } = this.#limits;
    if (sessionsLive >= sessions) return { status: 503, reason: 'sessionLimit' };
    const ofOrganization = this.#liveByOrganization.get(identity.organizationId) ?? 0;
    if (ofOrganization >= sessionsPerOrganization) return { status: 429, reason: 'organizationLimit' };
    if (this.#dependencies.isLive(identity.sessionId)) return { status: 409, reason: 'sessionLive' };
    return identity;
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
    if (refusal.status !== 401) {
      this.#reject(request, socket, refusal);
      return;
    }
    if (this.#delayedRefusals >= MAX_DELAYED_REFUSALS) {
      this.#note(request, refusal);
      socket.destroy();
      return;
    }
    this.#delayedRefusals += 1;
    setTimeout(() => {
      this.#delayedRefusals -= 1;
      this.#reject(request, socket, refusal);
    }, this.#refusalDelayMs).unref();
  }

  #reject(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    this.#note(request, refusal);
    const line = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`;
    socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
  }

  /** A TLS handshake failed, so that there is no request to answer. */
  tlsFailed(code: string, socket: Socket): void {
    this.#count({ reason: 'tls', code }, socket);
  }

  #note(request: IncomingMessage, { status, reason }: Refusal): void {
    this.#count({ reason, status, ...identityOf(request) }, request.socket);
  }

  #count(rejection: AudioHookRejection, { remoteAddress }: Socket): void {
    const { reason } = rejection;
    this.#rejected[reason] = (this.#rejected[reason] ?? 0) + 1;
    this.#dependencies.rejected({ ...rejection, ...(remoteAddress === undefined ? {} : { remoteAddress }) });
  }
}

export function pathOf(url: string | undefined): string {
  return url?.split('?', 1)[0] ?? '';
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

import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.js';
import type { AuditFields } from '../../core/events.js';
import { AddressLimiter } from '../../core/network/address-limiter.js';
import { TokenBucket } from '../../core/network/token-bucket.js';
import { ControlError } from '../errors.js';
import { isCrossSite, isHostAllowed, type OriginRules } from './origin.js';
import { type Caller, mayDo, type Principal, type RouteRole } from './roles.js';
import { Tickets } from './tickets.js';
import { readTokenFile, Tokens } from './token-file.js';

/** Failed attempts of one address: ten at once, then ten a minute. Until then it is refused, whatever it presents. */
const FAILURES = { perSecond: 10 / 60, burst: 10 };
/** Requests of one address. A console polls a few a second; several may come through one proxy. */
const REQUESTS = { perSecond: 100, burst: 400 };
/** Refusals beyond this rate are counted, but not audited one by one. */
const AUDITED = { perSecond: 5, burst: 50 };

/** Browsers cannot set headers of a WebSocket; they offer the token as a subprotocol. */
const BEARER_PROTOCOL = 'trunkline.bearer.';

/** Why a request was refused. */
export type RefusalReason =
  | 'hostNotAllowed'
  | 'crossSite'
  | 'tokensRequired'
  | 'tokenMissing'
  | 'tokenUnknown'
  | 'tokenExpired'
  | 'lockedOut'
  | 'forbidden'
  | 'tooManyRequests';

const REFUSALS: Readonly<Record<RefusalReason, readonly [status: number, message: string]>> = {
  hostNotAllowed: [421, 'This server is not known by that name; add it to the allowed hosts.'],
  crossSite: [403, 'Pages of another site may not use this API; add their origin to the allowed origins.'],
  tokensRequired: [403, 'Without tokens only this machine is served.'],
  tokenMissing: [401, 'A token is needed: Authorization: Bearer …'],
  tokenUnknown: [401, 'There is no such token or ticket.'],
  tokenExpired: [401, 'The token has expired.'],
  lockedOut: [429, 'Too many attempts with wrong tokens came from this address; try again later.'],
  forbidden: [403, 'The role of this token does not include that.'],
  tooManyRequests: [429, 'Too many requests came from this address; try again later.'],
};

/** A route, as access control sees it. */
export interface GuardedRoute {
  readonly role: RouteRole;
  /** The pattern, such as `/api/v1/interactions/:id`, for the audit. */
  readonly pattern: string;
  /** Whether a ticket in the query will do instead of a token. */
  readonly ticket?: boolean;
}

/** What access control needs. */
export interface AccessDependencies extends OriginRules {
  readonly clock: Clock;
  /** The file of tokens; without one, every caller on this machine is an operator. */
  readonly tokensFile: string | undefined;
  audit(action: string, fields: AuditFields, interactionId?: string): void;
}

/** Decides who may do what, counts the refusals and audits them. */
export class Access {
  readonly tickets = new Tickets();
  readonly #dependencies: AccessDependencies;
  readonly #failures = new AddressLimiter(FAILURES.perSecond, FAILURES.burst);
  readonly #requests = new AddressLimiter(REQUESTS.perSecond, REQUESTS.burst);
  readonly #audited: TokenBucket;
  readonly #refused: Partial<Record<RefusalReason, number>> = {};
  readonly #held = new Set<{ readonly principal: Principal; readonly close: () => void }>();
  #tokens: Tokens | undefined;

  /** @throws TrunklineError CONFIG_INVALID when the tokens cannot be read. */
  constructor(dependencies: AccessDependencies) {
    this.#dependencies = dependencies;
    this.#audited = new TokenBucket(AUDITED.perSecond, AUDITED.burst, dependencies.clock.nowUs());
    this.reload();
  }

  /** Whether callers need a token. */
  get needsTokens(): boolean {
    return this.#tokens !== undefined;
  }

  get refused(): Readonly<Partial<Record<RefusalReason, number>>> {
    return this.#refused;
  }

  /**
   * Reads the tokens again. Those that are gone are refused from now on, and what they have open is closed.
   * @throws TrunklineError CONFIG_INVALID; the former tokens are kept then.
   */
  reload(): void {
    const { tokensFile } = this.#dependencies;
    if (tokensFile === undefined) return;
    this.#tokens = new Tokens(readTokenFile(tokensFile));
    this.closeInvalid();
  }

  /**
   * Closes what a caller has open when its token is revoked or expires.
   * @returns To be called when it has been closed otherwise.
   */
  hold({ principal }: Caller, close: () => void): () => void {
    if (principal === undefined || this.#tokens === undefined) return () => {};
    const held = { principal, close };
    this.#held.add(held);
    return () => this.#held.delete(held);
  }

  /** Closes what callers have open whose tokens are no longer good; call it now and then, because tokens expire. */
  closeInvalid(): void {
    const nowMs = this.#dependencies.clock.wallMs();
    for (const held of this.#held) {
      if (this.#tokens?.has(held.principal, nowMs) !== false) continue;
      this.#held.delete(held);
      held.close();
    }
  }

  /**
   * Who sends the request, when it may.
   * @throws ControlError when it may not; it has been counted and audited then.
   */
  admit(request: IncomingMessage, route: GuardedRoute): Caller {
    const address = request.socket.remoteAddress ?? '';
    const verdict = this.#verdict(request, route, address);
    if (typeof verdict !== 'string') return verdict;
    return this.refuse(verdict, route, { principal: undefined, address });
  }

  /** Counts and audits a refusal. @throws ControlError always. */
  refuse(reason: RefusalReason, { pattern }: GuardedRoute, { principal, address }: Caller): never {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    const [status, message] = REFUSALS[reason];
    if (this.#audited.tryTake(1, this.#dependencies.clock.nowUs())) {
      const actor = principal === undefined ? {} : { actor: principal.name };
      const detail = { reason, code: status, detail: pattern };
      this.#dependencies.audit('control_refused', { ...detail, ...actor, remoteAddress: address });
    }
    throw new ControlError(status, reason, message, status === 429 ? 60 : undefined);
  }

  #verdict(request: IncomingMessage, route: GuardedRoute, address: string): Caller | RefusalReason {
    const { clock } = this.#dependencies;
    const nowUs = clock.nowUs();
    if (!isHostAllowed(request.headers.host, this.#dependencies)) return 'hostNotAllowed';
    if (route.role !== 'public' && isCrossSite(request.headers, this.#dependencies)) return 'crossSite';
    if (!this.#requests.tryTake(address, nowUs)) return 'tooManyRequests';
    const principal = this.#principalOf(request, route, address, nowUs);
    // Also where no token is needed: what such a route answers must not tell whether a guess was right.
    // An expired token is no guess: others behind the same proxy are not to be locked out for it.
    if (principal === 'tokenUnknown') this.#failures.tryTake(address, nowUs);
    if (route.role === 'public') return { principal: typeof principal === 'string' ? undefined : principal, address };
    if (typeof principal === 'string') return principal;
    if (mayDo(principal.role, route.role)) return { principal, address };
    return this.refuse('forbidden', route, { principal, address });
  }

  #principalOf(
    request: IncomingMessage,
    route: GuardedRoute,
    address: string,
    nowUs: number,
  ): Principal | RefusalReason {
    if (this.#tokens === undefined) {
      return isLoopback(address) ? { name: 'local', role: 'operator' } : 'tokensRequired';
    }
    // Before the token is looked at: whether it was right must not show.
    if (this.#failures.isExhausted(address, nowUs)) return 'lockedOut';
    const ticket = route.ticket === true ? ticketOf(request) : undefined;
    const nowMs = this.#dependencies.clock.wallMs();
    if (ticket !== undefined) {
      const holder = this.tickets.redeem(ticket, pathOf(request), nowUs);
      // The token may have been revoked since.
      return holder !== undefined && this.#tokens.has(holder, nowMs) ? holder : 'tokenUnknown';
    }
    const token = tokenOf(request);
    if (token === undefined) return 'tokenMissing';
    const verdict = this.#tokens.verify(token, nowMs);
    if (typeof verdict !== 'string') return verdict;
    return verdict === 'expired' ? 'tokenExpired' : 'tokenUnknown';
  }
}

/** Whether an address is of this machine. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

/** The token of a request: from Authorization or, of a WebSocket, from the subprotocols that are offered. */
function tokenOf({ headers }: IncomingMessage): string | undefined {
  const [, bearer] = /^Bearer +([^\s]+)$/i.exec(headers.authorization ?? '') ?? [];
  if (bearer !== undefined || headers.upgrade === undefined) return bearer;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  return offered.find((one) => one.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
}

function ticketOf({ url = '' }: IncomingMessage): string | undefined {
  const query = url.indexOf('?');
  return query < 0 ? undefined : (new URLSearchParams(url.slice(query)).get('ticket') ?? undefined);
}

/** The path of a request, without its query: the scope of a ticket. */
export function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

import type { Role, SessionInfo } from './contract.js';
import { createStore } from './store.js';

/**
 * Who uses the page. The token is kept for this tab only (sessionStorage) and leaves it in the Authorization header and
 * in the subprotocol of a WebSocket, never in a URL.
 */
export type Session =
  | { readonly status: 'unknown' }
  | { readonly status: 'signedOut'; readonly message?: string }
  | { readonly status: 'signedIn'; readonly info: SessionInfo };

const KEY = 'trunkline.token';
const RANKS: Readonly<Record<Role, number>> = { viewer: 0, listener: 1, operator: 2 };

export const session = createStore<Session>({ status: 'unknown' });

export function token(): string | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

export function keepToken(value: string): void {
  sessionStorage.setItem(KEY, value);
}

export function signOut(message?: string): void {
  sessionStorage.removeItem(KEY);
  session.set({ status: 'signedOut', ...(message === undefined ? {} : { message }) });
}

/** Why the session may not do what needs a role; undefined when it may. */
export function refusalFor(role: Role): string | undefined {
  const current = session.get();
  if (current.status !== 'signedIn') return 'Sign in first.';
  if (RANKS[current.info.role] >= RANKS[role]) return undefined;
  return `This needs the role ${role}; you are signed in as ${current.info.role}.`;
}

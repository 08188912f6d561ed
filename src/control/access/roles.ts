/** From the least to the most: each may do what those before it may. */
export const ROLES = ['viewer', 'listener', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** What a route needs: a role, or nothing. */
export type RouteRole = Role | 'public';

/** The holder of a token. */
export interface Principal {
  /** The name of the token; `local` when there are no tokens. */
  readonly name: string;
  readonly role: Role;
  /** Hash of the token: another token may get the same name later. Undefined when there are no tokens. */
  readonly sha256?: string;
}

/** Who sends a request, and from where. */
export interface Caller {
  /** Undefined on a public route without a token. */
  readonly principal: Principal | undefined;
  /** Of the peer of the connection; a proxy's when there is one. */
  readonly address: string;
}

export function mayDo(role: Role, needed: RouteRole): boolean {
  return needed === 'public' || ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

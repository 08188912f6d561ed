import type { HealthCheck } from '../../core/health.js';
import type { SourceStatus } from './source-contract.js';

/**
 * Whether a subscription is signed in and connected as wanted. What is at fault is the platform or the way to it, which
 * another start of this process would not mend: so it is degraded, never failing.
 */
export function subscriptionChecks(name: string, { connections, discovery, tokenAgeMs }: SourceStatus): HealthCheck[] {
  const check = (part: string, reason: string | undefined): HealthCheck =>
    reason === undefined
      ? { name: `${name}.${part}`, status: 'ok', affects: 'ready' }
      : { name: `${name}.${part}`, status: 'degraded', reason, affects: 'ready' };
  const wanted = connections.filter(({ interactions }) => interactions > 0);
  const absent = wanted.filter(({ state }) => state !== 'open');
  const channels = discovery?.channels ?? [];
  const deaf = channels.filter(({ state }) => state !== 'open');
  return [
    check('signIn', tokenAgeMs === undefined ? 'The node is not signed in at Genesys Cloud.' : undefined),
    check('connections', missing('media connections', wanted.length, absent)),
    ...(discovery === undefined
      ? []
      : [check('notifications', missing('notification channels', channels.length, deaf))]),
  ];
}

function missing(what: string, wanted: number, absent: readonly { readonly lastError: string }[]): string | undefined {
  if (absent.length === 0) return undefined;
  const lastError = absent.find((one) => one.lastError !== '')?.lastError;
  const because = lastError === undefined ? '' : ` The last error: ${lastError}`;
  return `${absent.length} of ${wanted} ${what} are not open.${because}`;
}

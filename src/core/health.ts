/**
 * `degraded`: it works, but not as it should, and somebody should look. `failing`: it does not do its work. What is
 * beyond this process, such as a broker that cannot be reached, is degraded and never failing.
 */
export type HealthStatus = 'ok' | 'degraded' | 'failing';

/** One thing that a health check has looked at. */
export interface HealthCheck {
  /** Such as `threads` or `recorder.disk`; unique within a node. */
  readonly name: string;
  readonly status: HealthStatus;
  /** A sentence; present when the status is not `ok`. */
  readonly reason?: string;
  /**
   * What a failure means. `live`: the process cannot recover by itself and should be started again. `ready`: it should
   * get no new calls for now.
   */
  readonly affects: 'live' | 'ready';
}

/** All checks of a node, and the worst of them. */
export interface HealthReport {
  readonly status: HealthStatus;
  readonly checks: readonly HealthCheck[];
}

/** The worst status among checks; `ok` when there are none. */
export function worstOf(checks: readonly HealthCheck[]): HealthStatus {
  if (checks.some(({ status }) => status === 'failing')) return 'failing';
  return checks.some(({ status }) => status === 'degraded') ? 'degraded' : 'ok';
}

import { TrunklineError } from '../../core/errors.js';
import type { HealthCheck, HealthStatus } from '../../core/health.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import type { EngineState } from '../../engine/engine-state.js';
import type { ThreadState } from '../../engine/threads/pool.js';

/** The stages of a node's life, in their order. */
export type NodeState = 'starting' | 'running' | 'draining' | 'closed';

/** The heartbeat of a thread may stand still for this long; a shard that hangs is replaced well before. */
const HEARTBEAT_MS = 15_000;
/** The event loop has stood still for this long at least once within the last minute. */
const STALL_US = 1 * US_PER_SECOND;

/** What a node answers that has been closed. */
export function nodeClosed(message: string): TrunklineError {
  return new TrunklineError('ENGINE_CLOSED', message);
}

const NOT_READY: Readonly<Record<Exclude<NodeState, 'running'>, string>> = {
  starting: 'The node is starting.',
  draining: 'The node is draining: it takes no new calls.',
  closed: 'The node has been closed.',
};

/** Whether a node takes calls. */
export function stateCheck(state: NodeState): HealthCheck {
  if (state === 'running') return { name: 'node', status: 'ok', affects: 'ready' };
  return { name: 'node', status: 'failing', reason: NOT_READY[state], affects: 'ready' };
}

/** The threads: one check each, so that the one at fault is named. */
export function threadChecks({ shards, recorder }: EngineState): HealthCheck[] {
  // A disk that does not answer blocks the recorder; starting the process again would not help, and lose audio.
  return [
    ...shards.map((shard) => threadCheck(shard, 'failing')),
    ...(recorder === undefined ? [] : [threadCheck(recorder, 'degraded')]),
  ];
}

function threadCheck(thread: ThreadState, whenBlocked: HealthStatus): HealthCheck {
  const name = `threads.${thread.name.replace(' ', '')}`;
  const check = (status: HealthStatus, reason: string): HealthCheck => ({ name, status, reason, affects: 'live' });
  const { phase, heartbeatAgeMs, restartedMsAgo } = thread;
  if (phase === 'failed') return check('failing', 'The thread died again and again and was given up.');
  if (phase === 'running' && heartbeatAgeMs > HEARTBEAT_MS) {
    return check(whenBlocked, `The thread has shown no sign of life for ${Math.round(heartbeatAgeMs / 1e3)} s.`);
  }
  if (restartedMsAgo !== undefined)
    return check('degraded', 'The thread died within the last minute and was replaced.');
  return { name, status: 'ok', affects: 'live' };
}

/** The main thread: it answers, so it lives; a check tells whether it was blocked. */
export function eventLoopCheck(longestStallUs: number): HealthCheck {
  const name = 'eventLoop';
  if (longestStallUs < STALL_US) return { name, status: 'ok', affects: 'live' };
  const reason = `The event loop stood still for ${Math.round(longestStallUs / US_PER_MS)} ms within the last minute.`;
  return { name, status: 'degraded', reason, affects: 'live' };
}

import { api, getJson, messageOf, Unreachable, withQuery } from './client.js';
import type { History, NodeInfo } from './contract.js';
import { startPolling } from './poll.js';
import { createStore } from './store.js';

/** What every page shows of the node: asked for once a second, whichever page is open. */
export interface NodeState {
  readonly info: NodeInfo | undefined;
  readonly error: string | undefined;
  /** When another process was found to answer, in milliseconds of Date.now(). */
  readonly restartedAtMs: number | undefined;
}

export const nodeState = createStore<NodeState>({ info: undefined, error: undefined, restartedAtMs: undefined });
export const history = createStore<History | undefined>(undefined);

const INTERVAL_MS = 1_000;
const HISTORY_SECONDS = 900;

export function followNode(): () => void {
  const polling = startPolling(async (signal) => {
    await readNode(signal);
    await readHistory(signal);
  }, INTERVAL_MS);
  return () => polling.stop();
}

async function readNode(signal: AbortSignal): Promise<void> {
  try {
    const info = await getJson<NodeInfo>(api('node'), signal);
    const before = nodeState.get();
    const restarted = before.info !== undefined && before.info.startedAt !== info.startedAt;
    if (restarted) history.set(undefined);
    nodeState.set({ info, error: undefined, restartedAtMs: restarted ? Date.now() : before.restartedAtMs });
  } catch (error) {
    if (signal.aborted || error instanceof Unreachable) return;
    nodeState.set({ ...nodeState.get(), error: messageOf(error) });
  }
}

async function readHistory(signal: AbortSignal): Promise<void> {
  try {
    const have = history.get();
    const more = await getJson<History>(withQuery(api('node', 'history'), { since: have?.at.at(-1) }), signal);
    history.set(joined(have, more));
  } catch {
    // The figures have no charts then; the request above says what is wrong.
  }
}

/** Appends the samples that are new; those of the last fifteen minutes stay. */
export function joined(have: History | undefined, more: History): History {
  const last = have?.at.at(-1);
  if (have === undefined || last === undefined) return more;
  const first = more.at.findIndex((at) => at > last);
  if (first < 0) return have;
  const keep = Math.floor(HISTORY_SECONDS / have.intervalSeconds);
  const column = <K extends Exclude<keyof History, 'intervalSeconds'>>(name: K): History[K] =>
    [...(have[name] ?? []), ...(more[name] ?? []).slice(first)].slice(-keep) as unknown as History[K];
  return {
    intervalSeconds: have.intervalSeconds,
    at: column('at'),
    packetsPerSecond: column('packetsPerSecond'),
    lostPerSecond: column('lostPerSecond'),
    droppedPerSecond: column('droppedPerSecond'),
    latencyP99Ms: column('latencyP99Ms'),
    cpuCores: column('cpuCores'),
    mainUtilisation: column('mainUtilisation'),
    streams: column('streams'),
    rssBytes: column('rssBytes'),
  };
}

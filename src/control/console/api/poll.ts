import { useEffect, useRef, useState } from 'preact/hooks';
import { getJson, Unreachable } from './client.js';

export interface Polled<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  /** Asks at once, and goes on as before. */
  refresh(): void;
}

const RETRY_MS = 1_000;

/**
 * Calls `read` once per interval, counted from the end of one call to the start of the next, so that a slow node is not
 * asked more often than it answers. A hidden tab does not ask; it does at once when it is shown again.
 */
export function startPolling(read: (signal: AbortSignal) => Promise<void>, intervalMs: number) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | undefined;
  const next = (delayMs: number) => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(() => void ask(), delayMs);
  };
  const ask = async () => {
    clearTimeout(timer);
    running?.abort();
    const mine = new AbortController();
    running = mine;
    await read(mine.signal);
    if (running === mine) next(intervalMs);
  };
  const shown = () => (document.hidden ? clearTimeout(timer) : void ask());
  document.addEventListener('visibilitychange', shown);
  void ask();
  return {
    refresh: () => void ask(),
    stop() {
      running?.abort();
      running = undefined;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', shown);
    },
  };
}

/** A resource, read again each interval; 0 reads it once, and again only while it cannot be reached. */
export function usePolled<T>(path: string | undefined, intervalMs = 1_000): Polled<T> {
  const [state, setState] = useState<{ path: string | undefined; data: T | undefined; error: unknown }>({
    ...{ path, data: undefined, error: undefined },
  });
  const polling = useRef<ReturnType<typeof startPolling> | undefined>(undefined);
  useEffect(() => {
    if (path === undefined) return;
    let answered = false;
    const read = async (signal: AbortSignal) => {
      if (answered && intervalMs === 0) return;
      try {
        const data = await getJson<T>(path, signal);
        if (signal.aborted) return;
        answered = true;
        setState({ path, data, error: undefined });
      } catch (error) {
        if (signal.aborted) return;
        answered = !(error instanceof Unreachable);
        setState((before) => ({ path, data: before.path === path ? before.data : undefined, error }));
      }
    };
    const started = startPolling(read, intervalMs === 0 ? RETRY_MS : intervalMs);
    polling.current = started;
    return () => started.stop();
  }, [path, intervalMs]);
  const current = state.path === path ? state : { data: undefined, error: undefined };
  return { data: current.data, error: current.error, refresh: () => polling.current?.refresh() };
}

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, getJson, Unreachable, withQuery } from '../../api/client.js';
import type { Interaction, Page } from '../../api/contract.js';
import { startPolling } from '../../api/poll.js';

export interface StreamQuery {
  readonly q: string;
  readonly state: string;
  readonly source: string;
  /** `true`, or empty for all. */
  readonly oneWayAudio: string;
  readonly sort: string;
}

export interface Rows {
  readonly total: number | undefined;
  readonly error: unknown;
  /** undefined while it is on its way. */
  at(index: number): Interaction | undefined;
  indexOf(id: string): number | undefined;
}

const INTERVAL_MS = 1_000;
/** After a scroll: the rows of places that were only passed are not asked for. */
const SETTLE_MS = 60;
const MARGIN = 8;
const KEPT = 1_000;

interface Loaded {
  readonly key: string;
  readonly rows: ReadonlyMap<number, Interaction>;
  readonly total: number | undefined;
  readonly error: unknown;
}

/**
 * The rows that are visible, asked for once a second, of however many there are. Rows that were seen before are shown as
 * they were until they are there again, so that scrolling back shows no blanks.
 */
export function useRows(query: StreamQuery, first: number, shown: number): Rows {
  const key = JSON.stringify(query);
  const [loaded, setLoaded] = useState<Loaded>({ key, rows: new Map(), total: undefined, error: undefined });
  const wanted = useRef({ first, shown });
  wanted.current = { first, shown };
  const polling = useRef<ReturnType<typeof startPolling> | undefined>(undefined);

  useEffect(() => {
    const read = async (signal: AbortSignal) => {
      const offset = Math.max(0, wanted.current.first - MARGIN);
      const limit = Math.min(500, wanted.current.shown + 2 * MARGIN);
      try {
        const page = await getJson<Page<Interaction>>(
          withQuery(api('interactions'), { ...query, offset, limit }),
          signal,
        );
        if (signal.aborted) return;
        setLoaded((before) => merged(before, key, offset, page));
      } catch (error) {
        if (signal.aborted || error instanceof Unreachable) return;
        setLoaded((before) => ({ ...before, key, error }));
      }
    };
    const started = startPolling(read, INTERVAL_MS);
    polling.current = started;
    return () => started.stop();
  }, [key]);

  const current = loaded.key === key ? loaded : undefined;
  const missing = current !== undefined && !has(current, first, shown);
  useEffect(() => {
    if (!missing) return;
    const timer = setTimeout(() => polling.current?.refresh(), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [missing, first, shown]);

  return useMemo(() => {
    const indexes = new Map([...loaded.rows].map(([index, { id }]) => [id, index]));
    return {
      // With another filter the old rows stay until the new ones are there; they are marked as old by the table.
      total: loaded.total,
      error: loaded.error,
      at: (index) => loaded.rows.get(index),
      indexOf: (id) => indexes.get(id),
    };
  }, [loaded]);
}

function merged(before: Loaded, key: string, offset: number, page: Page<Interaction>): Loaded {
  const rows = new Map(before.key === key ? before.rows : []);
  // An id is in one place only: what moved is taken from where it was.
  const ids = new Set(page.items.map(({ id }) => id));
  for (const [index, { id }] of rows) {
    if (ids.has(id) || index >= page.total || Math.abs(index - offset) > KEPT) rows.delete(index);
  }
  page.items.forEach((row, at) => {
    rows.set(offset + at, row);
  });
  return { key, rows, total: page.total, error: undefined };
}

function has({ rows, total = 0 }: Loaded, first: number, shown: number): boolean {
  for (let index = first; index < Math.min(first + shown, total); index++) if (!rows.has(index)) return false;
  return true;
}

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { count } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { Empty, Failure } from '../../parts/panel.js';
import { callHref, go, replaceQuery } from '../../routes.js';
import { COLUMNS, DEFAULT_SORT, LIVE } from './columns.js';
import { Filters } from './filters.js';
import { HeadRow } from './head-row.js';
import { type StreamQuery, useRows } from './rows.js';
import { StreamRow } from './stream-row.js';

const ROW_HEIGHT = 34;
/** Rows above and below the visible ones that are drawn, so that a fast scroll shows no gaps. */
const OVERSCAN = 6;

/** The live streams: thousands of them, of which the visible ones are asked for and drawn. */
export function StreamTable({ query: address, sources }: { query: URLSearchParams; sources: readonly string[] }) {
  const [query, setQuery] = useState<StreamQuery>(() => ({
    ...{ q: address.get('q') ?? '', state: address.get('state') ?? LIVE, source: address.get('source') ?? '' },
    ...{ oneWayAudio: address.get('oneWayAudio') ?? '', sort: address.get('sort') ?? DEFAULT_SORT },
  }));
  const scroller = useRef<HTMLDivElement>(null);
  const { first, shown } = useVisibleRows(scroller);
  const rows = useRows(query, first, shown);
  const total = rows.total ?? 0;
  const [active, setActive] = useState<{ index: number; id: string | undefined }>({ index: 0, id: undefined });

  const change = (next: Partial<StreamQuery>) => {
    const changed = { ...query, ...next };
    setQuery(changed);
    setActive({ index: 0, id: undefined });
    scroller.current?.scrollTo({ top: 0 });
    const { q, source, oneWayAudio } = changed;
    const state = changed.state === LIVE ? {} : { state: changed.state };
    replaceQuery({ q, source, oneWayAudio, ...state, sort: changed.sort === DEFAULT_SORT ? '' : changed.sort });
  };

  // The marked row follows its call when the order changes.
  const place = (active.id === undefined ? undefined : rows.indexOf(active.id)) ?? active.index;
  const activeIndex = Math.min(place, Math.max(0, total - 1));
  const moveTo = (index: number) => {
    const next = Math.min(Math.max(0, index), Math.max(0, total - 1));
    setActive({ index: next, id: rows.at(next)?.id });
    reveal(scroller.current, next);
  };
  const pressed = (event: KeyboardEvent) => {
    const open = () => {
      const id = rows.at(activeIndex)?.id;
      if (id !== undefined) go(callHref(id));
    };
    const keys: Readonly<Record<string, () => void>> = {
      ArrowDown: () => moveTo(activeIndex + 1),
      ArrowUp: () => moveTo(activeIndex - 1),
      PageDown: () => moveTo(activeIndex + Math.max(1, shown - 2)),
      PageUp: () => moveTo(activeIndex - Math.max(1, shown - 2)),
      Home: () => moveTo(0),
      End: () => moveTo(total - 1),
      Enter: open,
    };
    const act = keys[event.key];
    if (act === undefined || event.target !== event.currentTarget) return;
    event.preventDefault();
    act();
  };

  const from = Math.max(0, first - OVERSCAN);
  const to = Math.min(total, first + shown + OVERSCAN);
  const filtered = query.q !== '' || query.state !== LIVE || query.source !== '' || query.oneWayAudio !== '';
  return (
    <section class="streams panel" aria-label="Streams">
      <Filters
        query={query}
        sources={sources}
        total={rows.total}
        onChange={change}
        focusTable={() => scroller.current?.focus()}
      />
      {rows.error !== undefined && <Failure error={rows.error} />}
      <div
        ref={scroller}
        data-list
        class="grid-scroller"
        role="grid"
        aria-label="Live streams"
        aria-rowcount={total + 1}
        aria-colcount={COLUMNS.length}
        aria-activedescendant={total === 0 ? undefined : `stream-${activeIndex}`}
        tabIndex={0}
        onKeyDown={pressed}
      >
        <HeadRow sort={query.sort} onSort={(sort) => change({ sort })} />
        <div class="grid-rows" role="rowgroup" style={{ height: `${total * ROW_HEIGHT}px` }}>
          {Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at).map((index) => (
            <StreamRow
              key={index}
              index={index}
              top={index * ROW_HEIGHT}
              row={rows.at(index)}
              active={index === activeIndex}
              onPoint={() => setActive({ index, id: rows.at(index)?.id })}
            />
          ))}
        </div>
      </div>
      {rows.total === 0 && (
        <Empty>
          {filtered ? 'No stream matches the filter.' : 'No streams are open. They appear here when calls begin.'}
        </Empty>
      )}
      <p class="visually-hidden" role="status">
        {rows.total !== undefined && filtered ? `${count(rows.total)} streams match` : ''}
      </p>
      <p class="table-hint" aria-hidden="true">
        <Icon name="keyboard" size={14} /> <kbd>/</kbd> filter <kbd>↑</kbd> <kbd>↓</kbd> move <kbd>Enter</kbd> open
      </p>
    </section>
  );
}

/** The first visible row and how many fit. */
function useVisibleRows(scroller: { readonly current: HTMLDivElement | null }) {
  const [visible, setVisible] = useState({ first: 0, shown: 20 });
  const look = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    const first = Math.floor(element.scrollTop / ROW_HEIGHT);
    const shown = Math.ceil(element.clientHeight / ROW_HEIGHT);
    setVisible((before) => (before.first === first && before.shown === shown ? before : { first, shown }));
  }, [scroller]);
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, [scroller, look]);
  return visible;
}

/** Scrolls no further than needed. The head row covers the first row's height. */
function reveal(element: HTMLDivElement | null, index: number): void {
  if (element === null) return;
  const top = index * ROW_HEIGHT;
  const space = element.clientHeight - 2 * ROW_HEIGHT;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top > element.scrollTop + space) element.scrollTop = top - space;
}

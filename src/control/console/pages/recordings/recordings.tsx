import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../../api/client.js';
import type { Page, Recording } from '../../api/contract.js';
import { usePolled } from '../../api/poll.js';
import { bytes, count, dateTime, duration, words } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { Empty, Failure } from '../../parts/panel.js';
import { go, recordingHref, replaceQuery } from '../../routes.js';

const PAGE = 50;
const INTERVAL_MS = 5_000;
const TYPING_MS = 250;

interface Query {
  readonly interactionId: string;
  readonly state: string;
  readonly day: string;
}

const STATES = ['recorded', 'recording', 'incomplete', 'empty', 'unfinished'] as const;

export function RecordingsPage({ query: address }: { query: URLSearchParams }) {
  const [query, setQuery] = useState<Query>({
    interactionId: address.get('q') ?? '',
    state: address.get('state') ?? '',
    day: address.get('day') ?? '',
  });
  // The cursors of the pages before this one, for the way back.
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const { interactionId, state, day } = query;
  const list = usePolled<Page<Recording>>(
    withQuery(api('recordings'), {
      ...{ limit: PAGE, cursor: cursors.at(-1), interactionId, state, ...rangeOf(day) },
    }),
    INTERVAL_MS,
  );
  const change = (next: Partial<Query>) => {
    const changed = { ...query, ...next };
    setQuery(changed);
    setCursors([]);
    replaceQuery({ q: changed.interactionId, state: changed.state, day: changed.day });
  };
  const items = list.data?.items ?? [];
  const next = list.data?.nextCursor;
  return (
    <>
      <div class="page-head">
        <h1>Recordings</h1>
      </div>
      <section class="panel" aria-label="Recordings">
        <RecordingFilters query={query} total={list.data?.total} onChange={change} />
        {list.error !== undefined && <Failure error={list.error} />}
        {list.data !== undefined && items.length === 0 && <Empty>No recording matches.</Empty>}
        {items.length > 0 && <RecordingTable items={items} />}
        {(cursors.length > 0 || (next !== undefined && next !== null)) && (
          <nav class="pager" aria-label="Pages of the list">
            <button
              type="button"
              class="button"
              disabled={cursors.length === 0}
              onClick={() => setCursors(cursors.slice(0, -1))}
            >
              Newer
            </button>
            <span class="muted">Page {cursors.length + 1}</span>
            <button
              type="button"
              class="button"
              disabled={next === undefined || next === null}
              onClick={() => setCursors([...cursors, next ?? ''])}
            >
              Older
            </button>
          </nav>
        )}
      </section>
    </>
  );
}

function RecordingTable({ items }: { items: readonly Recording[] }) {
  const moved = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || !(event.currentTarget instanceof HTMLElement)) return;
    const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>('a.id')];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
    event.preventDefault();
  };
  return (
    <table class="table recordings" data-list onKeyDown={moved}>
      <thead>
        <tr>
          <th scope="col">Interaction</th>
          <th scope="col">State</th>
          <th scope="col" class="p2">
            Started
          </th>
          <th scope="col" class="number">
            Length
          </th>
          <th scope="col" class="number p3">
            Size
          </th>
          <th scope="col" class="p3">
            Codec
          </th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr
            key={one.id}
            onClick={(event) => (event.target instanceof HTMLAnchorElement ? undefined : go(recordingHref(one.id)))}
          >
            <td>
              <a class="id" href={recordingHref(one.id)} title={one.interactionId}>
                {one.interactionId}
              </a>
            </td>
            <td>
              <RecordingState state={one.state} />
            </td>
            <td class="p2">{dateTime(one.startedAt)}</td>
            <td class="number">{duration(one.durationSeconds)}</td>
            <td class="number p3">{bytes(one.bytes)}</td>
            <td class="p3">{one.codec}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function RecordingState({ state }: { state: string }) {
  return <span class={`state rec-${/^\w+$/.test(state) ? state : ''}`}>{words(state)}</span>;
}

interface FiltersProps {
  readonly query: Query;
  readonly total: number | undefined;
  onChange(query: Partial<Query>): void;
}

function RecordingFilters({ query, total, onChange }: FiltersProps) {
  const [text, setText] = useState(query.interactionId);
  useEffect(() => {
    if (text === query.interactionId) return;
    const timer = setTimeout(() => onChange({ interactionId: text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div class="panel-head filters">
      <h2>
        Finished and running <span class="total">{count(total)}</span>
      </h2>
      <label class="search">
        <span class="visually-hidden">Filter by interaction</span>
        <Icon name="search" size={14} />
        <input
          data-filter
          class="input"
          type="search"
          placeholder="Filter by interaction"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Escape' && setText('')}
        />
        <span class="kbd" aria-hidden="true">
          /
        </span>
      </label>
      <label>
        <span class="visually-hidden">State</span>
        <select class="input" value={query.state} onChange={(event) => onChange({ state: event.currentTarget.value })}>
          <option value="">Every state</option>
          {STATES.map((state) => (
            <option key={state} value={state}>
              {words(state)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="visually-hidden">Day</span>
        <input
          class="input"
          type="date"
          value={query.day}
          onChange={(event) => onChange({ day: event.currentTarget.value })}
        />
      </label>
    </div>
  );
}

/** A day of the person's own time zone. */
function rangeOf(day: string): { from?: string; to?: string } {
  const start = new Date(`${day}T00:00:00`);
  if (day === '' || Number.isNaN(start.getTime())) return {};
  const end = new Date(start);
  end.setDate(end.getDate() + 1);
  return { from: start.toISOString(), to: end.toISOString() };
}

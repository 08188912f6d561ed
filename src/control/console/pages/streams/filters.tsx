import { useEffect, useState } from 'preact/hooks';
import { count } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { LIVE, STATE_WORDS } from './columns.js';
import type { StreamQuery } from './rows.js';

interface FiltersProps {
  readonly query: StreamQuery;
  readonly sources: readonly string[];
  readonly total: number | undefined;
  onChange(query: Partial<StreamQuery>): void;
  focusTable(): void;
}

const TYPING_MS = 150;
/** Among the states, though it is none: a call of which one side has no signal. */
const ONE_WAY = 'one-way';

export function Filters({ query, sources, total, onChange, focusTable }: FiltersProps) {
  const [text, setText] = useState(query.q);
  useEffect(() => {
    if (text === query.q) return;
    const timer = setTimeout(() => onChange({ q: text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      setText('');
      onChange({ q: '' });
      focusTable();
    }
    if (event.key === 'Enter' || event.key === 'ArrowDown') {
      event.preventDefault();
      onChange({ q: text });
      focusTable();
    }
  };
  return (
    <div class="panel-head filters">
      <h2>
        Streams <span class="total">{count(total)}</span>
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
          onKeyDown={pressed}
        />
        <span class="kbd" aria-hidden="true">
          /
        </span>
      </label>
      <label>
        <span class="visually-hidden">State</span>
        <select
          class="input"
          value={query.oneWayAudio === '' ? query.state : ONE_WAY}
          onChange={({ currentTarget: { value } }) =>
            onChange(value === ONE_WAY ? { state: LIVE, oneWayAudio: 'true' } : { state: value, oneWayAudio: '' })
          }
        >
          <option value={LIVE}>Live</option>
          <option value={ONE_WAY}>One-way audio</option>
          <option value="">Live and ended</option>
          {Object.entries(STATE_WORDS).map(([state, word]) => (
            <option key={state} value={state}>
              {word}
            </option>
          ))}
        </select>
      </label>
      {sources.length > 1 && (
        <label>
          <span class="visually-hidden">Source</span>
          <select
            class="input"
            value={query.source}
            onChange={(event) => onChange({ source: event.currentTarget.value })}
          >
            <option value="">Every source</option>
            {sources.map((source) => (
              <option key={source} value={source}>
                {source}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

import type { SourceInfo } from '../../api/contract.js';
import { count, dateTime, figure, figureName, words } from '../../parts/format.js';
import { Empty, type Figure, Figures, Panel } from '../../parts/panel.js';

/**
 * Connections, sessions and figures of a source. Sources differ in what they report, and others may be added: simple
 * values become figures, groups of them tables, as they come.
 */
export function SourcePanel({ source }: { source: SourceInfo }) {
  const { name, kind, connections = [], ...rest } = source;
  const lists = Object.entries(rest).filter(([, value]) => isRows(value)) as [string, readonly Row[]][];
  const groups = Object.entries(rest).filter(([, value]) => isGroup(value)) as [string, Row][];
  const simple = figuresOf(rest);
  return (
    <Panel title={name === kind ? words(name) : `${words(name)} (${kind})`}>
      {simple.length > 0 && <Figures figures={simple} />}
      {connections.length === 0 && lists.length === 0 && <Empty>No connections are open.</Empty>}
      {connections.length > 0 && <RowTable title="Connections" rows={connections} />}
      {lists.map(([title, rows]) => (
        <RowTable key={title} title={words(title)} rows={rows} />
      ))}
      {groups.map(([title, group]) => (
        <GroupFigures key={title} title={words(title)} group={group} />
      ))}
    </Panel>
  );
}

type Row = Readonly<Record<string, unknown>>;

const ROWS_SHOWN = 200;

function RowTable({ title, rows }: { title: string; rows: readonly Row[] }) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) =>
    rows.some((row) => isSimple(row[column])),
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard.
    <section class="table-scroller" tabIndex={0} aria-label={title}>
      <table class="table packed">
        <caption>
          {title} <span class="total">{count(rows.length)}</span>
        </caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col" class={rows.some((row) => typeof row[column] === 'number') ? 'number' : ''}>
                {figureName(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_SHOWN).map((row, at) => (
            <tr key={at}>
              {columns.map((column) => (
                <td key={column} class={typeof row[column] === 'number' ? 'number' : ''}>
                  {textOf(column, row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_SHOWN && <p class="muted">The first {ROWS_SHOWN} are shown.</p>}
    </section>
  );
}

function GroupFigures({ title, group }: { title: string; group: Row }) {
  const figures = figuresOf(group);
  const nested = Object.entries(group).filter(([, value]) => isGroup(value)) as [string, Row][];
  if (figures.length === 0 && nested.length === 0) return null;
  return (
    <details class="group">
      <summary>{title}</summary>
      {figures.length > 0 && <Figures figures={figures} />}
      {nested.map(([name, inner]) => (
        <section key={name} aria-label={words(name)}>
          <h4>{words(name)}</h4>
          <Figures figures={figuresOf(inner)} />
        </section>
      ))}
    </details>
  );
}

function figuresOf(row: Row): Figure[] {
  return Object.entries(row)
    .filter(([, value]) => isSimple(value))
    .map(([name, value]) => ({ name: figureName(name), value: textOf(name, value) }));
}

function isSimple(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && value !== '');
}

function isGroup(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRows(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isGroup);
}

const ISO = /^\d{4}-\d\d-\d\dT/;

function textOf(name: string, value: unknown): string {
  if (typeof value === 'number') return figure(name, value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return ISO.test(value) ? dateTime(value) : value;
  return isGroup(value) || value === undefined || value === null ? '–' : String(value);
}

import { Icon } from '../../parts/icons.js';
import { COLUMNS, type Column } from './columns.js';

interface HeadRowProps {
  readonly sort: string;
  onSort(sort: string): void;
}

export function HeadRow({ sort, onSort }: HeadRowProps) {
  return (
    <div class="grid-head" role="rowgroup">
      <div class="grid-row" role="row" aria-rowindex={1}>
        {COLUMNS.map((column) => (
          <HeadCell key={column.name} column={column} sort={sort} onSort={onSort} />
        ))}
      </div>
    </div>
  );
}

function HeadCell({ column, sort, onSort }: HeadRowProps & { column: Column }) {
  const { name, title, sort: key, firstSort, inverted = false, number, priority } = column;
  const direction = key === undefined ? undefined : directionOf(sort, key, inverted);
  const next = direction === undefined ? firstSort : direction === 'up' ? 'down' : 'up';
  const order = direction === undefined ? {} : { 'aria-sort': ORDERS[direction] };
  return (
    <div class={`cell cell-${name} p${priority}${number ? ' number' : ''}`} role="columnheader" {...order}>
      {key === undefined ? (
        <span class="sort none">{title}</span>
      ) : (
        <button type="button" class="sort" onClick={() => onSort((next === 'down') === inverted ? key : `-${key}`)}>
          {title}
          {direction !== undefined && <Icon name={direction} size={11} />}
        </button>
      )}
    </div>
  );
}

const ORDERS = { up: 'ascending', down: 'descending' } as const;

function directionOf(sort: string, key: string, inverted: boolean): 'up' | 'down' | undefined {
  if (sort === key) return inverted ? 'down' : 'up';
  if (sort === `-${key}`) return inverted ? 'up' : 'down';
  return undefined;
}

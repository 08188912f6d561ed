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
  const key = column.sort ?? '';
  const direction = sort === key ? 'up' : sort === `-${key}` ? 'down' : undefined;
  const next = direction === undefined ? column.firstSort : direction === 'up' ? 'down' : 'up';
  return (
    <div
      class={`cell p${column.priority}${column.number ? ' number' : ''}`}
      role="columnheader"
      {...(direction === undefined
        ? {}
        : { 'aria-sort': direction === 'up' ? ('ascending' as const) : ('descending' as const) })}
    >
      <button type="button" class="sort" onClick={() => onSort(next === 'down' ? `-${key}` : key)}>
        {column.title}
        {direction !== undefined && <Icon name={direction} size={11} />}
      </button>
    </div>
  );
}

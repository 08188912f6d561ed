import type { Interaction } from '../../api/contract.js';
import { callHref, go } from '../../routes.js';
import { COLUMNS } from './columns.js';

interface StreamRowProps {
  readonly index: number;
  readonly top: number;
  readonly row: Interaction | undefined;
  readonly active: boolean;
  onPoint(): void;
}

export function StreamRow({ index, top, row, active, onPoint }: StreamRowProps) {
  const open = (event: MouseEvent) => {
    // The link in it is followed by the browser, with its modifiers.
    if (row === undefined || (event.target instanceof Element && event.target.closest('a') !== null)) return;
    go(callHref(row.id));
  };
  return (
    <div
      id={`stream-${index}`}
      class={`grid-row body${active ? ' active' : ''}${row === undefined ? ' waiting' : ''} ${row?.state ?? ''}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={active}
      style={{ transform: `translateY(${top}px)` }}
      onMouseDown={onPoint}
      onClick={open}
    >
      {COLUMNS.map((column) => (
        <div
          key={column.name}
          class={`cell cell-${column.name} p${column.priority}${column.number ? ' number' : ''}`}
          role="gridcell"
        >
          {row === undefined ? <span class="placeholder" /> : column.cell(row)}
        </div>
      ))}
    </div>
  );
}

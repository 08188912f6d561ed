import type { RowOwner } from '../../../src/sources/genesys/interaction-table.js';

/** An interaction in a table whose rows a test sets by itself. */
export function rowOwner(id: string): RowOwner {
  return { id, takePacket: () => false };
}

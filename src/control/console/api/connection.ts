import { createStore } from './store.js';

/** Whether the node answers. The page goes on showing what it had, marked as old, and recovers by itself. */
export interface Connection {
  readonly reachable: boolean;
  /** When the node last answered, in milliseconds of Date.now(); 0 before the first answer. */
  readonly lastAnswerMs: number;
}

export const connection = createStore<Connection>({ reachable: true, lastAnswerMs: 0 });

let lastAnswerMs = 0;

/** Components hear of changes only, not of every answer. */
export function noteAnswer(): void {
  lastAnswerMs = Date.now();
  if (!connection.get().reachable || connection.get().lastAnswerMs === 0) {
    connection.set({ reachable: true, lastAnswerMs });
  }
}

export function noteSilence(): void {
  if (connection.get().reachable) connection.set({ reachable: false, lastAnswerMs });
}

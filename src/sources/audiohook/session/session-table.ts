import type { ClientMessageType } from '../protocol/wire.js';

/**
 * What a session does with each thing that can arrive, in each state. Total: the compiler wants an entry for every
 * pair, and nothing else decides what is allowed when.
 *
 *     CONNECTED ─open─► OPENING ─accepted─► ACTIVE ⇄ PAUSED ─close─► CLOSING ─finished─► CLOSED
 *                          │                  │        │               ▲
 *                          │                  └────────┴─disconnect─► ENDING (what is in flight is still taken)
 *                          └─refused, or a fault anywhere───────────► FAULTED (nothing is taken any more)
 *
 * ENDING and FAULTED are the two ways to wait for the client's `close` after our `disconnect`. OPENING lasts only
 * while the embedder decides, within the turn in which `open` arrived.
 */
export type SessionState = 'CONNECTED' | 'OPENING' | 'ACTIVE' | 'PAUSED' | 'ENDING' | 'FAULTED' | 'CLOSING' | 'CLOSED';

/** A client message, a type that nobody knows, or a binary frame. */
export type Arrival = ClientMessageType | 'unknown' | 'binary';

export type Action =
  | 'open'
  | 'pong'
  | 'pause'
  | 'resume'
  | 'discard'
  | 'update'
  /** Count the client's own `error`. */
  | 'note'
  | 'close'
  /** Take the samples, or drop them when a pause is on. */
  | 'audio'
  /** Drop audio that came after the end; count it. */
  | 'late'
  /** A message at a time that makes no sense of it: tolerated and counted. */
  | 'stray'
  /** A message of the Audio Connector, which is another product: tolerated and counted. */
  | 'foreign'
  | 'unknown'
  /** `disconnect` with reason error. */
  | 'fault';

const CONNECTOR = { dtmf: 'foreign', playback_started: 'foreign', playback_completed: 'foreign' } as const;

const BEFORE_OPENED = {
  ping: 'pong',
  paused: 'stray',
  resumed: 'stray',
  discarded: 'stray',
  update: 'stray',
  error: 'note',
  close: 'close',
  ...CONNECTOR,
  unknown: 'unknown',
  binary: 'fault',
} as const;

const LIVE = {
  open: 'stray',
  ping: 'pong',
  paused: 'pause',
  resumed: 'resume',
  discarded: 'discard',
  update: 'update',
  error: 'note',
  close: 'close',
  ...CONNECTOR,
  unknown: 'unknown',
  binary: 'audio',
} as const;

const PARTING = {
  open: 'stray',
  paused: 'stray',
  resumed: 'stray',
  discarded: 'stray',
  update: 'stray',
  error: 'note',
  ...CONNECTOR,
  unknown: 'unknown',
  binary: 'late',
} as const;

export const SESSION_TABLE: { readonly [S in SessionState]: { readonly [A in Arrival]: Action } } = {
  CONNECTED: { ...BEFORE_OPENED, open: 'open' },
  OPENING: { ...BEFORE_OPENED, open: 'stray' },
  ACTIVE: LIVE,
  PAUSED: LIVE,
  ENDING: LIVE,
  FAULTED: { ...PARTING, ping: 'pong', close: 'close' },
  CLOSING: { ...PARTING, ping: 'pong', close: 'stray' },
  // `closed` is the last word.
  CLOSED: { ...PARTING, ping: 'stray', close: 'stray' },
};

import type { ClientMessage, ClientMessageOf } from '../protocol/wire.js';
import type { SessionContext, SessionState } from './session-context.js';
import * as handle from './session-handlers.js';

/**
 * What a session does with everything that can arrive, in each state. The table is total: the compiler requires a
 * handler for each pair, and nothing else decides what is allowed when.
 *
 *     CONNECTED ─open─► OPENING ─accepted─► ACTIVE ⇄ PAUSED ─close─► CLOSING ─finished─► CLOSED
 *                          │                  │        │               ▲
 *                          │                  └────────┴─disconnect, or no ping─► ENDING (audio in flight is still taken)
 *                          └─refused, or a fault in any state───────────────────► FAULTED (nothing is taken)
 *
 * ENDING and FAULTED both wait for the client's `close` after our `disconnect`. OPENING lasts only while the embedder
 * decides, within the turn in which `open` arrived.
 */
type MessageType = ClientMessage['type'];

/** A client message, or a binary frame. */
export type Arrival = MessageType | 'binary';

type Handlers = {
  readonly [T in MessageType]: (session: SessionContext, message: ClientMessageOf<T>, nowUs: number) => void;
} & {
  readonly binary: (session: SessionContext, bytes: Uint8Array, nowUs: number) => void;
  /** Called every few hundred milliseconds. */
  readonly tick: (session: SessionContext, nowUs: number) => void;
};

const ANY_STATE = {
  error: handle.clientError,
  dtmf: handle.connectorMessage,
  playback_started: handle.connectorMessage,
  playback_completed: handle.connectorMessage,
  unknown: handle.unknownMessage,
};

const WITHOUT_AUDIO = {
  ...ANY_STATE,
  open: handle.strayMessage,
  ping: handle.ping,
  paused: handle.strayMessage,
  resumed: handle.strayMessage,
  discarded: handle.strayMessage,
  update: handle.strayMessage,
  close: handle.close,
};

const BEFORE_OPENED = { ...WITHOUT_AUDIO, binary: handle.audioBeforeOpen, tick: handle.awaitOpen };

const LIVE = {
  ...ANY_STATE,
  open: handle.strayMessage,
  ping: handle.ping,
  paused: handle.paused,
  resumed: handle.resumed,
  discarded: handle.discarded,
  update: handle.update,
  close: handle.close,
  binary: handle.audio,
  tick: handle.awaitPing,
};

const AFTER_END = { ...WITHOUT_AUDIO, binary: handle.lateAudio };

export const SESSION_TABLE: { readonly [S in SessionState]: Handlers } = {
  CONNECTED: { ...BEFORE_OPENED, open: handle.open },
  OPENING: BEFORE_OPENED,
  ACTIVE: LIVE,
  PAUSED: LIVE,
  ENDING: { ...LIVE, tick: handle.awaitClose },
  FAULTED: { ...AFTER_END, tick: handle.awaitClose },
  CLOSING: { ...AFTER_END, close: handle.strayMessage, tick: handle.awaitFinish },
  // `closed` is the last message of a session, so that not even a ping is answered after it.
  CLOSED: { ...AFTER_END, ping: handle.strayMessage, close: handle.strayMessage, tick: handle.awaitHangUp },
};

/** Hands a message to the handler of its type in the session's state. */
export function dispatch(session: SessionContext, message: ClientMessage, nowUs: number): void {
  // The handler was chosen by the message's own type, which the compiler cannot follow.
  const handler = SESSION_TABLE[session.state][message.type] as (
    session: SessionContext,
    message: ClientMessage,
    nowUs: number,
  ) => void;
  handler(session, message, nowUs);
}

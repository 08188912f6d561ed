import type { IncomingMessage } from 'node:http';
import type { ErrorMessage } from './wire.js';

/** An HTTP answer given in place of the ordinary one. */
export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** Kinds of REST request. */
export type Endpoint = 'token' | 'conversation' | 'notification' | 'analytics';

/**
 * What may go wrong besides the network. Each is asked at its place, for every request or connection, and returns
 * what is to happen there, or undefined for the ordinary course. They may be set and removed while the simulator runs.
 */
export interface Faults {
  /** Before a REST request is answered. */
  http?: ((endpoint: Endpoint, request: IncomingMessage) => HttpReply | undefined) | undefined;
  /** Before a media handshake is answered; `stall` leaves it without an answer. */
  handshake?: ((request: IncomingMessage) => HttpReply | 'stall' | undefined) | undefined;
  /** Before one interaction of a subscription is accepted. */
  subscribe?: ((interactionId: string) => ErrorMessage | undefined) | undefined;
}

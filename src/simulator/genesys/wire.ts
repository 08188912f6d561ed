import { z } from 'zod';
import type { StreamFormat } from '../../core/codec.js';
import { LIMITS } from '../../core/limits.js';

/** The server's side of the media subscription protocol, as functions without I/O. */

/** What a client asks for. One message may do both; taking away comes first. */
export interface ClientRequest {
  readonly unsubscribe: readonly string[];
  readonly subscribe: readonly string[];
}

/** Each id may be answered with its own error. */
const MAX_UNSUBSCRIBED = 1000;
/** An explanation quotes what is wrong, which may be long. */
const MAX_EXPLANATION = 400;

const NAME = z.string().min(1).max(LIMITS.maxNameBytes);

// Codec preferences are accepted and not acted upon: an interaction has the codec that it has.
const REQUEST = z
  .object({
    interactions: z
      .array(
        z.object({
          interactionId: NAME,
          mediaType: z.literal('voice').optional(),
          codecPreferences: z.array(z.string()).optional(),
        }),
      )
      .optional(),
    unsubscribe: z.array(NAME).max(MAX_UNSUBSCRIBED).optional(),
  })
  .refine((request) => request.interactions !== undefined || request.unsubscribe !== undefined, {
    message: 'a request has "interactions" or "unsubscribe"',
  });

/** Why a request was refused, in the words of the answer. */
export class BadRequest extends Error {}

/** @throws BadRequest */
export function parseRequest(text: string): ClientRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadRequest('the message is not JSON');
  }
  const result = REQUEST.safeParse(value);
  if (!result.success) throw new BadRequest(z.prettifyError(result.error).slice(0, MAX_EXPLANATION));
  const { interactions = [], unsubscribe = [] } = result.data;
  return {
    subscribe: [...new Set(interactions.map(({ interactionId }) => interactionId))],
    unsubscribe: [...new Set(unsubscribe)],
  };
}

export interface ErrorMessage {
  readonly status: number;
  readonly code: string;
  readonly interactionId?: string;
  readonly message?: string;
}

export function mediaNotAvailable(interactionId: string): ErrorMessage {
  return { status: 400, code: 'mediaNotAvailable', interactionId };
}

export function badRequest(message: string): ErrorMessage {
  return { status: 400, code: 'badRequest', message };
}

export function tooManyInteractions(): ErrorMessage {
  const limit = LIMITS.interactionsPerConnection;
  return {
    status: 400,
    code: 'tooManyInteractions',
    message: `one connection carries at most ${limit} interactions; nothing of this request was added`,
  };
}

export function subscribedMessage(accepted: readonly (StreamFormat & { readonly interactionId: string })[]): string {
  const interactions = accepted.map(({ interactionId, codec, clockRate, sampleRate, channels }) => ({
    interactionId,
    codec,
    clockRate,
    sampleRate,
    channels,
  }));
  return JSON.stringify({ type: 'subscribed', interactions });
}

export function endedMessage(interactionId: string, reason: string): string {
  return JSON.stringify({ type: 'ended', interactionId, reason });
}

/** What stands before the sequence number in every packet of a channel. */
export function packetPrefix(interactionId: string, channel: number | undefined, codec: string | undefined): string {
  const fields = JSON.stringify({ interactionId, codec, channel });
  return `${fields.slice(0, -1)},"sequenceNumber":`;
}

/** One packet. `prefix` comes from packetPrefix(); base64 needs no escaping. */
export function packetMessage(prefix: string, sequence: number, timestamp: number, payload: string): string {
  return `${prefix}${sequence},"timestamp":${timestamp},"payload":"${payload}"}`;
}

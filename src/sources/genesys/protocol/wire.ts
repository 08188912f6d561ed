import { z } from 'zod';
import { type Codec, isCodec } from '../../../core/codec.js';
import { TrunklineError } from '../../../core/errors.js';
import type { Channel } from '../../../core/events.js';
import { LIMITS } from '../../../core/limits.js';

/**
 * The wire format of the media subscription interface, without I/O. This is the exact and complete reading of a
 * message; PacketReader reads the usual form of a packet faster and leaves everything else to it.
 */

export interface SubscriptionOptions {
  readonly mediaType?: 'voice';
  /** In order of preference. Without `opus` the platform sends PCMU or PCMA. */
  readonly codecPreferences?: readonly Codec[];
}

export const DEFAULT_CODEC_PREFERENCES: readonly Codec[] = ['opus', 'pcmu'];

/**
 * The message that subscribes to interactions, or adds some to those that the connection has.
 * @throws TrunklineError LIMIT_EXCEEDED for more than 50 interactions.
 */
export function buildSubscription(interactionIds: readonly string[], options: SubscriptionOptions = {}): string {
  if (interactionIds.length > LIMITS.interactionsPerConnection) {
    throw new TrunklineError(
      'LIMIT_EXCEEDED',
      `One connection carries at most ${LIMITS.interactionsPerConnection} interactions, not ${interactionIds.length}; ` +
        'spread them over several connections.',
    );
  }
  const mediaType = options.mediaType ?? 'voice';
  const codecPreferences = options.codecPreferences ?? DEFAULT_CODEC_PREFERENCES;
  return JSON.stringify({
    interactions: interactionIds.map((interactionId) => ({ interactionId, mediaType, codecPreferences })),
  });
}

export function buildUnsubscribe(interactionIds: readonly string[]): string {
  return JSON.stringify({ unsubscribe: interactionIds });
}

/** A media packet, with the payload still in base64 and not yet looked at. */
export interface PacketMessage {
  readonly kind: 'packet';
  readonly interactionId: string;
  /** As on the wire: may wrap at 16 or 32 bits, or never. */
  readonly sequenceNumber: number;
  /** As on the wire: in units of the codec's clock, wraps at 32 bits. */
  readonly timestamp: number;
  readonly payload: string;
  readonly codec: Codec | undefined;
  readonly channel: Channel | undefined;
}

/** What the server says of one interaction's media once it has subscribed to it. */
export interface SubscribedInteraction {
  readonly interactionId: string;
  readonly codec?: Codec | undefined;
  readonly clockRate?: number | undefined;
  readonly sampleRate?: number | undefined;
  readonly channels?: 1 | 2 | undefined;
}

export type ControlMessage =
  | { readonly kind: 'subscribed'; readonly interactions: readonly SubscribedInteraction[] }
  | { readonly kind: 'ended'; readonly interactionId: string; readonly reason: string }
  | {
      readonly kind: 'error';
      /** As of HTTP. */
      readonly status: number;
      readonly code: string;
      readonly interactionId: string | undefined;
      readonly message: string;
    };

/** `unknown` is well-formed JSON of a kind that this client does not know; it does no harm. */
export type Message = PacketMessage | ControlMessage | { readonly kind: 'malformed' } | { readonly kind: 'unknown' };

const MALFORMED: Message = { kind: 'malformed' };
const UNKNOWN: Message = { kind: 'unknown' };

const interactionId = z.string().min(1).max(LIMITS.maxNameBytes);
const codec = z
  .string()
  .transform((name) => name.toLowerCase())
  .refine(isCodec);
const rate = z.number().int().positive().max(192_000);

// What the server writes into its messages ends in ours; a text of any length must not.
const shortText = z.string().transform((text) => text.replace(/[^\x20-\x7e]/g, ' ').slice(0, LIMITS.maxNameBytes));

const subscribedMessage = z.object({
  type: z.literal('subscribed'),
  interactions: z.array(
    z.object({
      interactionId,
      codec: codec.optional(),
      clockRate: rate.optional(),
      sampleRate: rate.optional(),
      channels: z.union([z.literal(1), z.literal(2)]).optional(),
    }),
  ),
});
const endedMessage = z.object({
  type: z.literal('ended'),
  interactionId,
  reason: shortText.optional(),
});
const errorMessage = z.object({
  status: z.number().int(),
  code: shortText.optional(),
  interactionId: interactionId.nullish(),
  message: shortText.nullish(),
});

/** Reads any message. Never throws; fields that are not known are ignored. */
export function parseMessage(text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return MALFORMED;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return MALFORMED;
  if ('payload' in value) return parsePacket(value);
  if ('type' in value) return parseTyped(value);
  if ('status' in value) return parseError(value);
  return 'interactionId' in value || 'sequenceNumber' in value ? MALFORMED : UNKNOWN;
}

function parsePacket(value: object): Message {
  const { interactionId, sequenceNumber, timestamp, payload, codec, channel } = value as Record<string, unknown>;
  if (typeof interactionId !== 'string' || typeof payload !== 'string' || payload.length === 0) return MALFORMED;
  if (!isCount(sequenceNumber) || !isCount(timestamp)) return MALFORMED;
  if (channel !== undefined && channel !== null && channel !== 0 && channel !== 1) return MALFORMED;
  let named: Codec | undefined;
  if (codec !== undefined && codec !== null) {
    const name = typeof codec === 'string' ? codec.toLowerCase() : codec;
    if (!isCodec(name)) return MALFORMED;
    named = name;
  }
  return {
    kind: 'packet',
    interactionId,
    // JSON knows a minus zero, which must not go further.
    sequenceNumber: sequenceNumber + 0,
    timestamp: timestamp + 0,
    payload,
    codec: named,
    channel: channel === null ? undefined : channel === undefined ? undefined : channel === 0 ? 0 : 1,
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseTyped(value: object): Message {
  const subscribed = subscribedMessage.safeParse(value);
  if (subscribed.success) return { kind: 'subscribed', interactions: subscribed.data.interactions };
  const ended = endedMessage.safeParse(value);
  if (ended.success) {
    return { kind: 'ended', interactionId: ended.data.interactionId, reason: ended.data.reason ?? '' };
  }
  const { type } = value as { type: unknown };
  if (type === 'subscribed' || type === 'ended' || typeof type !== 'string') return MALFORMED;
  return 'status' in value ? parseError(value) : UNKNOWN;
}

function parseError(value: object): Message {
  const parsed = errorMessage.safeParse(value);
  if (!parsed.success) return MALFORMED;
  const { status, code, interactionId, message } = parsed.data;
  return { kind: 'error', status, code: code ?? '', interactionId: interactionId ?? undefined, message: message ?? '' };
}

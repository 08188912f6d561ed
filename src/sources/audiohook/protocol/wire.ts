import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { LIMITS } from '../../../core/limits.js';
import { isDuration } from './duration.js';

/**
 * Messages of AudioHook, protocol version 2, in both directions. No I/O: bytes become a message or a fault, and a server
 * message becomes text. What the protocol tolerates (unknown types, unknown fields, an odd `rtt`) passes and is counted;
 * anything else is a fault with a sentence for the client.
 */
export const NULL_UUID = '00000000-0000-0000-0000-000000000000';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A UUID of any version, the null UUID among them. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

const uuid = z.string().regex(UUID);
const duration = z.string().refine(isDuration);
const sequenceNumber = z.int().nonnegative();
const shortText = z.string().max(1024);

const envelope = z.object({
  version: z.literal('2'),
  id: uuid,
  type: z.string().min(1).max(64),
  seq: sequenceNumber,
  serverseq: sequenceNumber,
  position: duration,
  parameters: z.record(z.string(), z.unknown()),
});

// Numbers and names decide nothing, so that they may have any value.
const participant = z.object({
  id: uuid,
  ani: z.unknown().optional(),
  aniName: z.unknown().optional(),
  dnis: z.unknown().optional(),
});

const stretch = z.object({ start: z.string().catch(''), discarded: duration });
const language = shortText.optional().catch(undefined);

// A parameter with catch() decides nothing: a message with a bad value still gets its answer.
const PARAMETERS = {
  open: z.object({
    organizationId: uuid,
    conversationId: uuid,
    participant,
    media: z.array(z.unknown()),
    language,
    supportedLanguages: z.boolean().optional().catch(undefined),
    customConfig: z.unknown().optional(),
    continuedSessions: z
      .array(z.object({ id: uuid, serverseq: z.unknown().optional(), clientseq: z.unknown().optional() }))
      .nullish()
      .transform((sessions) => sessions ?? []),
    inputVariables: z.unknown().optional(),
  }),
  ping: z.object({ rtt: duration.optional().catch(undefined) }),
  paused: z.object({}),
  resumed: stretch,
  discarded: stretch,
  update: z.object({ language }),
  error: z.object({
    code: z.int().catch(0),
    message: z.string().catch(''),
    retryAfter: duration.optional().catch(undefined),
  }),
  close: z.object({ reason: z.enum(['end', 'error', 'disconnect', 'reconnect']).catch('end') }),
  dtmf: z.object({}),
  playback_started: z.object({}),
  playback_completed: z.object({}),
} as const;

type Parameters = { [T in keyof typeof PARAMETERS]: z.infer<(typeof PARAMETERS)[T]> };
export type ClientMessageType = keyof Parameters;
/** Why a client closes its session. */
export type CloseReason = 'end' | 'error' | 'disconnect' | 'reconnect';

export const CLIENT_MESSAGE_TYPES = Object.keys(PARAMETERS) as readonly ClientMessageType[];

interface ClientEnvelope {
  readonly id: string;
  readonly seq: number;
  readonly serverseq: number;
  readonly position: string;
  /** Fields that this version of the protocol does not know. */
  readonly unknownFields: number;
}

/** A message of the client. Of an unknown type, only the envelope is read. */
export type ClientMessage =
  | {
      [T in ClientMessageType]: ClientEnvelope & { readonly type: T; readonly parameters: Parameters[T] };
    }[ClientMessageType]
  | (ClientEnvelope & { readonly type: 'unknown'; readonly parameters: undefined });

/** The client messages of one type. */
export type ClientMessageOf<T extends ClientMessage['type']> = Extract<ClientMessage, { readonly type: T }>;

/** Why a text message is not accepted. `info` is sent to the client and quotes nothing that it sent. */
export interface WireFault {
  readonly type: 'fault';
  readonly fault: 'oversize' | 'encoding' | 'json' | 'envelope' | 'parameters';
  readonly info: string;
  /** The client's sequence number when it could be read, so that the peers do not lose step over one bad message. */
  readonly seq: number | undefined;
}

const ENVELOPE_FIELDS = new Set(Object.keys(envelope.shape));
const PARAMETER_FIELDS = new Map(
  Object.entries(PARAMETERS).map(([type, schema]) => [type, new Set(Object.keys(schema.shape))]),
);
const PARTICIPANT_FIELDS = new Set(Object.keys(participant.shape));

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isClientMessageType(type: string): type is ClientMessageType {
  return Object.hasOwn(PARAMETERS, type);
}

function countUnknown(value: Record<string, unknown>, known: ReadonlySet<string>): number {
  let count = 0;
  for (const key of Object.keys(value)) if (!known.has(key)) count += 1;
  return count;
}

function fault(kind: WireFault['fault'], info: string, seq?: number): WireFault {
  return { type: 'fault', fault: kind, info, seq };
}

/** Reads one text message. Never throws. */
export function parseClientMessage(bytes: Uint8Array): ClientMessage | WireFault {
  if (bytes.length > LIMITS.maxMessageBytes) return fault('oversize', 'Text message larger than 64 KiB');
  if (!isUtf8(bytes)) return fault('encoding', 'Text message is not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch {
    return fault('json', 'Text message is not valid JSON');
  }
  if (!isRecord(value)) return fault('envelope', 'Message is not a JSON object');
  const head = envelope.safeParse(value);
  if (!head.success) {
    const field = head.error.issues[0]?.path[0];
    const seq = sequenceNumber.safeParse(value['seq']);
    return fault('envelope', `Message field '${String(field)}' is missing or not valid`, seq.data);
  }
  const { id, type, seq, serverseq, position, parameters } = head.data;
  let unknownFields = countUnknown(value, ENVELOPE_FIELDS);
  if (!isClientMessageType(type)) {
    return { type: 'unknown', id, seq, serverseq, position, unknownFields, parameters: undefined };
  }
  const body = PARAMETERS[type].safeParse(parameters);
  if (!body.success) {
    const field = body.error.issues[0]?.path.join('.');
    return fault('parameters', `Parameter '${String(field)}' of '${type}' is missing or not valid`, seq);
  }
  unknownFields += countUnknown(parameters, PARAMETER_FIELDS.get(type) ?? new Set());
  const who = parameters['participant'];
  if (type === 'open' && isRecord(who)) unknownFields += countUnknown(who, PARTICIPANT_FIELDS);
  // The schema that parsed the parameters was chosen by the very type, which the compiler cannot follow.
  return { type, id, seq, serverseq, position, unknownFields, parameters: body.data } as ClientMessage;
}

export type DisconnectReason = 'completed' | 'unauthorized' | 'error';

export interface EventEntity {
  readonly type: string;
  readonly data: unknown;
}

/** Parameters of the server's messages. `media` and `entities` are JSON already and are inserted verbatim. */
export interface ServerParameters {
  opened: { media: string; startPaused?: boolean; discardTo?: string; supportedLanguages?: readonly string[] };
  pong: Record<string, never>;
  pause: Record<string, never>;
  resume: Record<string, never>;
  updated: Record<string, never>;
  closed: Record<string, never>;
  event: { entities: readonly string[] };
  disconnect: { reason: DisconnectReason; info?: string };
  reconnect: { info?: string };
}
export type ServerMessageType = keyof ServerParameters;

/** Formats one message of the server. `parameters` is always present: clients break without it. */
export function formatServerMessage<T extends ServerMessageType>(
  type: T,
  id: string,
  seq: number,
  clientseq: number,
  parameters: ServerParameters[T],
): string {
  return `{"version":"2","type":"${type}","id":"${id}","seq":${seq},"clientseq":${clientseq},"parameters":${formatParameters(parameters)}}`;
}

function formatParameters(parameters: object): string {
  if ('entities' in parameters) return `{"entities":[${(parameters.entities as readonly string[]).join(',')}]}`;
  if (!('media' in parameters)) return JSON.stringify(parameters);
  const { media, ...rest } = parameters;
  const others = JSON.stringify(rest);
  return `{"media":${String(media)}${others === '{}' ? '' : `,${others.slice(1, -1)}`}}`;
}

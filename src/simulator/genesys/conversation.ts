import { randomUUID } from 'node:crypto';
import type { CallState, Interaction } from './interaction.js';

/** The platform's resources and errors, in the shape that its own SDK documents. */

/** Who calls in every simulated call: a number that is kept free for fiction, and nobody's name. */
export const SIMULATED_CALLER = { ani: 'tel:+12025550147', dnis: 'tel:+12025550199', name: 'Tamsin Quillfeather' };

/** `GET /api/v2/conversations/{id}`, of a voice call between a customer and an agent. */
export function conversationResource(interaction: Interaction, startedAtMs: number): object {
  const { id, endedAtMs } = interaction;
  const startTime = new Date(startedAtMs).toISOString();
  const endTime = endedAtMs === null ? undefined : new Date(endedAtMs).toISOString();
  const { call } = interaction;
  const securePause = call?.securePause ?? false;
  const participant = (purpose: string, place: number) => ({
    id: derivedId(id, place),
    startTime,
    connectedTime: startTime,
    endTime,
    purpose,
    ...(purpose === 'customer' ? SIMULATED_CALLER : { queueId: call?.queueId, userId: call?.userId }),
    participantType: purpose === 'customer' ? 'External' : 'Internal',
    wrapupRequired: false,
    attributes: {},
    calls: [
      {
        id: derivedId(id, place + 1),
        state: endTime === undefined ? stateOf(purpose, call) : 'terminated',
        initialState: 'connected',
        direction: purpose === 'customer' ? 'inbound' : 'outbound',
        recording: false,
        muted: false,
        confined: false,
        held: false,
        securePause,
        connectedTime: startTime,
        disconnectedTime: endTime,
        disconnectType: endTime === undefined ? undefined : 'peer',
        provider: 'Edge',
        segments: [],
      },
    ],
  });
  return {
    id,
    startTime,
    endTime,
    participants: [participant('customer', 1), participant('agent', 3)],
    recordingState: 'none',
    divisions: [],
    securePause,
    selfUri: `/api/v2/conversations/${id}`,
  };
}

function stateOf(purpose: string, call: CallState | undefined): string {
  return purpose === 'customer' || call === undefined || call.phase === 'connected' ? 'connected' : 'alerting';
}

/** Body of an event of the topics `v2.routing.queues.{id}.conversations.calls` and `v2.users.{id}.conversations.calls`. */
export function callEvent(interaction: Interaction, call: CallState, startedAtMs: number): object {
  const { id, endedAtMs } = interaction;
  const endTime = endedAtMs === null ? undefined : new Date(endedAtMs).toISOString();
  const connectedTime = new Date(startedAtMs).toISOString();
  const participant = (purpose: string, place: number) => ({
    id: derivedId(id, place),
    connectedTime,
    endTime,
    purpose,
    ...(purpose === 'customer' ? { address: SIMULATED_CALLER.ani, ...SIMULATED_CALLER } : {}),
    state: endTime === undefined ? stateOf(purpose, call) : 'terminated',
    direction: 'inbound',
    held: false,
    wrapupRequired: false,
    ...(call.queueId === undefined ? {} : { queue: { id: call.queueId } }),
    ...(call.userId === undefined || purpose === 'customer' ? {} : { user: { id: call.userId } }),
    muted: false,
    confined: false,
    recording: false,
    recordingState: 'none',
    securePause: call.securePause,
    provider: 'Edge',
  });
  return { id, participants: [participant('customer', 1), participant('agent', 3)], otherMediaUris: [] };
}

/** Answer to `POST /api/v2/analytics/conversations/details/query`, all on one page. */
export function conversationDetails(interactions: readonly Interaction[], startedAtMs: number): object {
  const conversationStart = new Date(startedAtMs).toISOString();
  const conversations = interactions.map(({ id }) => ({ conversationId: id, conversationStart, participants: [] }));
  return { conversations, totalHits: conversations.length };
}

/** Another id that is always the same for the same conversation. */
function derivedId(id: string, place: number): string {
  const last = (Number.parseInt(id.slice(-4), 16) + place) & 0xffff;
  return id.slice(0, -4) + last.toString(16).padStart(4, '0');
}

/** The ErrorBody of the platform's REST interface. */
export function errorBody(status: number, code: string, message: string): object {
  return { message, code, status, messageParams: {}, contextId: randomUUID(), details: [], errors: [] };
}

/** An error of the token endpoint (RFC 6749 5.2), with the platform's `description` besides. */
export function tokenError(error: string, description: string): object {
  return { error, description, error_description: description };
}

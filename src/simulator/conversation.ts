import { randomUUID } from 'node:crypto';
import type { Interaction } from './interaction.js';

/** The platform's resources and errors, in the shape that its own SDK documents. Nobody's name or number is in them. */

/** `GET /api/v2/conversations/{id}`, of a voice call between a customer and an agent. */
export function conversationResource(interaction: Interaction, startedAtMs: number): object {
  const { id, endedAtMs } = interaction;
  const startTime = new Date(startedAtMs).toISOString();
  const endTime = endedAtMs === null ? undefined : new Date(endedAtMs).toISOString();
  const participant = (purpose: string, place: number) => ({
    id: derivedId(id, place),
    startTime,
    connectedTime: startTime,
    endTime,
    purpose,
    participantType: purpose === 'customer' ? 'External' : 'Internal',
    wrapupRequired: false,
    attributes: {},
    calls: [
      {
        id: derivedId(id, place + 1),
        state: endTime === undefined ? 'connected' : 'terminated',
        initialState: 'connected',
        direction: purpose === 'customer' ? 'inbound' : 'outbound',
        recording: false,
        muted: false,
        confined: false,
        held: false,
        securePause: false,
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
    securePause: false,
    selfUri: `/api/v2/conversations/${id}`,
  };
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

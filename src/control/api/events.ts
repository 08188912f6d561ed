import { z } from 'zod';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { beginStream } from '../headers.js';
import type { EventFilter } from '../live/event-stream.js';

const MAX_TYPES = 64;

const querySchema = z.object({
  types: z
    .string()
    .regex(/^[\w.-]{1,64}(?:,[\w.-]{1,64})*$/, 'must be names separated by commas')
    .refine((text) => text.split(',').length <= MAX_TYPES, `must be at most ${MAX_TYPES} names`)
    .optional()
    .describe('Names of events, separated by commas; all when absent.'),
  interactionId: z.string().min(1).max(512).optional().describe('Only events of this interaction.'),
  lastEventId: z
    .string()
    .max(64)
    .optional()
    .describe('As the header Last-Event-ID, for the first connection of a page.'),
});

/** Everything that the node emits, as server-sent events. */
export function registerEventRoutes(app: ControlApp, { live }: ControlDependencies): void {
  app.get(
    '/api/v1/events',
    {
      config: { role: 'viewer' },
      exposeHeadRoute: false,
      schema: {
        summary: 'Events of the node, as server-sent events.',
        description:
          'Each event has a type, an id and JSON. A client that connects again with Last-Event-ID gets what it has missed; ' +
          'an event `missed` tells how many events are gone, or null when that is not known.',
        tags: ['events'],
        produces: ['text/event-stream'],
        querystring: querySchema,
      },
    },
    (request, reply) => {
      const { types, interactionId, lastEventId } = request.query;
      if (!live.events.admits()) {
        throw new ControlError(503, 'tooManyClients', 'There are too many clients of the event stream.', 5);
      }
      const filter: EventFilter = {
        ...(types === undefined ? {} : { types: new Set(types.split(',')) }),
        ...(interactionId === undefined ? {} : { interactionId }),
      };
      const header = request.headers['last-event-id'];
      const response = beginStream(reply, 'text/event-stream; charset=utf-8');
      live.events.add(response, filter, typeof header === 'string' ? header : lastEventId);
    },
  );
}

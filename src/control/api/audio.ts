import { z } from 'zod';
import { pathOf } from '../access/access.js';
import { TICKET_SECONDS } from '../access/tickets.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { beginStream } from '../headers.js';
import { AUDIO_RATES, type AudioRequest } from '../live/audio-format.js';
import { WavOutput, WebSocketOutput } from '../live/audio-outputs.js';

const querySchema = z.object({
  channels: z.enum(['mono', 'stereo']).optional().describe('As the call has them when absent.'),
  rate: z.coerce
    .number()
    .refine((rate) => AUDIO_RATES.some((one) => one === rate), `must be one of ${AUDIO_RATES.join(', ')}`)
    .optional()
    .describe('Samples a second; as the call has it when absent.'),
});
const wavQuerySchema = querySchema.extend({
  ticket: z.string().max(128).optional().describe('Instead of a token, for an <audio> element; see …/audio/ticket.'),
});
const paramsSchema = z.object({ id: z.string() });

const ticketSchema = z.object({
  ticket: z.string(),
  path: z.string().describe('The path of the audio, with the ticket in its query.'),
  expiresInSeconds: z.number(),
});

/** Live audio of one interaction: over a WebSocket, and as a WAV file without end. */
export function registerAudioRoutes(app: ControlApp, dependencies: ControlDependencies): void {
  registerWebSocket(dependencies);
  registerWav(app, dependencies);
  registerTicket(app, dependencies);
}

function registerWebSocket({ webSockets, live }: ControlDependencies): void {
  webSockets.add({
    pattern: '/api/v1/interactions/:id/audio',
    role: 'listener',
    protocol: 'trunkline.audio.v1',
    handle: ({ params, query, caller, accept }) => {
      const listener = live.listeners.admit(caller, params['id'] ?? '', requestOf(query));
      try {
        const socket = accept();
        socket.once('close', listener.begin(new WebSocketOutput(socket, listener.format)));
      } catch (thrown) {
        listener.abandon();
        throw thrown;
      }
    },
  });
}

function requestOf(query: URLSearchParams): AudioRequest {
  const parsed = querySchema.safeParse(Object.fromEntries(query));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ControlError(400, 'badRequest', `The request is not valid. ${issue?.path.join('.')}: ${issue?.message}`);
}

function registerWav(app: ControlApp, { live }: ControlDependencies): void {
  app.get(
    '/api/v1/interactions/:id/audio.wav',
    {
      config: { role: 'listener', ticket: true },
      exposeHeadRoute: false,
      schema: {
        summary: 'Live audio of an interaction, as a WAV file without end.',
        description: 'It begins with what is said now, has silence while nothing comes, and ends with the interaction.',
        tags: ['audio'],
        produces: ['audio/wav'],
        params: paramsSchema,
        querystring: wavQuerySchema,
      },
    },
    (request, reply) => {
      const { params, query, caller } = request;
      const listener = live.listeners.admit(caller, params.id, query);
      const response = beginStream(reply, 'audio/wav');
      response.once('close', listener.begin(new WavOutput(response, listener.format)));
    },
  );
}

function registerTicket(app: ControlApp, { access, clock, settings }: ControlDependencies): void {
  app.post(
    '/api/v1/interactions/:id/audio/ticket',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'A ticket to open the live audio once, without a token.',
        tags: ['audio'],
        params: paramsSchema,
        response: { 200: ticketSchema },
      },
    },
    async ({ raw, caller }) => {
      const path = pathOf(raw).replace(/\/ticket$/, '.wav');
      if (caller.principal === undefined) throw new ControlError(401, 'tokenMissing', 'A token is needed.');
      const ticket = access.tickets.issue(caller.principal, path, clock.nowUs());
      const address = `${settings.basePath}${path}?ticket=${ticket}`;
      return { ticket, path: address, expiresInSeconds: TICKET_SECONDS };
    },
  );
}

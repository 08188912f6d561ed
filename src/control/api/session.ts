import { z } from 'zod';
import { ROLES } from '../access/roles.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';

const sessionSchema = z.object({
  name: z.string().describe('The name of the token; "local" when there are no tokens.'),
  role: z.enum(ROLES),
  tokensRequired: z.boolean(),
});

/** Who the caller is, and the description of the API. */
export function registerSessionRoutes(app: ControlApp, { access }: ControlDependencies): void {
  app.get(
    '/api/v1/session',
    {
      config: { role: 'viewer' },
      schema: { summary: 'Who the caller is.', tags: ['session'], response: { 200: sessionSchema } },
    },
    async ({ caller }) => {
      const { name, role } = caller.principal ?? { name: '', role: 'viewer' as const };
      return { name, role, tokensRequired: access.needsTokens };
    },
  );
  app.get('/api/v1/openapi.json', { config: { role: 'viewer' }, schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  );
}

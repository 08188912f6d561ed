import { z } from 'zod';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { HISTORY_COLUMNS } from './history.js';

const historySchema = z.object({
  intervalSeconds: z.number(),
  at: z.array(z.string()),
  ...(Object.fromEntries(HISTORY_COLUMNS.map((name) => [name, z.array(z.number())])) as Record<
    (typeof HISTORY_COLUMNS)[number],
    z.ZodArray<z.ZodNumber>
  >),
});

const historyQuerySchema = z.object({
  since: z.iso
    .datetime()
    .optional()
    .describe('Only samples after this time, such as the last one of the answer before.'),
});

/** `/metrics` for Prometheus, and the history for charts. */
export function registerMetricsRoutes(app: ControlApp, { metrics }: ControlDependencies): void {
  app.get(
    '/metrics',
    {
      config: { role: 'viewer' },
      schema: { summary: 'Metrics, in the text format of Prometheus or as OpenMetrics.', tags: ['metrics'] },
    },
    async (request, reply) => {
      const { contentType, text } = await metrics.scrape(request.headers.accept);
      return reply.header('content-type', contentType).header('vary', 'accept').send(text);
    },
  );
  app.get(
    '/api/v1/node/history',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'A sample a second of the last 15 minutes.',
        tags: ['node'],
        querystring: historyQuerySchema,
        response: { 200: historySchema },
      },
    },
    async ({ query: { since } }) => metrics.history(since === undefined ? undefined : Date.parse(since)),
  );
}

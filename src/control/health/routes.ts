import { z } from 'zod';
import { type HealthCheck, worstOf } from '../../core/health.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';

const status = z.enum(['ok', 'degraded', 'failing']);

const reportSchema = z.object({
  status,
  checks: z.array(z.object({ name: z.string(), status, reason: z.string().optional() })),
});
type Report = z.infer<typeof reportSchema>;

/** `/livez` and `/readyz`: 200 while nothing fails, which includes what is degraded, and 503 otherwise. */
export function registerHealthRoutes(app: ControlApp, { node }: ControlDependencies): void {
  const probes = [
    ['/livez', 'live', 'Whether the process works; when it does not, start it again.'],
    ['/readyz', 'ready', 'Whether the node takes calls: everything that /livez checks, and what new calls need.'],
  ] as const;
  for (const [url, kind, summary] of probes) {
    app.get(
      url,
      {
        config: { role: 'public' },
        schema: { summary, tags: ['health'], security: [], response: { 200: reportSchema, 503: reportSchema } },
      },
      async (request, reply) => {
        const checks = node.health().checks.filter(({ affects }) => kind === 'ready' || affects === 'live');
        const report = reportOf(checks, request.caller.principal !== undefined);
        return reply.code(report.status === 'failing' ? 503 : 200).send(report);
      },
    );
  }
}

/** Reasons may hold paths and addresses: only callers with a token, or on a machine without tokens, see them. */
function reportOf(checks: readonly HealthCheck[], withReasons: boolean): Report {
  return {
    status: worstOf(checks),
    checks: checks.map(({ name, status: one, reason }) => ({
      name,
      status: one,
      ...(withReasons && reason !== undefined ? { reason } : {}),
    })),
  };
}

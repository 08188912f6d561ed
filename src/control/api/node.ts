import { z } from 'zod';
import { packageVersion } from '../../config/package-version.js';
import { messageOf } from '../../core/errors.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { nodeParts } from '../../node/parts/node-parts.js';
import type { Source } from '../../sources/source.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { isoTime } from '../live/interaction-row.js';
import { answering, notSupported } from './failures.js';

/** Elements of a list in the status of a source, such as AudioHook's sessions, that are answered. */
const MAX_ELEMENTS = 500;

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const status = z.enum(['ok', 'degraded', 'failing']);

const nodeSchema = z
  .object({
    version: z.string(),
    startedAt: z.string(),
    uptimeSeconds: z.number(),
    backend: z.enum(['js', 'native']),
    status,
    checks: z.array(z.object({ name: z.string(), status, reason: z.string().optional() })),
    streams: z.number(),
    oneWayAudioNow: z.number().describe('Calls of which one side has no signal while the other one speaks.'),
    shards: z.array(
      z.object({
        name: z.string(),
        utilisation: z.number().describe('Share of a core, 0 to 1, in the last second.'),
        heartbeatAgeMs: z.number(),
        restarts: z.number(),
        streams: z.number(),
        rings: z.array(z.object({ name: z.string(), fill: z.number().describe('0 to 1.'), refused: z.number() })),
      }),
    ),
    sources: z.array(z.looseObject({ name: z.string(), kind: z.string() })),
    logLevel: z.string().nullable().describe('Null when it cannot be read.'),
    warnings: z
      .array(
        z.object({
          at: z.string(),
          level: z.enum(['warn', 'error']),
          message: z.string(),
          code: z.string().optional(),
          reason: z.string().optional(),
          interactionId: z.string().optional(),
        }),
      )
      .describe('The newest that were logged, at most 200, the oldest first.'),
  })
  .meta({ id: 'Node' });

const anythingSchema = z.looseObject({});
const drainSchema = z.object({ deadlineSeconds: z.number().min(0).max(86_400).optional() }).nullish();
const levelSchema = z.object({ level: z.enum(LOG_LEVELS) });

/** The node as a whole: what it is, how it does, and what operators may do with it. */
export function registerNodeRoutes(app: ControlApp, dependencies: ControlDependencies): void {
  registerReading(app, dependencies);
  registerActing(app, dependencies);
}

function registerReading(app: ControlApp, dependencies: ControlDependencies): void {
  const { node, settings, clock, logger, metrics, interactions } = dependencies;
  const startedAtMs = clock.wallMs();
  app.get(
    '/api/v1/node',
    {
      config: { role: 'viewer' },
      schema: { summary: 'What the node is and how it does.', tags: ['node'], response: { 200: nodeSchema } },
    },
    async () => {
      const { status: worst, checks } = node.health();
      return {
        version: packageVersion(),
        startedAt: isoTime(startedAtMs),
        uptimeSeconds: Math.round(clock.wallMs() - startedAtMs) / MS_PER_SECOND,
        // Not by stats(), which reads every stream: the console asks once a second.
        backend: nodeParts(node).engine.backend,
        status: worst,
        checks: checks.map(({ affects: _, ...check }) => check),
        streams: interactions.size,
        oneWayAudioNow: interactions.oneWayAudioNow,
        shards: metrics.shards().map((shard) => ({ ...shard, rings: [...shard.rings] })),
        sources: node.sources.map(sourceRow),
        logLevel: settings.logLevel?.get() ?? null,
        warnings: logger.recent().map(({ atMs, ...warning }) => ({ at: isoTime(atMs), ...warning })),
      };
    },
  );
  app.get(
    '/api/v1/node/stats',
    {
      config: { role: 'viewer' },
      schema: { summary: 'Everything that is counted.', tags: ['node'], response: { 200: anythingSchema } },
    },
    async () => {
      const stats = node.stats();
      const sources = Object.entries(stats.sources).map(([name, one]) => [name, bounded(one)] as const);
      return { ...stats, sources: Object.fromEntries(sources) };
    },
  );
  app.get(
    '/api/v1/node/config',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'The effective settings, secrets masked.',
        tags: ['node'],
        response: { 200: anythingSchema },
      },
    },
    async () => ({ ...settings.config?.() }),
  );
}

function registerActing(app: ControlApp, { node, settings, audit, report }: ControlDependencies): void {
  app.post(
    '/api/v1/node/drain',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Takes no new calls, and gives those that run time to end.',
        tags: ['node'],
        body: drainSchema,
        response: { 202: z.object({ draining: z.literal(true) }) },
      },
    },
    async ({ body, caller }, reply) => {
      const seconds = body?.deadlineSeconds;
      audit(caller, 'control_drained', seconds === undefined ? {} : { durationMs: seconds * MS_PER_SECOND });
      node.drain(seconds === undefined ? undefined : seconds * MS_PER_SECOND).catch(report);
      return reply.code(202).send({ draining: true });
    },
  );
  app.put(
    '/api/v1/node/log-level',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Changes the log level until the process ends.',
        tags: ['node'],
        body: levelSchema,
        response: { 200: levelSchema },
      },
    },
    async ({ body, caller }) => {
      const { logLevel } = settings;
      if (logLevel === undefined) throw notSupported('The log level of this node cannot be changed at run time.');
      logLevel.set(body.level);
      audit(caller, 'control_log_level', { detail: body.level });
      return { level: body.level };
    },
  );
  app.post(
    '/api/v1/node/reload',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Reads keys, tokens and certificates again, and opens the audit again, as SIGHUP does.',
        tags: ['node'],
        response: { 200: z.object({ reloaded: z.literal(true) }) },
      },
    },
    ({ caller }) =>
      answering(async () => {
        audit(caller, 'control_reloaded');
        const failures = await (settings.reload?.() ?? node.reopen());
        if (failures.length > 0) throw new ControlError(500, 'reloadFailed', failures.map(messageOf).join('; '));
        return { reloaded: true as const };
      }),
  );
}

function sourceRow(source: Source) {
  return { ...bounded(source.status()), name: source.name, kind: source.kind ?? source.name };
}

/** Thousands of sessions are no part of a status: they are interactions. */
function bounded(state: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(state).map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, MAX_ELEMENTS) : value]),
  );
}

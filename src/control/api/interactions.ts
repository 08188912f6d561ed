import { z } from 'zod';
import { LIMITS } from '../../core/limits.js';
import { nodeParts } from '../../node/parts/node-parts.js';
import type { Source } from '../../sources/source.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { InteractionList, type InteractionQuery, SORT_KEYS, type SortKey } from '../live/interaction-list.js';
import { attributeChangeSchema, attributesSchema } from './attributes-schema.js';
import { answering, notFound, notSupported } from './failures.js';
import {
  INTERACTION_STATES,
  type InteractionState,
  interactionDetailSchema,
  interactionSchema,
} from './interaction-schema.js';

const MAX_ADDED = 1_000;

const id = z.string().min(1).max(LIMITS.maxNameBytes);
const paramsSchema = z.object({ id: z.string() });

const querySchema = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(2_048).optional().describe('`nextCursor` of the page before, with the same sort.'),
  offset: z.coerce
    .number()
    .int()
    .min(0)
    .max(LIMITS.maxStreams * 2)
    .default(0)
    .describe('How many to leave out first, for a view that is scrolled; a cursor is exact when the list changes.'),
  sort: z
    .string()
    .regex(new RegExp(`^-?(?:${SORT_KEYS.join('|')})$`), `must be one of ${SORT_KEYS.join(', ')}, with - descending`)
    .default('-startedAt'),
  state: z
    .string()
    .regex(new RegExp(`^(?:${INTERACTION_STATES.join('|')})(?:,(?:${INTERACTION_STATES.join('|')}))*$`))
    .optional()
    .describe(`One or several of ${INTERACTION_STATES.join(', ')}, separated by commas.`),
  source: z.string().max(128).optional(),
  codec: z.string().max(16).optional(),
  oneWayAudio: z
    .literal('true')
    .optional()
    .describe('Only those of which one side has no signal while the other one speaks.'),
  q: z.string().max(128).optional().describe('A part of the id, in any case.'),
});

const pageSchema = z.object({
  items: z.array(interactionSchema),
  total: z.number().describe('That match, on all pages.'),
  nextCursor: z.string().nullable(),
});

const addSchema = z.object({
  interactionIds: z.array(id).min(1).max(MAX_ADDED),
  source: z.string().max(128).optional().describe('Name of the source; needed when several take interactions.'),
});
const addedSchema = z.object({
  items: z.array(z.object({ interactionId: z.string(), availability: z.string() })),
});

const doneSchema = z.object({ id: z.string(), paused: z.boolean() });
const endingSchema = z.object({ id: z.string() });

/** What is captured: lists, details, pause, end; and what is to be captured. */
export function registerInteractionRoutes(app: ControlApp, dependencies: ControlDependencies): void {
  const { node, interactions, clock } = dependencies;
  const { engine } = nodeParts(node);
  const list = new InteractionList(interactions, clock, {
    sources: node.sources,
    streamCounts: (interactionId) => node.streamCounts(interactionId),
    reception: (interactionId) => engine.reception(engine.find(interactionId)?.stream ?? -1),
  });
  registerReading(app, list);
  registerPauses(app, dependencies);
  registerAttributes(app, dependencies);
  registerEnd(app, dependencies, list);
  registerSubscription(app, dependencies, list);
}

function registerReading(app: ControlApp, list: InteractionList): void {
  app.get(
    '/api/v1/interactions',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'Interactions that are captured, are to be, or ended in the last ten minutes.',
        tags: ['interactions'],
        querystring: querySchema,
        response: { 200: pageSchema },
      },
    },
    ({ query }) => answering(() => list.list(queryOf(query))),
  );
  app.get(
    '/api/v1/interactions/:id',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'One interaction, with its spans and the reception of each channel.',
        tags: ['interactions'],
        params: paramsSchema,
        response: { 200: interactionDetailSchema },
      },
    },
    async ({ params }) => {
      const found = list.get(params.id);
      if (found === undefined) throw notFound('interaction');
      return found;
    },
  );
}

function queryOf({ sort, state, q: text, oneWayAudio, ...query }: z.infer<typeof querySchema>): InteractionQuery {
  const states = state?.split(',') as InteractionState[] | undefined;
  const descending = sort.startsWith('-');
  return {
    ...query,
    oneWayAudio: oneWayAudio === 'true',
    sort: (descending ? sort.slice(1) : sort) as SortKey,
    descending,
    states,
    text,
  };
}

function registerPauses(app: ControlApp, { node, audit }: ControlDependencies): void {
  for (const paused of [true, false]) {
    app.post(
      `/api/v1/interactions/:id/${paused ? 'pause' : 'resume'}`,
      {
        config: { role: 'operator' },
        schema: {
          summary: paused ? 'Withholds the audio of an interaction until resume.' : 'Undoes pause.',
          tags: ['interactions'],
          params: paramsSchema,
          response: { 200: doneSchema },
        },
      },
      ({ params, caller }) =>
        answering(() => {
          if (paused) node.pause(params.id);
          else node.resume(params.id);
          audit(caller, paused ? 'control_paused' : 'control_resumed', {}, params.id);
          return { id: params.id, paused };
        }),
    );
  }
}

function registerAttributes(app: ControlApp, { node, audit }: ControlDependencies): void {
  app.patch(
    '/api/v1/interactions/:id/attributes',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Changes attributes of an interaction that is captured: null removes one, what is absent stays.',
        tags: ['interactions'],
        params: paramsSchema,
        body: attributeChangeSchema,
        response: { 200: z.object({ id: z.string(), attributes: attributesSchema }) },
      },
    },
    ({ params, body, caller }) =>
      answering(() => {
        const attributes = node.setAttributes(params.id, body);
        // Which ones, not their values: an audit is read by others than recordings are.
        audit(caller, 'control_attributes', { detail: Object.keys(body).sort().join(', ') }, params.id);
        return { id: params.id, attributes };
      }),
  );
}

function registerEnd(app: ControlApp, { node, audit }: ControlDependencies, list: InteractionList): void {
  app.post(
    '/api/v1/interactions/:id/end',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Ends the capture of an interaction in the way of its protocol; the call itself goes on.',
        tags: ['interactions'],
        params: paramsSchema,
        response: { 202: endingSchema },
      },
    },
    ({ params, caller }, reply) =>
      answering(() => {
        const source = sourceOf(node.sources, list, params.id);
        if (source !== undefined && source.end === undefined) {
          throw notSupported(`The source ${source.name} cannot end an interaction.`);
        }
        node.end(params.id);
        audit(caller, 'control_ended', {}, params.id);
        reply.code(202);
        return { id: params.id };
      }),
  );
}

function registerSubscription(app: ControlApp, { node, audit }: ControlDependencies, list: InteractionList): void {
  app.post(
    '/api/v1/interactions',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Adds interactions to what a subscription captures.',
        tags: ['interactions'],
        body: addSchema,
        response: { 200: addedSchema },
      },
    },
    ({ body, caller }) =>
      answering(async () => {
        const ids = [...new Set(body.interactionIds)];
        const items = await subscribe(node.sources, ids, body.source);
        for (const interactionId of ids) audit(caller, 'control_added', {}, interactionId);
        return { items: [...items] };
      }),
  );
  app.delete(
    '/api/v1/interactions/:id',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Removes an interaction from what a subscription captures; its stream ends.',
        tags: ['interactions'],
        params: paramsSchema,
        response: { 202: endingSchema },
      },
    },
    ({ params, caller }, reply) =>
      answering(() => {
        const source = sourceOf(node.sources, list, params.id);
        if (source !== undefined && source.subscribe === undefined) {
          throw notSupported(`The calls of the source ${source.name} come by themselves; end this one instead.`);
        }
        const subscriptions = node.sources.filter((one) => one.subscribe !== undefined);
        if (!subscriptions.map((one) => one.end?.(params.id) ?? false).includes(true)) throw notFound('interaction');
        audit(caller, 'control_removed', {}, params.id);
        reply.code(202);
        return { id: params.id };
      }),
  );
}

/** The source that an interaction comes by, as far as that is known. */
function sourceOf(sources: readonly Source[], list: InteractionList, interactionId: string): Source | undefined {
  const name = list.sourceOf(interactionId);
  return sources.find((source) => source.name === name);
}

async function subscribe(sources: readonly Source[], ids: readonly string[], name: string | undefined) {
  const able = sources.filter((source) => source.subscribe !== undefined);
  const named = name === undefined ? able : able.filter((source) => source.name === name);
  const [source, other] = named;
  if (source?.subscribe === undefined) {
    throw notSupported(
      name === undefined
        ? 'No source of this node takes interactions: their calls come by themselves.'
        : `There is no source ${name} that takes interactions.`,
    );
  }
  if (other !== undefined) {
    throw notSupported(`Name one of the sources that take interactions: ${able.map((one) => one.name).join(', ')}.`);
  }
  return await source.subscribe(ids);
}

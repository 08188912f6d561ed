import { z } from 'zod';
import { changeHold, type HoldChange, readHolds } from '../../archive/retention/legal-holds.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { answering } from './failures.js';

const targetSchema = z.object({
  kind: z.enum(['interaction', 'tag']),
  value: z.string().min(1).max(256).describe('The id of the interaction, or the tag; in any case.'),
});
const holdSchema = targetSchema
  .extend({
    since: z.string(),
    by: z.string().describe('Name of the token, or the user of the machine, that has placed it.'),
    reason: z.string().optional(),
  })
  .meta({ id: 'LegalHold' });
const changedSchema = z.object({ changed: z.boolean().describe('False when that was so already.') });

/** Legal holds: what is under one is not deleted by the retention of the node. Each change becomes an entry of the audit. */
export function registerHoldRoutes(app: ControlApp, { settings, clock }: ControlDependencies): void {
  const directory = (): string => {
    if (settings.recordings !== undefined) return settings.recordings;
    throw new ControlError(404, 'noRecordings', 'This node records nothing.');
  };
  const change = (action: HoldChange['action'], target: z.infer<typeof targetSchema>, by: string, reason?: string) => {
    const since = new Date(clock.wallMs()).toISOString();
    const changed = changeHold(directory(), {
      action,
      ...target,
      since,
      by,
      ...(reason === undefined ? {} : { reason }),
    });
    return { changed };
  };
  app.get(
    '/api/v1/holds',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'The legal holds that are in force.',
        tags: ['recordings'],
        response: { 200: z.object({ items: z.array(holdSchema) }) },
      },
    },
    () => answering(() => ({ items: [...readHolds(directory()).holds] })),
  );
  app.post(
    '/api/v1/holds',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Places a legal hold on an interaction or a tag: no recording under it is deleted.',
        tags: ['recordings'],
        body: targetSchema.extend({ reason: z.string().max(256).optional() }),
        response: { 200: changedSchema },
      },
    },
    ({ body: { reason, ...target }, caller }) =>
      answering(() => change('add', target, caller.principal?.name ?? 'unknown', reason)),
  );
  app.post(
    '/api/v1/holds/remove',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Ends a legal hold.',
        tags: ['recordings'],
        body: targetSchema.extend({ reason: z.string().max(256).optional() }),
        response: { 200: changedSchema },
      },
    },
    ({ body: { reason, ...target }, caller }) =>
      answering(() => change('remove', target, caller.principal?.name ?? 'unknown', reason)),
  );
}

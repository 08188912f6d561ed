import { z } from 'zod';
import { checkChange } from '../../core/attributes/attribute-change.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { isChanging } from '../recordings/recording.js';
import type { Recordings } from '../recordings/recordings.js';
import { attributeChangeSchema, attributesSchema } from './attributes-schema.js';
import { answering, notFound } from './failures.js';

/** Attributes of a finished recording. */
export function registerRecordingAttributes(
  app: ControlApp,
  { node, audit }: ControlDependencies,
  use: () => Recordings,
): void {
  app.patch(
    '/api/v1/recordings/:id/attributes',
    {
      config: { role: 'operator' },
      schema: {
        summary: 'Changes attributes of a finished recording: null removes one, what is absent stays.',
        tags: ['recordings'],
        params: z.object({ id: z.string() }),
        body: attributeChangeSchema,
        response: { 200: z.object({ id: z.string(), attributes: attributesSchema }) },
      },
    },
    ({ params: { id }, body, caller }) =>
      answering(async () => {
        checkChange(body);
        const row = await use().get(id);
        if (row === undefined) throw notFound('recording');
        if (isChanging(row)) {
          const instead = `/api/v1/interactions/${encodeURIComponent(row.interactionId)}/attributes`;
          throw new ControlError(
            409,
            'notFinished',
            `The recording is not finished; use ${instead} while it is captured.`,
          );
        }
        const changed = await use().changeAttributes(id, body, node.stats().archive !== undefined);
        if (changed === undefined) throw notFound('recording');
        const { interactionId, attributes, isChanged } = changed;
        // Which ones, not their values: an audit is read by others than recordings are.
        audit(caller, 'control_attributes', { detail: Object.keys(body).sort().join(', ') }, interactionId);
        if (isChanged) node.emit('recordingAttributesChanged', { interactionId, folder: id, attributes });
        return { id, attributes };
      }),
  );
}

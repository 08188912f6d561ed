import { z } from 'zod';
import { CALL_DIRECTIONS, MAX_ATTRIBUTE_LENGTH, MAX_TAG_LENGTH, MAX_TAGS } from '../../core/attributes/attributes.js';

const text = z.string().min(1).max(MAX_ATTRIBUTE_LENGTH);
const tags = z.array(z.string().min(1).max(MAX_TAG_LENGTH)).max(MAX_TAGS);

/** What is known of a call; absent members are not known. */
export const attributesSchema = z.object({
  queue: z.string().exactOptional().describe('Name of the queue; its id where no name is known.'),
  user: z.string().exactOptional().describe('Id of the agent.'),
  direction: z.enum(CALL_DIRECTIONS).exactOptional(),
  division: z.string().exactOptional().describe('Name of the division; its id where no name is known.'),
  tags: z.array(z.string()).readonly().exactOptional(),
  identities: z
    .object({ ani: z.string().exactOptional(), dnis: z.string().exactOptional(), name: z.string().exactOptional() })
    .exactOptional()
    .describe('Telephone numbers and names; only of a node that was told to keep them.'),
});

/** A change of them. */
export const attributeChangeSchema = z.strictObject({
  queue: text.nullable().exactOptional(),
  user: text.nullable().exactOptional(),
  direction: z.enum(CALL_DIRECTIONS).nullable().exactOptional(),
  division: text.nullable().exactOptional(),
  tags: tags.nullable().exactOptional().describe('All tags from now on, but for those of rules.'),
});

import { z } from 'zod';
import { TrunklineError } from '../../../core/errors.js';
import { bodyOf } from '../rest/conversations.js';
import { getResource } from '../rest/platform.js';
import type { Rest } from '../rest/rest.js';

// Of the request budget, this takes one for 25 queues or users, and none for those beyond the first 500.
const IDS_PER_REQUEST = 25;
const MAX_IDS = 500;

const page = z.object({
  entities: z.array(z.object({ id: z.string(), name: z.string().optional().catch(undefined) })),
});

/** Queues or users that calls are to be captured from. */
export interface Targets {
  readonly kind: 'queue' | 'user';
  readonly ids: readonly string[];
}

/**
 * The platform accepts topics of queues and users that do not exist, and never sends anything for them: a misspelled id
 * would stay unnoticed. Returns what is wrong with each, as a sentence. Where the OAuth client may not look at queues or
 * users, nothing is known and nothing is returned. `named` takes the names of those that there are.
 */
export async function findUnknownTargets(
  rest: Rest,
  { kind, ids }: Targets,
  named: (id: string, name: string) => void = () => {},
): Promise<TrunklineError[]> {
  const path = kind === 'queue' ? '/api/v2/routing/queues' : '/api/v2/users';
  const unknown: TrunklineError[] = [];
  for (let from = 0; from < Math.min(ids.length, MAX_IDS); from += IDS_PER_REQUEST) {
    const asked = ids.slice(from, from + IDS_PER_REQUEST);
    const query = { id: asked.join(','), pageSize: IDS_PER_REQUEST };
    const answer = await rest.request((platform) => getResource(platform, path, query)).catch(() => undefined);
    const read = page.safeParse(bodyOf(answer));
    if (!read.success) return unknown;
    const known = new Set(read.data.entities.map(({ id }) => id.toLowerCase()));
    for (const { id, name } of read.data.entities) if (name !== undefined) named(id, name);
    for (const id of asked) {
      if (known.has(id.toLowerCase())) continue;
      const sentence = `There is no ${kind} with the id ${id}: none of its calls will be captured. Check its spelling.`;
      unknown.push(new TrunklineError('CONFIG_INVALID', sentence));
    }
  }
  return unknown;
}

import type { z } from 'zod';
import { TrunklineError } from '../core/errors.js';
import { nearestOf } from './nearest.js';

/**
 * Options of a factory such as `recorder()`, checked, with every default. An option that is undefined counts as absent.
 *
 * @param where The factory, for the message.
 * @throws TrunklineError CONFIG_INVALID; its message has one sentence for each option that is wrong or unknown.
 */
export function parseOptions<Schema extends z.ZodObject>(
  where: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(withoutUndefined(options));
  if (parsed.success) return parsed.data;
  const sentences = parsed.error.issues.flatMap((issue) => {
    const place = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownOption(where, place === '' ? key : `${place}.${key}`, key, schema));
    }
    return place === ''
      ? `${where} takes an object of options.`
      : `The option "${place}" of ${where}: ${issue.message}.`;
  });
  throw new TrunklineError('CONFIG_INVALID', [...new Set(sentences)].join(' '));
}

function unknownOption(where: string, name: string, key: string, schema: z.ZodObject): string {
  const nearest = nearestOf(key, Object.keys(schema.shape));
  return `${where} has no option "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`;
}

function withoutUndefined(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return options;
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

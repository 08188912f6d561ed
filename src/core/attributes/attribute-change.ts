import { TrunklineError } from '../errors.js';
import { type AttributeChange, MAX_ATTRIBUTE_LENGTH, MAX_TAG_LENGTH, MAX_TAGS, readAttributes } from './attributes.js';

/** @throws TrunklineError CONFIG_INVALID for values that cannot be right. */
export function checkChange(change: AttributeChange): void {
  const { tags, ...others } = change;
  const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null && value !== undefined));
  const read = readAttributes({ ...given, tags: tags ?? [] });
  const isRead = Object.entries(given).every(([name, value]) => Reflect.get(read, name) === value);
  const hasTags = JSON.stringify(read.tags ?? []) === JSON.stringify([...new Set(tags ?? [])]);
  if (isRead && hasTags && read.identities === undefined) return;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `Attributes are queue, user and division (1 to ${MAX_ATTRIBUTE_LENGTH} characters), direction (inbound or outbound) ` +
      `and tags (at most ${MAX_TAGS}, of 1 to ${MAX_TAG_LENGTH}), without control characters or blanks at their ends.`,
  );
}

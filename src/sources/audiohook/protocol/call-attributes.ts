import { type CallAttributes, joinedTags, readAttributes } from '../../../core/attributes/attributes.js';

/** What `open` brings beside the call itself. */
interface OpenDescription {
  /** Of the integration's configuration: an object, or a text with one. */
  readonly customConfig?: unknown;
  /** Of the flow that the call went through. */
  readonly inputVariables?: unknown;
  readonly participant: { readonly ani?: unknown; readonly aniName?: unknown; readonly dnis?: unknown };
}

/** Queue, user, direction, division and tags of a connection's URL, such as `?queue=Sales&tag=vip&tag=beta`. */
export function queryAttributes(target: string): CallAttributes {
  const question = target.indexOf('?');
  if (question < 0) return {};
  const query = new URLSearchParams(target.slice(question + 1));
  const tags = [...query.getAll('tag'), ...query.getAll('tags')].flatMap((text) => text.split(','));
  // The last one of a name counts; telephone numbers and names are not read from an address.
  const { identities: _, ...texts } = Object.fromEntries(query);
  return readAttributes({ ...texts, tags });
}

/**
 * Attributes by their names in `customConfig`, and over them those in `inputVariables`; tags of both. The identities are
 * those of the external participant, which the node leaves out unless it was told to keep them.
 */
export function openAttributes({ customConfig, inputVariables, participant }: OpenDescription): CallAttributes {
  const { ani, aniName: name, dnis } = participant;
  const { identities } = readAttributes({ identities: { ani, dnis, name } });
  return {
    ...mergedAttributes(described(customConfig), described(inputVariables)),
    ...(identities && { identities }),
  };
}

/** What `above` says over what `below` says; tags of both. */
export function mergedAttributes(below: CallAttributes, above: CallAttributes): CallAttributes {
  const tags = joinedTags(below.tags ?? [], above.tags ?? []);
  return { ...below, ...above, ...(tags.length > 0 && { tags }) };
}

function described(value: unknown): CallAttributes {
  const { identities: _, ...attributes } = readAttributes(typeof value === 'string' ? parsed(value) : value);
  return attributes;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

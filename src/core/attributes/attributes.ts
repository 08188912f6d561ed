/** What people look for a call by. Supplied by its source, by rules and by the API; it may change while the call runs. */
export interface CallAttributes {
  /** Name of the queue; its id where no name is known. */
  readonly queue?: string;
  /** Id of the agent. */
  readonly user?: string;
  readonly direction?: CallDirection;
  /** Name of the division; its id where no name is known. */
  readonly division?: string;
  /** At most 16, of 64 characters each. */
  readonly tags?: readonly string[];
  /** Telephone numbers and names; absent unless the node was told to keep them. */
  readonly identities?: CallIdentities;
}

export const CALL_DIRECTIONS = ['inbound', 'outbound'] as const;
/** As the caller sees it: `inbound` is a call to the contact centre. */
export type CallDirection = (typeof CALL_DIRECTIONS)[number];

/** Telephone numbers and names of the people in a call. */
export interface CallIdentities {
  /** The number that calls (automatic number identification). */
  readonly ani?: string;
  /** The number that was called (dialled number identification service). */
  readonly dnis?: string;
  /** Name of the external participant. */
  readonly name?: string;
}

/** A change of attributes: `null` removes one, and what is absent stays. */
export interface AttributeChange {
  readonly queue?: string | null;
  readonly user?: string | null;
  readonly direction?: CallDirection | null;
  readonly division?: string | null;
  /** All tags that the call has from now on, but for those of rules. */
  readonly tags?: readonly string[] | null;
}

export const TEXT_ATTRIBUTES = ['queue', 'user', 'division'] as const;
export const MAX_ATTRIBUTE_LENGTH = 128;
export const MAX_TAG_LENGTH = 64;
export const MAX_TAGS = 16;
/** Of their JSON in UTF-8; tags beyond it are left out. What the recorder keeps of a stream is limited in size. */
export const MAX_ATTRIBUTES_BYTES = 3_072;
const IDENTITIES = ['ani', 'dnis', 'name'] as const;

/**
 * What a source says of a call, read with tolerance: a field that is no text, or too long, is left out, since nothing that
 * a peer sends may cost the call. Tags may be a list, or a text with commas.
 */
export function readAttributes(value: unknown): CallAttributes {
  if (!isRecord(value)) return {};
  const direction = CALL_DIRECTIONS.find((one) => one === textOf(value['direction'])?.toLowerCase());
  const tags = tagsOf(value['tags'] ?? value['tag']);
  const identities = textsOf(value['identities'], IDENTITIES);
  return {
    ...textsOf(value, TEXT_ATTRIBUTES),
    ...(direction && { direction }),
    ...(tags.length > 0 && { tags }),
    ...(Object.keys(identities).length > 0 && { identities }),
  };
}

/** `change` over `attributes`. */
export function changedAttributes(attributes: CallAttributes, change: AttributeChange): CallAttributes {
  const merged = { ...attributes, ...change };
  const kept = Object.entries(merged).filter(
    ([name, value]) => isPresent(value) && !(name === 'tags' && isEmpty(value)),
  );
  return Object.fromEntries(kept) as CallAttributes;
}

/** The same without telephone numbers and names. */
export function withoutIdentities({ identities: _, ...attributes }: CallAttributes): CallAttributes {
  return attributes;
}

export function sameAttributes(a: CallAttributes, b: CallAttributes): boolean {
  return canonical(a) === canonical(b);
}

/** The same within MAX_ATTRIBUTES_BYTES. */
export function boundedAttributes(attributes: CallAttributes): CallAttributes {
  let { tags = [] } = attributes;
  let bounded = attributes;
  while (Buffer.byteLength(JSON.stringify(bounded)) > MAX_ATTRIBUTES_BYTES && tags.length > 0) {
    tags = tags.slice(0, -1);
    bounded = changedAttributes(attributes, { tags });
  }
  return bounded;
}

/** The tags of both, each once, as many as a call may have. */
export function joinedTags(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])].slice(0, MAX_TAGS);
}

export function isEmptyAttributes(attributes: CallAttributes): boolean {
  return Object.keys(attributes).length === 0;
}

function canonical({ queue, user, direction, division, tags, identities }: CallAttributes): string {
  const { ani, dnis, name } = identities ?? {};
  return JSON.stringify([queue, user, direction, division, tags ?? [], ani, dnis, name]);
}

function textsOf<Name extends string>(value: unknown, names: readonly Name[]): { [N in Name]?: string } {
  if (!isRecord(value)) return {};
  const found = names.map((name) => [name, textOf(value[name])] as const);
  return Object.fromEntries(found.filter(([, text]) => text !== undefined)) as { [N in Name]?: string };
}

function tagsOf(value: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  const tags = list.slice(0, 4 * MAX_TAGS).map((one) => textOf(one, MAX_TAG_LENGTH));
  return [...new Set(tags.filter((tag) => tag !== undefined))].slice(0, MAX_TAGS);
}

/** Trimmed; undefined for what is no text, is empty, or is longer than `most` characters. */
function textOf(value: unknown, most = MAX_ATTRIBUTE_LENGTH): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = printable(value).trim();
  return text === '' || text.length > most ? undefined : text;
}

/** Control characters, and halves of surrogate pairs, become blanks: they would spoil logs and files. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPresent(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

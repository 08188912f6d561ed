import { TrunklineError } from '../errors.js';
import {
  CALL_DIRECTIONS,
  type CallAttributes,
  joinedTags,
  MAX_ATTRIBUTE_LENGTH,
  MAX_TAG_LENGTH,
  readAttributes,
} from './attributes.js';

/** What a condition or a rule may name. */
const NAMES = ['queue', 'user', 'direction', 'division', 'tag'] as const;

/** One comparison: `queue=Sales`, `queue=Sales*` for a beginning, `queue=` for a call without one. In any case. */
export interface AttributeComparison {
  readonly name: 'queue' | 'user' | 'direction' | 'division' | 'tag';
  readonly value: string;
}

/** All of its comparisons have to hold; without any it holds for each call. */
export type AttributeCondition = readonly AttributeComparison[];

/** Sets attributes of the calls that meet a condition. */
export interface AttributeRule {
  readonly when: AttributeCondition;
  readonly set: CallAttributes;
}

/**
 * Reads `queue=Sales&direction=inbound`; `*` alone holds for each call.
 * @throws TrunklineError CONFIG_INVALID
 */
export function parseCondition(text: string): AttributeCondition {
  if (text.trim() === '*') return [];
  return pairsOf(text);
}

/**
 * Reads `queue=Sales&direction=inbound:tag=sales&division=West`: of the calls that the part before the colon holds for,
 * the attributes behind it are set, and its tags added.
 * @throws TrunklineError CONFIG_INVALID
 */
export function parseAttributeRule(text: string): AttributeRule {
  const colon = text.indexOf(':');
  if (colon < 0)
    throw invalid(`An attribute rule is "condition:attributes", such as queue=Sales:tag=sales; not ${text}`);
  const pairs = pairsOf(text.slice(colon + 1));
  const tags = pairs.filter(({ name }) => name === 'tag').map(({ value }) => value);
  const others = pairs.filter(({ name }) => name !== 'tag');
  const set = { ...Object.fromEntries(others.map(({ name, value }) => [name, value])), tags };
  const read = readAttributes(set);
  const isWhole =
    others.every(({ name, value }) => Reflect.get(read, name) === value) && (read.tags ?? []).length === tags.length;
  if (!isWhole) {
    throw invalid(
      `An attribute rule sets texts of 1 to ${MAX_ATTRIBUTE_LENGTH} characters, tags of 1 to ${MAX_TAG_LENGTH}, and a ` +
        `direction that is ${CALL_DIRECTIONS.join(' or ')}; not ${text}`,
    );
  }
  return { when: parseCondition(text.slice(0, colon)), set: read };
}

/** What is wanted of a call's attributes, by their names; `*` at the end of a value stands for the rest. */
export function conditionOf(
  wanted: { readonly [Name in (typeof NAMES)[number]]?: string | undefined },
): AttributeCondition {
  return NAMES.flatMap((name) => {
    const { [name]: value } = wanted;
    return value === undefined ? [] : [{ name, value }];
  });
}

export function meets(attributes: CallAttributes, condition: AttributeCondition): boolean {
  return condition.every((one) => holds(attributes, one));
}

/** The attributes after each rule in turn: later ones see what earlier ones have set. */
export function withRules(attributes: CallAttributes, rules: readonly AttributeRule[]): CallAttributes {
  let now = attributes;
  for (const { when, set } of rules) {
    if (!meets(now, when)) continue;
    const tags = joinedTags(now.tags ?? [], set.tags ?? []);
    now = { ...now, ...set, ...(tags.length > 0 && { tags }) };
  }
  return now;
}

function holds(attributes: CallAttributes, { name, value }: AttributeComparison): boolean {
  const found = name === 'tag' ? (attributes.tags ?? []) : [attributes[name] ?? []].flat();
  if (value === '') return found.length === 0;
  const wanted = value.toLowerCase();
  return found.some((one) => {
    const text = one.toLowerCase();
    return wanted.endsWith('*') ? text.startsWith(wanted.slice(0, -1)) : text === wanted;
  });
}

function pairsOf(text: string): AttributeComparison[] {
  return text.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    const written = pair.slice(0, Math.max(0, equals)).trim();
    const name = NAMES.find((one) => one === written || (one === 'tag' && written === 'tags'));
    if (name === undefined)
      throw invalid(`It names one of ${NAMES.join(', ')} with =, such as queue=Sales; not ${pair}`);
    return { name, value: pair.slice(equals + 1).trim() };
  });
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', `${message.slice(0, 300)}.`);
}

import { type AttributeCondition, meets, parseCondition } from '../attributes/attribute-rule.js';
import type { CallAttributes } from '../attributes/attributes.js';
import { TrunklineError } from '../errors.js';

const DAY_MS = 86_400_000;
const MAX_DAYS = 36_525;
const FOREVER = 'forever';

/** How long recordings of the calls that meet a condition are kept. */
export interface RetentionRule {
  readonly when: AttributeCondition;
  /** Undefined for ever. */
  readonly days: number | undefined;
  /** As it was written. */
  readonly text: string;
}

/** Which recordings are kept how long. The first rule that matches a call decides, and without one `keepDays`. */
export interface RetentionPolicy {
  /** Undefined for ever. */
  readonly keepDays: number | undefined;
  readonly rules: readonly RetentionRule[];
}

/** What the settings say; plain values, so that a thread can be given them. */
export interface RetentionSettings {
  /** Absent for ever. */
  readonly keepDays?: number | undefined;
  /** As they are written, such as `queue=Sales:days=30`. */
  readonly rules: readonly string[];
}

/** What is known of a recording for the decision. */
export interface RetainedRecording {
  readonly interactionId: string;
  readonly attributes: CallAttributes;
  /** Wall clock, milliseconds since 1970; undefined when it cannot be read. */
  readonly endedAtMs: number | undefined;
  readonly isUnfinished: boolean;
  /** A digest or an upload of it is still to come. */
  readonly isPending: boolean;
}

/** Under a legal hold: the interaction itself, or one of its tags. */
export interface HeldBy {
  readonly kind: 'interaction' | 'tag';
  readonly value: string;
}

/** What becomes of a recording, and why: a sentence. */
export interface RetentionDecision {
  readonly isDue: boolean;
  readonly why: string;
}

/**
 * Reads `queue=Sales&direction=inbound:days=30`, or `tag=claim:days=forever`.
 * @throws TrunklineError CONFIG_INVALID
 */
export function parseRetentionRule(text: string): RetentionRule {
  const [, condition = '', written = ''] = /^([^:]*):days=(\d+|forever)$/.exec(text.trim()) ?? [];
  const days = written === FOREVER ? undefined : Number(written);
  if (written === '' || (days !== undefined && (days < 1 || days > MAX_DAYS))) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `A retention rule is "condition:days=n", such as queue=Sales:days=30, with 1 to ${MAX_DAYS} days or forever; not ${text.slice(0, 200)}.`,
    );
  }
  return { when: parseCondition(condition), days, text: text.trim() };
}

/** Whether a text can be one. */
export function isRetentionRule(text: string): boolean {
  try {
    return parseRetentionRule(text).text !== '';
  } catch {
    return false;
  }
}

/** @throws TrunklineError CONFIG_INVALID */
export function policyOf({ keepDays, rules }: RetentionSettings): RetentionPolicy {
  return { keepDays, rules: rules.map(parseRetentionRule) };
}

/** Whether the policy can ever delete anything. */
export function deletesAnything({ keepDays, rules }: RetentionPolicy): boolean {
  return keepDays !== undefined || rules.some(({ days }) => days !== undefined);
}

/**
 * In doubt a recording is kept: when its end cannot be read or lies ahead of the clock, when it is not finished, when
 * something is still to be done with it, and of course within its period and under a legal hold.
 */
export function decide(
  recording: RetainedRecording,
  policy: RetentionPolicy,
  heldBy: HeldBy | undefined,
  nowMs: number,
): RetentionDecision {
  const keep = (why: string): RetentionDecision => ({ isDue: false, why });
  if (recording.isUnfinished) return keep('not finished');
  if (heldBy !== undefined) return keep(`under legal hold by ${heldBy.kind} ${heldBy.value}`);
  const rule = policy.rules.find(({ when }) => meets(recording.attributes, when));
  const days = rule === undefined ? policy.keepDays : rule.days;
  const source = rule === undefined ? 'keepDays' : `rule ${rule.text}`;
  if (days === undefined) return keep(rule === undefined ? 'no rule matches' : `kept for ever by ${source}`);
  const { endedAtMs } = recording;
  if (endedAtMs === undefined) return keep('its end cannot be read');
  const ageMs = nowMs - endedAtMs;
  if (!(ageMs >= 0)) return keep('its end lies in the future');
  if (ageMs < days * DAY_MS) return keep(`within ${days} days (${source})`);
  if (recording.isPending) return keep('its digest or upload is still to come');
  return { isDue: true, why: `older than ${days} days (${source})` };
}

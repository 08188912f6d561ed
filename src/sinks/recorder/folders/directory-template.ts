import { createHash } from 'node:crypto';
import { TrunklineError } from '../../../core/errors.js';
import type { StreamInfo } from '../../../core/events.js';
import { folderName } from '../files/folder.js';
import { MAX_DEPTH } from './recording-folders.js';

/** What stands where a call has no such attribute. */
const UNKNOWN = 'unknown';
const MAX_NAME = 48;
const DIGEST_DIGITS = 8;

/** What a template may name. Times are of the call's start, in UTC. */
const PLACEHOLDERS: Readonly<Record<string, (info: StreamInfo) => string | undefined>> = {
  date: ({ startedAtMs }) => isoDay(startedAtMs),
  year: ({ startedAtMs }) => isoDay(startedAtMs).slice(0, 4),
  month: ({ startedAtMs }) => isoDay(startedAtMs).slice(5, 7),
  day: ({ startedAtMs }) => isoDay(startedAtMs).slice(8, 10),
  hour: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(11, 13),
  queue: ({ attributes }) => attributes?.queue,
  user: ({ attributes }) => attributes?.user,
  direction: ({ attributes }) => attributes?.direction,
  division: ({ attributes }) => attributes?.division,
  organization: ({ organizationId }) => organizationId,
};

export const DIRECTORY_PLACEHOLDERS = [...Object.keys(PLACEHOLDERS), 'interactionId'];
export const FLAT_TEMPLATE = '{interactionId}';

/**
 * Where a recording's folder lies: `{date}/{queue}/{interactionId}` gives `2026-03-01/Sales/<id>`. The template ends with
 * `{interactionId}`, which stands there alone, so that each recording has a folder of its own. What is inserted is a single
 * name without a dot, whatever the attribute is: letters, digits, `-` and `_`; where others had to be replaced, or it was
 * longer, a few digits of its SHA-256 keep different values apart.
 */
export class DirectoryTemplate {
  readonly #parents: readonly (readonly string[])[];

  /** @throws TrunklineError CONFIG_INVALID */
  constructor(template: string) {
    const names = template.split('/');
    const last = names.pop();
    if (last !== FLAT_TEMPLATE || names.length >= MAX_DEPTH) {
      throw invalid(template, `it ends with the folder {interactionId}, and has at most ${MAX_DEPTH} folders`);
    }
    for (const name of names) {
      const fixed = name.replace(/\{(\w+)\}/g, (all, key: string) => (Object.hasOwn(PLACEHOLDERS, key) ? '' : all));
      if (name === '' || !/^[A-Za-z0-9_-]*$/.test(fixed)) {
        throw invalid(template, `beside letters, digits, - and _ it may have {${DIRECTORY_PLACEHOLDERS.join('}, {')}}`);
      }
    }
    // Placeholders at odd places.
    this.#parents = names.map((name) => name.split(/\{(\w+)\}/));
  }

  /** The folders above that of the recording; empty without any. */
  parentsOf(info: StreamInfo): readonly string[] {
    return this.#parents.map((parts) => {
      const name = parts.map((part, n) => (n % 2 === 0 ? part : safeName(PLACEHOLDERS[part]?.(info)))).join('');
      return name.length <= 2 * MAX_NAME ? name : safeName(name);
    });
  }

  /** The recording's path within the output folder, without the number of a further recording. */
  pathOf(info: StreamInfo): string {
    return [...this.parentsOf(info), folderName(info.interactionId)].join('/');
  }
}

/** Whether it can be one. */
export function isDirectoryTemplate(template: string): boolean {
  try {
    return new DirectoryTemplate(template) !== undefined;
  } catch {
    return false;
  }
}

function safeName(value: string | undefined): string {
  if (value === undefined || value === '') return UNKNOWN;
  const kept = value.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, MAX_NAME);
  if (kept === value) return kept;
  return `${kept}-${createHash('sha256').update(value, 'utf8').digest('hex').slice(0, DIGEST_DIGITS)}`;
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function invalid(template: string, why: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', `${template.slice(0, 200)} is no template of folders: ${why}.`);
}

import { readFileSync } from 'node:fs';
import { TrunklineError } from '../core/errors.js';
import { nearestOf } from './nearest.js';
import { SETTINGS, type Setting, type SettingName } from './schema.js';
import { GROUPS } from './setting.js';

/** A value and where it was found, such as `"engine.shards" in node.json`. */
export interface GivenValue {
  readonly value: unknown;
  readonly where: string;
}

export interface SettingsFile {
  readonly values: ReadonlyMap<SettingName, GivenValue>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads a configuration file: one JSON object that holds an object for each group of settings. Settings at the top
 * level, as in the release before, still work, with a warning.
 *
 * @throws TrunklineError CONFIG_INVALID when it cannot be read or is not a JSON object.
 */
export function readSettingsFile(file: string): SettingsFile {
  const values = new Map<SettingName, GivenValue>();
  const topLevel = new Map<SettingName, GivenValue>();
  const problems: string[] = [];
  const moves: string[] = [];
  for (const [key, value] of Object.entries(parsedObject(file))) {
    if (key === '$schema') continue;
    if (Object.hasOwn(GROUPS, key) && isObject(value)) {
      for (const [inner, one] of Object.entries(value)) {
        const where = `"${key}.${inner}" in ${file}`;
        const setting = SETTINGS.find((candidate) => candidate.group === key && candidate.key === inner);
        if (setting === undefined) problems.push(`${where} is not a setting of trunkline.${suggestion(inner, key)}`);
        else values.set(setting.name, { value: one, where });
      }
      continue;
    }
    const setting = SETTINGS.find(({ name, former }) => name === key || former?.key === key);
    if (setting !== undefined) {
      topLevel.set(setting.name, { value, where: `"${key}" in ${file}` });
      moves.push(`"${key}" is now "${setting.key}" in "${setting.group}"`);
    } else if (Object.hasOwn(GROUPS, key)) problems.push(`"${key}" in ${file} must be an object of settings.`);
    else problems.push(`"${key}" in ${file} is not a setting of trunkline.${suggestion(key)}`);
  }
  const warnings = moves.length === 0 ? [] : [`${file} has settings at its top level: ${moves.join(', ')}.`];
  return { values: new Map([...topLevel, ...values]), problems, warnings };
}

function parsedObject(file: string): object {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = isMissing(error) ? 'there is no such file' : reasonOf(error);
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the configuration file ${file}: ${why}.`, { cause: error });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the file, which may hold secrets.
    throw new TrunklineError('CONFIG_INVALID', `The configuration file ${file} is not JSON${placeOf(error, text)}.`);
  }
  if (isObject(content)) return content;
  throw new TrunklineError('CONFIG_INVALID', `The configuration file ${file} must hold one JSON object of settings.`);
}

/** Line and column of a syntax error, which Node gives as a position. */
function placeOf(error: unknown, text: string): string {
  const position = error instanceof Error ? /position (\d+)/.exec(error.message)?.[1] : undefined;
  if (position === undefined) return '';
  const before = text.slice(0, Number(position)).split('\n');
  return ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function suggestion(name: string, group?: string): string {
  const known = group === undefined ? namesAtTopLevel() : settingsIn(group).map(({ key }) => key);
  const nearest = nearestOf(name, known);
  if (nearest !== undefined) return ` Did you mean "${nearest}"?`;
  // In the right place it would be one.
  const elsewhere = group === undefined ? undefined : SETTINGS.find((one) => one.key === name || one.name === name);
  if (elsewhere !== undefined) return ` It is "${elsewhere.key}" in "${elsewhere.group}".`;
  return group === undefined
    ? ` Groups of settings are: ${Object.keys(GROUPS).join(', ')}.`
    : ` Settings of "${group}" are: ${known.join(', ')}.`;
}

function settingsIn(group: string): Setting[] {
  return SETTINGS.filter((setting) => setting.group === group);
}

function namesAtTopLevel(): string[] {
  return [...Object.keys(GROUPS), ...SETTINGS.map(({ name }) => name)];
}

import { readFileSync } from 'node:fs';
import { parse as parseEnvFile } from 'dotenv';
import { messageOf, TrunklineError } from '../core/errors.js';
import { printableValue } from './documents.js';
import { nearestOf } from './nearest.js';
import { type Config, configSchema, SETTINGS, type Setting, type SettingName } from './schema.js';
import { type GivenValue, isMissing, readSettingsFile } from './settings-file.js';

const PREFIX = 'TRUNKLINE_';

export interface ConfigSources {
  /** Values from the command line, by setting; texts, lists of texts, or booleans. */
  readonly flags?: Readonly<Partial<Record<string, unknown>>>;
  /** The flags they were given with, by setting, where it is not the usual one. */
  readonly flagNames?: Readonly<Partial<Record<string, string>>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default `.env`; a missing one is not an error. */
  readonly envFile?: string;
  /** A JSON object with an object for each group of settings. */
  readonly configFile?: string | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where the settings that are not defaults came from, such as `--shards` or `TRUNKLINE_OUT in .env`. */
  readonly origins: ReadonlyMap<SettingName, string>;
  /** One sentence for each use of a name that the next release will not know. */
  readonly warnings: readonly string[];
}

/**
 * The effective settings: command line before environment before `.env` before file before default.
 *
 * @throws TrunklineError CONFIG_INVALID; its message has one line for each thing that is wrong.
 */
export function loadConfig(sources: ConfigSources = {}): LoadedConfig {
  const { configFile, envFile = '.env' } = sources;
  const given = new Map<SettingName, GivenValue>();
  const problems: string[] = [];
  const warnings: string[] = [];
  // From the weakest source to the strongest: later ones overwrite.
  if (configFile !== undefined) {
    const file = readSettingsFile(configFile);
    for (const [name, value] of file.values) given.set(name, value);
    problems.push(...file.problems);
    warnings.push(...file.warnings);
  }
  for (const [env, place] of [
    [readEnvFile(envFile), ` in ${envFile}`],
    [sources.env ?? {}, ' in the environment'],
  ] as const) {
    takeEnvironment(env, place, given, warnings);
    problems.push(...misspelt(env, place));
  }
  takeFlags(sources, given, warnings);

  const parsed = configSchema.safeParse(Object.fromEntries([...given].map(([name, { value }]) => [name, value])));
  for (const issue of parsed.error?.issues ?? []) {
    const setting = SETTINGS.find((one) => one.name === issue.path[0]);
    if (setting !== undefined) problems.push(problemOf(setting, given.get(setting.name)));
    else if (issue.code === 'custom') problems.push(`${issue.message}.`);
  }
  if (problems.length > 0 || parsed.data === undefined) {
    throw new TrunklineError('CONFIG_INVALID', [...new Set(problems)].join('\n'));
  }
  const origins = new Map([...given].map(([name, { where }]) => [name, where]));
  return { config: parsed.data as Config, origins, warnings };
}

function takeFlags(sources: ConfigSources, given: Map<SettingName, GivenValue>, warnings: string[]): void {
  for (const setting of SETTINGS) {
    const value = sources.flags?.[setting.name];
    if (value === undefined) continue;
    const where = sources.flagNames?.[setting.name] ?? setting.flag;
    if (where === setting.former?.flag) warnings.push(`${where} is now ${setting.flag}.`);
    given.set(setting.name, { value: fromText(setting, value), where });
  }
}

function takeEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  place: string,
  given: Map<SettingName, GivenValue>,
  warnings: string[],
): void {
  for (const setting of SETTINGS) {
    const former = setting.former?.env;
    // `NAME=` is how compose files and shells write "not set".
    const isSet = (name: string | undefined): name is string => name !== undefined && (env[name] ?? '').trim() !== '';
    if (isSet(former)) warnings.push(`${former}${place} is now ${setting.env}.`);
    const name = isSet(setting.env) ? setting.env : former;
    if (isSet(name)) given.set(setting.name, { value: fromText(setting, env[name]), where: `${name}${place}` });
  }
}

/** Not every variable with our prefix is ours; one that is nearly ours is a slip that would otherwise go unnoticed. */
function misspelt(env: Readonly<Record<string, string | undefined>>, place: string): string[] {
  const names = SETTINGS.flatMap(({ env: name, former }) => [name, ...(former?.env ? [former.env] : [])]);
  const ours = SETTINGS.filter(({ env: name }) => name.startsWith(PREFIX)).map(({ env: name }) =>
    name.slice(PREFIX.length),
  );
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith(PREFIX) || names.includes(name)) return [];
    const nearest = nearestOf(name.slice(PREFIX.length), ours);
    if (nearest === undefined) return [];
    return [`${name}${place} is not a setting of trunkline. Did you mean ${PREFIX}${nearest}?`];
  });
}

function readEnvFile(file: string): Record<string, string> {
  try {
    return parseEnvFile(readFileSync(file));
  } catch (error) {
    if (isMissing(error)) return {};
    throw new TrunklineError('CONFIG_INVALID', `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

const SWITCH: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
};

/** Command line and environment know only text; what cannot be read as the setting's kind is left to the schema. */
function fromText(setting: Setting, value: unknown): unknown {
  if (setting.kind === 'list') {
    const items = (Array.isArray(value) ? value : [value]).flatMap((item) => String(item).split(','));
    return [...new Set(items.map((item) => item.trim()).filter((item) => item !== ''))];
  }
  if (typeof value !== 'string') return value;
  const trimmed = value.trim();
  if (setting.kind === 'switch') return SWITCH[trimmed.toLowerCase()] ?? value;
  if (setting.kind === 'number') return trimmed === '' || Number.isNaN(Number(trimmed)) ? value : Number(trimmed);
  return trimmed;
}

function problemOf(setting: Setting, given: GivenValue | undefined): string {
  const where = given?.where ?? `The default of "${setting.name}"`;
  const value = given?.value ?? setting.default;
  const shown = setting.secret === undefined ? `, not ${shortened(printableValue(setting, value))}` : '';
  return `${where} must be ${setting.allowed}${shown}.`;
}

function shortened(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 79)}…` : json;
}

import { readFileSync } from 'node:fs';
import { parse as parseEnvFile } from 'dotenv';
import { messageOf, TrunklineError } from '../core/errors.js';
import { type Config, configSchema, SETTINGS, type Setting } from './schema.js';

const PREFIX = 'TRUNKLINE_';

export interface ConfigSources {
  /** Values from the command line, by setting; texts, lists of texts, or booleans. */
  readonly flags?: Readonly<Partial<Record<string, unknown>>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default `.env`; a missing one is not an error. */
  readonly envFile?: string;
  /** A JSON object of settings. */
  readonly configFile?: string | undefined;
}

interface Given {
  readonly value: unknown;
  readonly where: string;
}

/**
 * The settings that follow from all sources: command line before environment before `.env` before file before default.
 * @throws TrunklineError CONFIG_INVALID; its message has one sentence for each thing that is wrong.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const envFile = sources.envFile ?? '.env';
  const given = new Map<string, Given>();
  const problems: string[] = [];
  // From the weakest source to the strongest: later ones overwrite.
  if (sources.configFile !== undefined) {
    for (const [name, value] of Object.entries(readConfigFile(sources.configFile))) {
      const where = `"${name}" in ${sources.configFile}`;
      if (SETTINGS.some((one) => one.name === name)) given.set(name, { value, where });
      else
        problems.push(
          `${where} is no setting of trunkline.${suggestion(
            name,
            SETTINGS.map((one) => one.name),
          )}`,
        );
    }
  }
  takeEnvironment(readEnvFile(envFile), ` in ${envFile}`, given, problems);
  takeEnvironment(sources.env ?? {}, ' in the environment', given, problems);
  for (const setting of SETTINGS) {
    const value = sources.flags?.[setting.name];
    if (value !== undefined) given.set(setting.name, { value: fromText(setting, value), where: setting.flag });
  }

  const parsed = configSchema.safeParse(Object.fromEntries([...given].map(([name, { value }]) => [name, value])));
  for (const issue of parsed.error?.issues ?? []) {
    const setting = SETTINGS.find((one) => one.name === issue.path[0]);
    if (setting !== undefined) problems.push(problemOf(setting, given.get(setting.name)));
  }
  if (problems.length > 0 || parsed.data === undefined) {
    throw new TrunklineError('CONFIG_INVALID', [...new Set(problems)].join('\n'));
  }
  return parsed.data;
}

function takeEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  place: string,
  given: Map<string, Given>,
  problems: string[],
): void {
  for (const setting of SETTINGS) {
    const value = env[setting.env];
    // `NAME=` is how compose files and shells write "not set".
    if (value === undefined || value.trim() === '') continue;
    given.set(setting.name, { value: fromText(setting, value), where: `${setting.env}${place}` });
  }
  const names = SETTINGS.map((one) => one.env);
  const ours = names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || names.includes(name)) continue;
    const nearest = nearestOf(name.slice(PREFIX.length), ours);
    // Not every such name is ours; one that is nearly ours is a slip that would otherwise go unnoticed.
    if (nearest !== undefined)
      problems.push(`${name}${place} is no setting of trunkline. Did you mean ${PREFIX}${nearest}?`);
  }
}

function readEnvFile(file: string): Record<string, string> {
  try {
    return parseEnvFile(readFileSync(file));
  } catch (error) {
    if (isMissing(error)) return {};
    throw new TrunklineError('CONFIG_INVALID', `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function readConfigFile(file: string): object {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const why = isMissing(error) ? 'there is no such file' : messageOf(error);
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the configuration file ${file}: ${why}.`, { cause: error });
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  throw new TrunklineError('CONFIG_INVALID', `The configuration file ${file} must hold one JSON object of settings.`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
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

function problemOf(setting: Setting, given: Given | undefined): string {
  const where = given?.where ?? `The default of "${setting.name}"`;
  return `${where} must be ${setting.allowed}${setting.secret !== undefined ? '' : `, not ${shown(given?.value ?? setting.default)}`}.`;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 79)}…` : json;
}

function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  return nearest === undefined ? ` Settings are: ${known.join(', ')}.` : ` Did you mean "${nearest}"?`;
}

/** The known name that differs from `name` by the fewest edits, when those are few. */
export function nearestOf(name: string, known: readonly string[]): string | undefined {
  const most = Math.max(1, Math.floor(name.length / 4));
  const [best] = known
    .map((candidate) => ({ candidate, edits: editsBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= most ? best.candidate : undefined;
}

/** Levenshtein's distance, row by row. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

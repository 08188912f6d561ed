import type { Config, Setting, SettingName } from './schema.js';
import { SETTINGS, settingsOf } from './schema.js';
import { GROUPS, type GroupName } from './setting.js';

const GROUP_NAMES = Object.keys(GROUPS) as GroupName[];

/** A value as it may be printed: secrets as `(set)`, addresses without the password in them. */
export function printableValue({ secret }: Pick<Setting, 'secret'>, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (secret !== undefined) return '(set)';
  return typeof value === 'string' ? value.replace(/(:\/\/[^/?#\s]*:)[^/?#\s]*@/, '$1(hidden)@') : value;
}

/** Every setting that has a value, by name; for the log. */
export function printableConfig(config: Readonly<Partial<Config>>): Record<string, unknown> {
  return Object.fromEntries(
    SETTINGS.filter(({ name }) => config[name] !== undefined).map((setting) => [
      setting.name,
      printableValue(setting, config[setting.name]),
    ]),
  );
}

export interface EffectiveSetting {
  /** Absent when the setting has no value. */
  readonly value: unknown;
  /** Where it came from, such as `default`, `--shards` or `TRUNKLINE_OUT in .env`. */
  readonly origin: string;
}

/** The effective settings by group and key of the configuration file, secrets masked. */
export function effectiveSettings(
  config: Config,
  origins: ReadonlyMap<SettingName, string>,
): Record<string, Record<string, EffectiveSetting>> {
  return Object.fromEntries(
    GROUP_NAMES.map((group) => [
      group,
      Object.fromEntries(
        settingsOf(group).map((setting) => [
          setting.key,
          { value: printableValue(setting, config[setting.name]), origin: origins.get(setting.name) ?? 'default' },
        ]),
      ),
    ]),
  );
}

/** The same for people: one line for each setting. */
export function effectiveText(effective: ReturnType<typeof effectiveSettings>): string {
  const lines = Object.entries(effective).flatMap(([group, settings]) => [
    group,
    ...Object.entries(settings).map(([key, { value, origin }]) => {
      const shown = value === undefined ? '-' : Array.isArray(value) ? value.join(',') || '-' : String(value);
      return `  ${key.padEnd(26)}${shown.padEnd(26)}  ${origin}`;
    }),
  ]);
  return lines.join('\n');
}

/** JSON Schema of the configuration file. */
export function configFileSchema(): Record<string, unknown> {
  const object = (properties: object) => ({ type: 'object', properties, additionalProperties: false });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration file of trunkline',
    ...object({
      $schema: { type: 'string' },
      ...Object.fromEntries(
        GROUP_NAMES.map((group) => [
          group,
          {
            description: GROUPS[group],
            ...object(Object.fromEntries(settingsOf(group).map(({ key, jsonSchema }) => [key, jsonSchema]))),
          },
        ]),
      ),
    }),
  };
}

/** All settings as Markdown, one table for each group, as in `src/config/README.md`. */
export function settingsMarkdown(): string {
  return GROUP_NAMES.map((group) => {
    const rows = settingsOf(group).map((setting) => {
      const cells = [
        `\`${setting.key}\``,
        flagCell(setting),
        `\`${setting.env}\``,
        setting.defaultText,
        `${setting.offDescription ?? setting.description}${setting.choices.length > 0 ? ` One of ${setting.choices.join(', ')}.` : ''}`,
      ];
      return `| ${cells.join(' | ')} |`;
    });
    return [
      `### ${GROUPS[group]} (\`"${group}"\`)`,
      '',
      '| In the file | Flag | Variable | Default | What it does |',
      '| --- | --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  }).join('\n\n');
}

function flagCell({ secret, kind, default: value, flag, shortFlag, value: placeholder }: Setting): string {
  if (secret === 'refused') return 'not on the command line';
  if (kind === 'switch') return `\`${value === true ? flag.replace('--', '--no-') : flag}\`${alsoShort(shortFlag)}`;
  return `\`${flag} <${placeholder}>\`${alsoShort(shortFlag)}`;
}

function alsoShort(shortFlag: string | undefined): string {
  return shortFlag === undefined ? '' : `, \`serve\`: \`${shortFlag}\``;
}

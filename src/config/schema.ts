import process from 'node:process';
import { z } from 'zod';
import { TrunklineError } from '../core/errors.js';
import { audiohookSettings } from './audiohook-settings.js';
import { controlSettings } from './control-settings.js';
import {
  checkPlayoutDelays,
  deliverySettings,
  type EffectiveDelays,
  engineSettings,
  withPlayoutDelays,
} from './engine-settings.js';
import { genesysSettings } from './genesys-settings.js';
import { nearestOf } from './nearest.js';
import { operationSettings } from './operation-settings.js';
import { archiveSettings, attributeSettings, auditSettings, recordingSettings } from './output-settings.js';
import { describeSetting, type GroupName, type Setting as SettingOf } from './setting.js';
import { webhookSettings } from './webhook-settings.js';

const groups = {
  genesys: genesysSettings,
  audiohook: audiohookSettings,
  engine: { ...engineSettings, ...deliverySettings },
  recording: recordingSettings,
  attribute: attributeSettings,
  audit: auditSettings,
  archive: archiveSettings,
  control: controlSettings,
  webhook: webhookSettings,
  operation: operationSettings,
} as const satisfies Record<GroupName, z.ZodRawShape>;

/** Settings of the engine alone, as `createEngine` takes them. */
export const engineSchema = z.strictObject(engineSettings).check(checkPlayoutDelays).overwrite(withPlayoutDelays);

/** Settings of a node: all but those of the AudioHook server, which its options describe, and of the command. */
export const nodeSchema = z
  .strictObject({
    ...{ ...genesysSettings, ...engineSettings, ...deliverySettings, ...recordingSettings, ...attributeSettings },
    ...auditSettings,
  })
  .check(checkPlayoutDelays)
  .overwrite(withPlayoutDelays);
export type NodeConfig = z.output<typeof nodeSchema> & EffectiveDelays;

/**
 * All settings. The schema is the only place of their defaults and ranges: command line, environment, `.env`,
 * configuration file, `--help`, documentation and JSON Schema follow from it.
 */
export const configSchema = z
  .strictObject({
    ...nodeSchema.shape,
    ...audiohookSettings,
    ...archiveSettings,
    ...controlSettings,
    ...webhookSettings,
    ...operationSettings,
  })
  .check(checkPlayoutDelays)
  .overwrite(withPlayoutDelays);
export type Config = z.output<typeof configSchema> & EffectiveDelays;
export type SettingName = keyof Config;
export type Setting = SettingOf<SettingName>;

/** All settings in the order of the documentation. */
export const SETTINGS: readonly Setting[] = Object.entries(groups).flatMap(([group, shape]) =>
  Object.entries(z.toJSONSchema(z.strictObject(shape), { io: 'input' }).properties ?? {})
    .filter((entry): entry is [SettingName, z.core.JSONSchema.BaseSchema] => typeof entry[1] === 'object')
    .map(([name, schema]) => describeSetting(group as GroupName, name, schema)),
);

/** The settings of some groups, in that order. */
export function settingsOf(...names: readonly GroupName[]): readonly Setting[] {
  return names.flatMap((name) => SETTINGS.filter(({ group }) => group === name));
}

/** The part of the settings that a node has. */
export function nodeConfigOf(config: Config): NodeConfig {
  const names = Object.keys(nodeSchema.shape);
  return nodeSchema.parse(
    Object.fromEntries(Object.entries(config).filter(([name]) => names.includes(name))),
  ) as NodeConfig;
}

/** Options under the names of the release before. They work in this release, with a DeprecationWarning. */
export interface FormerOptions {
  /** @deprecated Use `playoutDelayMs`. */
  readonly holdMs?: number | undefined;
  /** @deprecated Use `maxPlayoutDelayMs`. */
  readonly holdWideMs?: number | undefined;
}

/**
 * Options of an embedder, checked and with every default.
 *
 * @throws TrunklineError CONFIG_INVALID; its message has one sentence for each option that is wrong or unknown.
 */
export function checkOptions<Schema extends typeof engineSchema | typeof nodeSchema>(
  schema: Schema,
  options: object,
): z.output<Schema> & EffectiveDelays {
  const parsed = schema.safeParse(withoutFormerNames(options));
  if (parsed.success) return parsed.data as z.output<Schema> & EffectiveDelays;
  const sentences = parsed.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownOption(key, schema));
    const setting = SETTINGS.find(({ name }) => name === issue.path[0]);
    return setting === undefined ? `${issue.message}.` : `The setting "${setting.name}" must be ${setting.allowed}.`;
  });
  throw new TrunklineError('CONFIG_INVALID', [...new Set(sentences)].join(' '));
}

function unknownOption(name: string, schema: { readonly shape: object }): string {
  const nearest = nearestOf(name, Object.keys(schema.shape));
  return `There is no setting "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`;
}

function withoutFormerNames(options: object): object {
  const current: Record<string, unknown> = { ...options };
  for (const { name, former } of SETTINGS) {
    if (former === undefined || !(former.key in current)) continue;
    const { [former.key]: value } = current;
    delete current[former.key];
    if (value === undefined) continue;
    process.emitWarning(`The option "${former.key}" is now "${name}".`, 'DeprecationWarning');
    current[name] ??= value;
  }
  return current;
}

import { z } from 'zod';

/** The groups of settings: objects of the configuration file, headings of `--help` and of the documentation. */
export const GROUPS = {
  genesys: 'Source: Genesys Cloud media subscription',
  audiohook: 'Source: AudioHook server',
  engine: 'Engine',
  recording: 'Recording',
  attribute: 'Attributes of calls',
  audit: 'Audit',
  archive: 'Archive: upload of finished recordings',
  control: 'Control server: metrics, health, API, console',
  webhook: 'Webhooks',
  operation: 'Operation of the command',
} as const;
export type GroupName = keyof typeof GROUPS;

/** An earlier name of a setting. It works for one release, with a warning. */
interface FormerName {
  /** Key at the top level of the configuration file. */
  readonly key: string;
  readonly flag?: string;
  readonly env?: string;
}

/**
 * What the schema alone does not say of a setting. Its names follow from its key: `playoutDelayMs` is
 * `--playout-delay-ms` and `TRUNKLINE_PLAYOUT_DELAY_MS`, unless given here.
 */
interface About {
  readonly description: string;
  /** What the `--no-…` form of a switch does that is on by default. */
  readonly offDescription?: string;
  /** Key within its group of the configuration file, when it is not the name without the group's prefix. */
  readonly key?: string;
  readonly env?: string;
  readonly flag?: string;
  /** Shorter flag of a command that has only this source, such as `--port` of `serve`. */
  readonly shortFlag?: string;
  /** Never printed. On the command line, where every user of the machine can read it, accepted or refused. */
  readonly secret?: 'accepted' | 'refused';
  /** Placeholder of the value in help, such as `ms`. */
  readonly value?: string;
  /** The allowed values in words, where the type and its bounds do not say it. */
  readonly allowed?: string;
  /** The default in words, where it depends on the machine or on other settings. */
  readonly defaultText?: string;
  readonly former?: FormerName;
}

/** Attaches the description and names of a setting to its schema. */
export function setting<Schema extends z.ZodType>(schema: Schema, about: About): Schema {
  return schema.meta({ ...about });
}

/** A text that is not empty. */
export const text = () => z.string().trim().min(1).max(4096);
export const milliseconds = (max: number) => z.int().min(0).max(max);

/** One setting with all its names, as its schema describes it. */
export interface Setting<Name extends string = string> {
  readonly name: Name;
  readonly group: GroupName;
  /** Key within the group's object in the configuration file. */
  readonly key: string;
  readonly kind: 'text' | 'number' | 'switch' | 'list';
  readonly description: string;
  readonly offDescription: string | undefined;
  /** Such as `--playout-delay-ms`; it may be one that is refused. A switch that is on by default has `--no-…` as well. */
  readonly flag: string;
  readonly shortFlag: string | undefined;
  readonly env: string;
  readonly value: string;
  /** Continues a sentence after "must be". */
  readonly allowed: string;
  /** The allowed values, of a setting or of a list's items, where they are a fixed set. */
  readonly choices: readonly string[];
  readonly default: unknown;
  readonly defaultText: string;
  readonly secret: About['secret'];
  readonly former: FormerName | undefined;
  /** The schema as JSON Schema, without the names above. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Reads a setting's names, kind and allowed values from its JSON Schema. */
export function describeSetting<Name extends string>(group: GroupName, name: Name, schema: JsonSchema): Setting<Name> {
  const about = schema as unknown as About;
  const words = name.replace(/[A-Z]/g, (capital) => `_${capital}`);
  return {
    name,
    group,
    key: about.key ?? keyInGroup(group, name),
    kind: kindOf(schema),
    description: about.description,
    offDescription: about.offDescription,
    flag: about.flag ?? `--${words.replaceAll('_', '-').toLowerCase()}`,
    shortFlag: about.shortFlag,
    env: about.env ?? `TRUNKLINE_${words.toUpperCase()}`,
    value: about.value ?? 'text',
    allowed: about.allowed ?? allowedValues(schema),
    choices: choicesOf(schema),
    default: schema.default,
    defaultText: about.defaultText ?? defaultText(schema.default),
    secret: about.secret,
    former: about.former,
    jsonSchema: standardKeywords(schema),
  };
}

/** `audiohookPort` is `port` in the group `audiohook`. */
function keyInGroup(group: GroupName, name: string): string {
  if (!name.startsWith(group) || name === group) return name;
  const rest = name.slice(group.length);
  return `${rest.charAt(0).toLowerCase()}${rest.slice(1)}`;
}

function kindOf(schema: JsonSchema): Setting['kind'] {
  if (schema.type === 'array') return 'list';
  if (schema.type === 'boolean') return 'switch';
  return schema.type === 'number' || schema.type === 'integer' ? 'number' : 'text';
}

function choicesOf(schema: JsonSchema): string[] {
  const { enum: choices } = schema.type === 'array' ? (schema.items as JsonSchema) : schema;
  return (choices ?? []).map(String);
}

function allowedValues(schema: JsonSchema): string {
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'array') {
    const items = schema.items as JsonSchema;
    return items.enum ? `a list of ${items.enum.join(', ')}` : `a list of ids of 1 to ${items.maxLength} characters`;
  }
  if (schema.type === 'string') return `a text of ${schema.minLength} to ${schema.maxLength} characters`;
  const number = schema.type === 'integer' ? 'a whole number' : 'a number';
  if (schema.exclusiveMinimum !== undefined) {
    return `${number} above ${schema.exclusiveMinimum} and up to ${schema.maximum}`;
  }
  const step = schema.multipleOf === undefined ? '' : `, a multiple of ${schema.multipleOf}`;
  return `${number} from ${schema.minimum} to ${schema.maximum}${step}`;
}

function defaultText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return Array.isArray(value) ? value.join(',') : String(value ?? '');
}

const OWN_KEYWORDS = [
  'offDescription',
  'key',
  'env',
  'flag',
  'shortFlag',
  'secret',
  'value',
  'allowed',
  'defaultText',
  'former',
];

function standardKeywords(schema: JsonSchema): Record<string, unknown> {
  const { secret } = schema as unknown as About;
  const standard = Object.entries(schema).filter(([keyword]) => !OWN_KEYWORDS.includes(keyword));
  return { ...Object.fromEntries(standard), ...(secret === undefined ? {} : { writeOnly: true }) };
}

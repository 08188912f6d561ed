import { z } from 'zod';

/**
 * What is said of a setting beside its schema. Its names come from its key: `maxStreams` is `--max-streams`,
 * `TRUNKLINE_MAX_STREAMS` and `"maxStreams"`, unless it says otherwise.
 */
interface About {
  readonly description: string;
  /** Name in the environment when it is not the derived one. */
  readonly env?: string;
  /** Name on the command line when it is not the derived one. */
  readonly flag?: string;
  /** Never printed. On the command line, where every user of the machine can read it, taken all the same or refused. */
  readonly secret?: 'taken' | 'refused';
  /** What stands for the value in help, such as `ms`. */
  readonly value?: string;
  /** What is allowed, where the type and its bounds do not say it. */
  readonly allowed?: string;
  /** The default in words, where it depends on the machine or is worked out later. */
  readonly defaultText?: string;
}

/** The schema with what is said of it. */
export function setting<Schema extends z.ZodType>(schema: Schema, about: About): Schema {
  return schema.meta({ ...about });
}

/** A text that says something. */
export const text = () => z.string().trim().min(1).max(4096);
export const milliseconds = (max: number) => z.int().min(0).max(max);

/** One setting, as its schema describes it. */
export interface Setting<Name extends string = string> {
  readonly name: Name;
  readonly kind: 'text' | 'number' | 'switch' | 'list';
  readonly description: string;
  /** Such as `--hold-ms`; it may be one that is refused. A switch that is on by default has `--no-…` as well. */
  readonly flag: string;
  readonly env: string;
  readonly value: string;
  /** As a sentence goes on after "must be". */
  readonly allowed: string;
  readonly default: unknown;
  readonly defaultText: string;
  readonly secret: About['secret'];
}

/** What the JSON schema of a setting says of it. */
export function describe<Name extends string>(name: Name, schema: z.core.JSONSchema.BaseSchema): Setting<Name> {
  const about = schema as unknown as About;
  const words = name.replace(/[A-Z]/g, (capital) => `_${capital}`);
  return {
    name,
    kind: kindOf(schema),
    description: about.description,
    flag: about.flag ?? `--${words.replaceAll('_', '-').toLowerCase()}`,
    env: about.env ?? `TRUNKLINE_${words.toUpperCase()}`,
    value: about.value ?? 'text',
    allowed: about.allowed ?? allowedBy(schema),
    default: schema.default,
    defaultText: about.defaultText ?? defaultText(schema.default),
    secret: about.secret,
  };
}

function kindOf(schema: z.core.JSONSchema.BaseSchema): Setting['kind'] {
  if (schema.type === 'array') return 'list';
  if (schema.type === 'boolean') return 'switch';
  return schema.type === 'number' || schema.type === 'integer' ? 'number' : 'text';
}

function allowedBy(schema: z.core.JSONSchema.BaseSchema): string {
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'array') {
    const items = schema.items as z.core.JSONSchema.BaseSchema;
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

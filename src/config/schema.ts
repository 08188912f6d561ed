import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { SAMPLE_RATES } from '../core/codec.js';
import { LIMITS } from '../core/limits.js';
import { serverSettings } from './server-settings.js';
import { describe, milliseconds, type Setting as SettingOf, setting, text } from './setting.js';

/**
 * All settings, each said once: the schema feeds the command line, the environment, `.env`, the configuration file,
 * `--help` and the README's table.
 */
export const configSchema = z
  .strictObject({
    clientId: setting(text().optional(), {
      description: 'OAuth client id (client credentials grant, scope media:stream:read).',
      env: 'GENESYS_CLIENT_ID',
      value: 'id',
    }),
    clientSecret: setting(text().optional(), {
      description: 'OAuth client secret.',
      env: 'GENESYS_CLIENT_SECRET',
      secret: 'refused',
    }),
    region: setting(text().default('us-east-1'), {
      description: 'Genesys Cloud region, such as eu-central-1, or its domain, such as mypurecloud.de.',
      env: 'GENESYS_REGION',
      value: 'name',
    }),
    apiUrl: setting(z.url({ protocol: /^https?$/ }).optional(), {
      description: 'Address of the REST API and the sign-in, for a simulator or a private deployment.',
      value: 'url',
      allowed: 'an address that begins with http:// or https://',
      defaultText: 'by region',
    }),
    mediaUrl: setting(z.url({ protocol: /^wss?$/ }).optional(), {
      description: 'Address of the media WebSocket.',
      value: 'url',
      allowed: 'an address that begins with ws:// or wss://',
      defaultText: 'by region',
    }),
    interactions: setting(z.array(text().max(LIMITS.maxNameBytes)).default([]), {
      description: 'Interactions to capture.',
      env: 'TARGET_INTERACTIONS',
      value: 'id,id',
    }),
    interactionsFile: setting(text().optional(), {
      description: 'File of interaction ids, one a line; watched, so that ids come and go while the node runs.',
      value: 'file',
      defaultText: 'none',
    }),
    queues: setting(z.array(text().max(LIMITS.maxNameBytes)).max(20_000).default([]), {
      description: 'Queues whose calls are captured as they come and go; `--queue` once for each.',
      flag: '--queue',
      value: 'id',
    }),
    users: setting(z.array(text().max(LIMITS.maxNameBytes)).max(20_000).default([]), {
      description: 'Users whose calls are captured as they come and go; `--user` once for each.',
      flag: '--user',
      value: 'id',
    }),
    codecs: setting(
      z
        .array(z.enum(['opus', 'pcmu', 'pcma', 'l16']))
        .min(1)
        .default(['opus', 'pcmu']),
      { description: 'Codecs to ask for, the preferred one first.', value: 'name,name' },
    ),
    opusSampleRate: setting(z.literal([...SAMPLE_RATES]).default(48000), {
      description: 'Samples a second that Opus is decoded to; 16000 is plenty for speech and costs a third.',
      value: 'hz',
    }),
    interactionsPerConnection: setting(z.int().min(1).max(LIMITS.interactionsPerConnection).default(50), {
      description: 'Most interactions on one media connection.',
      value: 'n',
    }),
    leastConnections: setting(z.int().min(1).max(400).default(4), {
      description: 'Media connections among which interactions are spread, even when fewer would carry them.',
      value: 'n',
    }),
    reconnectAttempts: setting(z.int().min(1).max(1_000).default(5), {
      description: 'Attempts to get a lost media connection back before its streams end.',
      value: 'n',
    }),
    heartbeatSeconds: setting(z.number().min(0.1).max(300).default(30), {
      description: 'Between two pings; a connection that has not answered one by the next is dead.',
      value: 's',
    }),
    caFile: setting(text().optional(), {
      description: 'PEM file of certificates to trust beside the usual ones, such as that of a proxy.',
      value: 'file',
      defaultText: 'none',
    }),
    insecureTls: setting(z.boolean().default(false), {
      description: 'Go on although NODE_TLS_REJECT_UNAUTHORIZED=0 has switched off the verification of certificates.',
    }),
    out: setting(text().default('capture'), {
      description: 'Folder for recordings and the audit; made when missing.',
      value: 'dir',
    }),
    seconds: setting(z.number().positive().max(31_536_000).optional(), {
      description: 'Stop after so many seconds.',
      value: 's',
      defaultText: 'until interrupted',
    }),
    record: setting(z.boolean().default(true), { description: 'Write recordings; `--no-record` leaves them out.' }),
    shards: setting(
      z
        .int()
        .min(1)
        .max(LIMITS.maxShards)
        .default(Math.min(LIMITS.maxShards, Math.max(1, availableParallelism() - 1))),
      { description: 'Decoding threads.', value: 'n', defaultText: 'one less than the cores, at least 1' },
    ),
    maxStreams: setting(z.int().min(1).max(LIMITS.maxStreams).default(4096), {
      description: 'Streams open at one time.',
      value: 'n',
    }),
    playoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(50), {
      description: 'How long packets are held to be put in order.',
      flag: '--hold-ms',
      env: 'TRUNKLINE_HOLD_MS',
      value: 'ms',
    }),
    maxPlayoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(100), {
      description: 'How long they are held while more than 5 % are lost; at least as long as otherwise.',
      flag: '--hold-wide-ms',
      env: 'TRUNKLINE_HOLD_WIDE_MS',
      value: 'ms',
    }),
    silenceThreshold: setting(z.number().positive().max(1).default(0.01), {
      description: 'RMS level, as a share of full scale, below which a channel is silent; see `trunkline calibrate`.',
      value: 'level',
    }),
    silenceWindowMs: setting(z.int().multipleOf(5).min(5).max(200).default(20), {
      description: 'Length of the sliding window over which the level is taken.',
      value: 'ms',
    }),
    includeSilent: setting(z.boolean().default(false), {
      description: 'Hand on silent frames too; otherwise they are only counted and recorded.',
    }),
    audit: setting(z.enum(['off', 'spans', 'packets']).default('spans'), {
      description: 'What goes into audit.jsonl: nothing, life-cycle events and spans, or every packet as well.',
      value: 'depth',
    }),
    auditKey: setting(text().min(16).optional(), {
      description: 'Key under which interaction ids are replaced by their HMAC in the audit.',
      secret: 'refused',
    }),
    native: setting(z.enum(['off', 'auto', 'require']).default('auto'), {
      description: 'Use of the native module: never, when it loads, or not without it.',
      value: 'use',
    }),
    logLevel: setting(z.enum(['silent', 'error', 'warn', 'info', 'debug', 'trace']).default('info'), {
      description: 'Least level that is logged to stderr.',
      value: 'level',
    }),
    logFormat: setting(z.enum(['auto', 'text', 'json']).default('auto'), {
      description: 'Form of the log: auto is text on a terminal and JSON elsewhere.',
      value: 'form',
    }),
    metricsSeconds: setting(z.number().min(0).max(3_600).default(5), {
      description: 'Seconds between two metrics lines; 0 for none.',
      value: 's',
    }),
    json: setting(z.boolean().default(false), {
      description: 'End with one JSON object as the last line of stdout.',
    }),
    ...serverSettings,
  })
  // A wider hold that is narrower would be none.
  .overwrite((config) => ({ ...config, maxPlayoutDelayMs: Math.max(config.playoutDelayMs, config.maxPlayoutDelayMs) }));

export type Config = z.output<typeof configSchema>;
export type SettingName = keyof Config;

/** Those that only the server of `serve` has. */
export type ServerSettingName = keyof typeof serverSettings;
export const SERVER_SETTING_NAMES = Object.keys(serverSettings) as readonly ServerSettingName[];

export type Setting = SettingOf<SettingName>;

export const SETTINGS: readonly Setting[] = Object.entries(
  z.toJSONSchema(configSchema, { io: 'input' }).properties ?? {},
)
  .filter((entry): entry is [SettingName, z.core.JSONSchema.BaseSchema] => typeof entry[1] === 'object')
  .map(([name, schema]) => describe(name, schema));

/** For the log and for support: every setting, secrets only as "set". */
export function printableConfig(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    SETTINGS.filter(({ name }) => config[name] !== undefined).map(({ name, secret }) => [
      name,
      secret !== undefined ? 'set' : config[name],
    ]),
  );
}

/** The settings as a Markdown table, as it stands in the README. */
export function configTable(): string {
  const rows = SETTINGS.map((one) => {
    const value = one.kind === 'switch' ? '' : ` <${one.value}>`;
    const flag = one.kind === 'switch' && one.default === true ? one.flag.replace('--', '--no-') : one.flag;
    const cells = [
      one.secret === 'refused' ? '(not on the command line)' : `\`${flag}${value}\``,
      `\`${one.env}\``,
      `\`${one.name}\``,
      one.defaultText,
      one.description,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| Flag | Environment | In the file | Default | What it does |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

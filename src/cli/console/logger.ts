import process from 'node:process';
import { type Logger, pino } from 'pino';
import type { Config } from '../../config/schema.js';
import { writeLogLine } from '../process/output.js';
import { printable } from './live-table.js';

export type { Logger };

/** Where secrets, tokens and numbers of callers could stand in what is logged. */
const SECRET_KEYS = [
  'clientSecret',
  'auditKey',
  'authorization',
  'Authorization',
  'token',
  'accessToken',
  'access_token',
  'password',
  'payload',
  'ani',
  'dnis',
  'phoneNumber',
];

export interface LoggerOptions {
  /** Takes one line, without its line end. Default: stderr. */
  readonly write?: (line: string) => void;
  readonly isTty?: boolean;
}

/**
 * The one logger of a process, on stderr: stdout belongs to results. Text for people at a terminal, JSON for machines.
 */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFormat'>, options: LoggerOptions = {}): Logger {
  const write = options.write ?? ((line) => writeLogLine(line));
  const asText = logsText(config, options.isTty);
  return pino(
    {
      level: config.logLevel,
      base: null,
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[hidden]' },
    },
    { write: (line: string) => write(asText ? textLine(line) : line.trimEnd()) },
  );
}

/** Whether the log is text for people, not JSON. */
export function logsText(
  { logFormat }: Pick<Config, 'logFormat'>,
  isTty: boolean = process.stderr.isTTY === true,
): boolean {
  return logFormat === 'text' || (logFormat === 'auto' && isTty);
}

/** A pino record as a line for people: time, level, message, then what else it holds. */
export function textLine(json: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? String(level);
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${fieldText(value)}`);
  // An error may be logged with its own message.
  if (typeof err === 'object' && err !== null && 'message' in err && err.message !== msg) {
    fields.push(`error=${fieldText(err.message)}`);
  }
  return printable([clock, name.toUpperCase().padEnd(5), String(msg ?? ''), ...fields].join(' '));
}

function fieldText(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value);
}

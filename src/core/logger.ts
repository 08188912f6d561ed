/** Logs one line: a message, or fields with a message. */
export interface LogMethod {
  (message: string): void;
  (fields: object, message?: string): void;
}

/**
 * What a node logs to. A pino logger fits as it is; anything with these four methods does.
 *
 * @example
 * import { pino } from 'pino';
 * const node = await createNode({ sources, logger: pino({ level: 'info' }) });
 */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const ignore = (): void => {};

/** Logs nothing: the default of a node that is embedded. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

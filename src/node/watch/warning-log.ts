import type { Clock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { type Logger, type LogMethod, silentLogger } from '../../core/logger.js';

/** A warning or an error that was logged. */
export interface LoggedWarning {
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number;
  readonly level: 'warn' | 'error';
  readonly message: string;
  /** Of an error: its code, such as `FILE_FAILED`. */
  readonly code?: string;
  /** Why, in one word, where the log says so. */
  readonly reason?: string;
  readonly interactionId?: string;
}

const KEPT = 200;
const MAX_LENGTH = 500;

/** A logger that passes everything on to another one, and keeps the newest warnings and errors. */
export class WarningLog implements Logger {
  readonly debug: Logger['debug'];
  readonly info: Logger['info'];
  readonly warn: Logger['warn'];
  readonly error: Logger['error'];
  readonly #clock: Clock;
  readonly #newest: LoggedWarning[] = [];

  /** @param logger Default: it is only kept. */
  constructor(logger: Logger = silentLogger, clock: Clock) {
    this.#clock = clock;
    const pass =
      (level: keyof Logger): LogMethod =>
      (fields: object | string, message?: string) => {
        if (level === 'warn' || level === 'error') this.#keep(level, fields, message);
        // A logger of the embedder's may print every argument that it is given.
        if (typeof fields === 'string') logger[level](fields);
        else if (message === undefined) logger[level](fields);
        else logger[level](fields, message);
      };
    this.debug = pass('debug');
    this.info = pass('info');
    this.warn = pass('warn');
    this.error = pass('error');
  }

  /** The newest warnings and errors, at most 200, the oldest first. */
  recent(): readonly LoggedWarning[] {
    return this.#newest;
  }

  #keep(level: 'warn' | 'error', fields: object | string, message: string | undefined): void {
    const { err, code, reason, interactionId } = (typeof fields === 'string' ? {} : fields) as Record<string, unknown>;
    const errorCode = err instanceof Error && 'code' in err ? err.code : code;
    this.#newest.push({
      atMs: this.#clock.wallMs(),
      level,
      message: shortened(message ?? (typeof fields === 'string' ? fields : err === undefined ? '' : messageOf(err))),
      ...(typeof errorCode === 'string' ? { code: shortened(errorCode) } : {}),
      ...(typeof reason === 'string' ? { reason: shortened(reason) } : {}),
      ...(typeof interactionId === 'string' ? { interactionId: shortened(interactionId) } : {}),
    });
    if (this.#newest.length > KEPT) this.#newest.shift();
  }
}

function shortened(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text;
}

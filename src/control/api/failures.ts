import { type ErrorCode, TrunklineError } from '../../core/errors.js';
import { ControlError } from '../errors.js';

/** What the API answers for the errors that callers can cause, or can do something about. */
const ANSWERS: Readonly<Partial<Record<ErrorCode, readonly [status: number, code: string]>>> = {
  CONFIG_INVALID: [400, 'badRequest'],
  STREAM_UNKNOWN: [404, 'notFound'],
  LIMIT_EXCEEDED: [503, 'limitExceeded'],
  ENGINE_CLOSED: [503, 'closed'],
  AUTH_FAILED: [502, 'signInFailed'],
  CONNECTION_FAILED: [502, 'connectionFailed'],
  RATE_LIMITED: [503, 'rateLimited'],
  FILE_FAILED: [503, 'fileFailed'],
  FILE_INVALID: [409, 'fileInvalid'],
};

/** An error of the node as the API answers it; other errors as they are. */
export function asAnswer(thrown: unknown): unknown {
  if (!(thrown instanceof TrunklineError)) return thrown;
  const [status, code] = ANSWERS[thrown.code] ?? [];
  if (status === undefined || code === undefined) return thrown;
  return new ControlError(status, code, thrown.message, status === 503 ? 1 : undefined);
}

/** Does what a route does, and answers the node's errors. */
export async function answering<Result>(act: () => Promise<Result> | Result): Promise<Result> {
  try {
    return await act();
  } catch (thrown) {
    throw asAnswer(thrown);
  }
}

export function notFound(what: string): ControlError {
  return new ControlError(404, 'notFound', `There is no such ${what}.`);
}

export function notSupported(message: string): ControlError {
  return new ControlError(409, 'notSupported', message);
}

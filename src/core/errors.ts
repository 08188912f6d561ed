/**
 * Stable codes of every error that trunkline throws to its callers; ERRORS.md says what to do about each. A code never
 * changes its meaning; the message may be reworded.
 */
export const ERROR_CODES = [
  'CONFIG_INVALID',
  'LIMIT_EXCEEDED',
  'STREAM_UNKNOWN',
  'STREAM_EXISTS',
  'CODEC_UNSUPPORTED',
  'ENGINE_CLOSED',
  'ENGINE_FAILED',
  'NATIVE_UNAVAILABLE',
  'AUTH_FAILED',
  'MEDIA_NOT_AVAILABLE',
  'CONNECTION_FAILED',
  'RATE_LIMITED',
  'PROTOCOL_ERROR',
  'FILE_INVALID',
  'FILE_FAILED',
  'FOLDER_IN_USE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The one error class of trunkline. `message` is a sentence that says what to do about it. */
export class TrunklineError extends Error {
  override readonly name = 'TrunklineError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

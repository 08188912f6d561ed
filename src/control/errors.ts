/** What the API answers when a request cannot be fulfilled: `{ "error": { "code", "message" } }`. */
export class ControlError extends Error {
  /** HTTP status. */
  readonly statusCode: number;
  /** Stable; camel case, such as `notFound`. */
  readonly errorCode: string;
  /** Seconds, for the header Retry-After. */
  readonly retryAfterSeconds: number | undefined;

  /** @param message A sentence for the caller. It must not hold anything that the caller may not see. */
  constructor(statusCode: number, errorCode: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.statusCode = statusCode;
    this.errorCode = errorCode;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string };
}

export function errorBody(code: string, message: string): ErrorBody {
  return { error: { code, message } };
}

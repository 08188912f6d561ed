import type { UploadFailure } from '../../core/archive-events.js';
import { messageOf } from '../../core/errors.js';

const TEMPORARY: readonly UploadFailure[] = ['unavailable', 'throttled', 'corrupted'];

/** What somebody can do about a failure that does not pass by itself. */
const ADVICE: Readonly<Partial<Record<UploadFailure, string>>> = {
  credentials: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role of this machine',
  accessDenied:
    'The credentials need s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload and s3:ListMultipartUploadParts',
  noSuchBucket: 'Create the bucket, or correct --archive-s3 and --archive-endpoint',
  wrongRegion: 'Correct --archive-region and --archive-endpoint',
  clock: 'Set the clock of this machine (NTP)',
  refused: 'Encryption and object lock must be supported and enabled for the bucket',
};

/** A request to the bucket that failed. Its message is a sentence without addresses or credentials. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
  readonly reason: UploadFailure;
  /** It will not pass by itself. */
  readonly isPermanent: boolean;
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined;

  // Without the SDK's error as its cause, which has the whole request, and so the signature.
  constructor(reason: UploadFailure, message: string, status?: number) {
    super(message);
    this.reason = reason;
    this.isPermanent = !TEMPORARY.includes(reason);
    this.status = status;
  }
}

const BY_CODE: Readonly<Record<string, UploadFailure>> = {
  ...all('throttled', 'SlowDown', 'Throttling', 'ThrottlingException', 'TooManyRequests', 'RequestLimitExceeded'),
  ...all('corrupted', 'BadDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'InvalidDigest'),
  ...all('corrupted', 'IncompleteBody', 'NoSuchUpload', 'InvalidPart', 'InvalidPartOrder'),
  ...all('credentials', 'CredentialsProviderError', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'InvalidToken'),
  ...all('credentials', 'ExpiredToken', 'ExpiredTokenException', 'UnrecognizedClientException', 'TokenProviderError'),
  ...all(
    'accessDenied',
    'AccessDenied',
    'Forbidden',
    'AllAccessDisabled',
    'AccountProblem',
    'KMS.AccessDeniedException',
  ),
  ...all('noSuchBucket', 'NoSuchBucket', 'InvalidBucketName'),
  ...all('wrongRegion', 'PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'),
  ...all('clock', 'RequestTimeTooSkewed', 'RequestExpired'),
  ...all('unavailable', 'RequestTimeout', 'TimeoutError', 'InternalError', 'ServiceUnavailable', 'OperationAborted'),
  ...all('unavailable', 'ConditionalRequestConflict', 'AbortError'),
};

function all(reason: UploadFailure, ...codes: readonly string[]): Record<string, UploadFailure> {
  return Object.fromEntries(codes.map((code) => [code, reason]));
}

/** The failure behind what the SDK has thrown. `doing` says what was tried, such as `PutObject`. */
export function bucketError(doing: string, thrown: unknown): BucketError {
  if (thrown instanceof BucketError) return thrown;
  const code = codeOf(thrown);
  const status = statusOf(thrown);
  const reason = BY_CODE[code] ?? reasonOfStatus(status);
  const answer = status === undefined ? code : `${status} ${code}`;
  const advice = ADVICE[reason];
  return new BucketError(reason, `${doing}: ${answer}${advice === undefined ? '' : `. ${advice}`}`, status);
}

function reasonOfStatus(status: number | undefined): UploadFailure {
  if (status === undefined || status >= 500 || status === 408) return 'unavailable';
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'accessDenied';
  return status === 301 || status === 307 ? 'wrongRegion' : 'refused';
}

/** The name of a service's error, or the system's code, such as ECONNREFUSED. Not its text, which may quote a request. */
function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return messageOf(thrown);
  if (thrown.name !== 'Error') return thrown.name;
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.message;
}

export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  const { httpStatusCode } = thrown.$metadata as { httpStatusCode?: number };
  return httpStatusCode;
}

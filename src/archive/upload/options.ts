import { z } from 'zod';
import { templateFault } from '../../core/files/name-template.js';
import { type BucketSettings, parseBucketAddress } from './settings.js';

export interface S3ArchiveOptions {
  /** `s3://bucket`, or `s3://bucket/prefix`: what names of objects begin with. */
  readonly address: string;
  /** Address of a server that is not Amazon's, such as `https://minio.example.com`. */
  readonly endpoint?: string | undefined;
  /** Default that of the environment or of the AWS configuration file; `us-east-1` with an endpoint. */
  readonly region?: string | undefined;
  /** `https://host/bucket/name` instead of `https://bucket.host/name`; default true with an endpoint, otherwise false. */
  readonly pathStyle?: boolean | undefined;
  /**
   * Names of objects, without that of the file; default `{date}/{queue}/{interactionId}`. There are also `{year}`,
   * `{month}`, `{day}`, `{hour}` (UTC), `{user}`, `{direction}` and `{division}`. What is not known is `none`.
   */
  readonly name?: string | undefined;
  /** Deletes a recording from the disk once the bucket has all of it, with an entry in the audit; default false. */
  readonly deleteLocal?: boolean | undefined;
  /** Recordings at a time, 1 to 32; default 4. Each takes up to 8 MB of memory. */
  readonly parallel?: number | undefined;
  /** Most megabits a second of all uploads together, up to 100,000; default 0, no limit. */
  readonly maxMegabits?: number | undefined;
  /** Encryption that the store is asked for; default none, which leaves it to the settings of the bucket. */
  readonly encryption?: 'AES256' | 'aws:kms' | undefined;
  /** Id, alias or ARN of the key of `aws:kms`; default that of the bucket. */
  readonly kmsKey?: string | undefined;
  /** Nobody can delete an object for so many days from its upload on, 1 to 36,500; the bucket must have object lock. */
  readonly lock?: { readonly mode: 'governance' | 'compliance'; readonly days: number } | undefined;
  /** Puts a legal hold on every object; default false. */
  readonly legalHold?: boolean | undefined;
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string | undefined;
  /** Seconds without a byte after which a request has failed, 0.1 to 300; default 20. */
  readonly timeoutSeconds?: number | undefined;
  /** Milliseconds to the second attempt, which double with each further one, 1 to 60,000; default 1,000. */
  readonly leastRetryMs?: number | undefined;
  /** Most milliseconds between two attempts, up to a day; default 300,000. */
  readonly mostRetryMs?: number | undefined;
}

const PART_BYTES = 8 << 20;
const MS = 1_000;
/** A failure that does not pass by itself is not tried again before this time. */
const PERMANENT_PAUSE_MS = 60_000;

export const s3ArchiveOptionsSchema = z
  .strictObject({
    address: z.string().refine((address) => parseBucketAddress(address) !== undefined, {
      error: 'must be an address such as s3://bucket/prefix',
    }),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'must be an address that begins with https:// or http://' })
      .refine((url) => new URL(url).username === '', 'must not contain credentials; the SDK finds them by itself')
      .exactOptional(),
    region: z.string().min(1).exactOptional(),
    pathStyle: z.boolean().exactOptional(),
    name: z
      .string()
      .default('{date}/{queue}/{interactionId}')
      .superRefine((template, context) => {
        const fault = templateFault(template);
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
      }),
    deleteLocal: z.boolean().default(false),
    parallel: z.int().min(1).max(32).default(4),
    maxMegabits: z.number().min(0).max(100_000).default(0),
    encryption: z.enum(['AES256', 'aws:kms']).exactOptional(),
    kmsKey: z.string().min(1).exactOptional(),
    lock: z
      .strictObject({ mode: z.enum(['governance', 'compliance']), days: z.int().min(1).max(36_500) })
      .exactOptional(),
    legalHold: z.boolean().default(false),
    caFile: z.string().min(1).exactOptional(),
    timeoutSeconds: z.number().min(0.1).max(300).default(20),
    leastRetryMs: z.int().min(1).max(60_000).default(1_000),
    mostRetryMs: z.int().min(1).max(86_400_000).default(300_000),
  })
  .refine(({ kmsKey, encryption }) => kmsKey === undefined || encryption === 'aws:kms', {
    error: 'must be aws:kms when there is a kmsKey',
    path: ['encryption'],
  });

/** What the archive's thread needs for uploads; plain values. */
export interface UploadSettings {
  readonly bucket: BucketSettings;
  readonly template: string;
  readonly deleteLocal: boolean;
  readonly parallel: number;
  readonly maxMegabits: number;
  readonly leastRetryMs: number;
  readonly mostRetryMs: number;
  readonly permanentRetryMs: number;
}

/** The settings behind checked options. */
export function uploadSettings(options: z.output<typeof s3ArchiveOptionsSchema>): UploadSettings {
  const { address, endpoint, region, pathStyle, encryption, kmsKey, lock, legalHold, caFile, timeoutSeconds } = options;
  const { bucket = '', prefix = '' } = parseBucketAddress(address) ?? {};
  const { name: template, deleteLocal, parallel, maxMegabits, leastRetryMs, mostRetryMs } = options;
  // Servers other than Amazon's take any region, but for most of them it is this one.
  const known = region ?? (endpoint === undefined ? undefined : 'us-east-1');
  return {
    bucket: {
      ...{ bucket, prefix, legalHold, partBytes: PART_BYTES, timeoutMs: timeoutSeconds * MS },
      pathStyle: pathStyle ?? endpoint !== undefined,
      lockDays: lock?.days ?? 0,
      ...(lock === undefined ? {} : { lockMode: lock.mode }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(known === undefined ? {} : { region: known }),
      ...(encryption === undefined ? {} : { encryption }),
      ...(kmsKey === undefined ? {} : { kmsKey }),
      ...(caFile === undefined ? {} : { caFile }),
    },
    ...{ template, deleteLocal, parallel, maxMegabits, leastRetryMs, mostRetryMs },
    permanentRetryMs: Math.min(mostRetryMs, PERMANENT_PAUSE_MS),
  };
}

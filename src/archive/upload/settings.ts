/** Where finished recordings are uploaded to, and how; plain values, so that a thread can be given them. */
export interface BucketSettings {
  readonly bucket: string;
  /** What each object's name begins with: empty, or ending in `/`. */
  readonly prefix: string;
  /** Address of a server that is not Amazon's. */
  readonly endpoint?: string;
  /** Without one, that of the environment or the AWS configuration file. */
  readonly region?: string;
  /** `https://host/bucket/name` instead of `https://bucket.host/name`. */
  readonly pathStyle: boolean;
  readonly encryption?: 'AES256' | 'aws:kms';
  /** Key of aws:kms; without one, the bucket's. */
  readonly kmsKey?: string;
  readonly lockMode?: 'governance' | 'compliance';
  /** Days from the upload on in which the store lets nobody delete an object. */
  readonly lockDays: number;
  readonly legalHold: boolean;
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string;
  /** Milliseconds without a byte after which a request has failed. */
  readonly timeoutMs: number;
  /** Bytes of one part; larger files are uploaded in several. At least 5 MiB, and at most 10,000 parts a file. */
  readonly partBytes: number;
}

/** `s3://bucket/prefix` apart; undefined when it is no such address. */
export function parseBucketAddress(address: string): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#]*))?$/.exec(address) ?? [];
  if (bucket === undefined) return undefined;
  const segments = path.split('/').filter((segment) => segment !== '');
  if (segments.some((segment) => segment === '.' || segment === '..')) return undefined;
  return { bucket, prefix: segments.map((segment) => `${segment}/`).join('') };
}

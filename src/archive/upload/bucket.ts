import process from 'node:process';
import type { Readable } from 'node:stream';
import type {
  CompletedPart,
  HeadObjectCommandOutput,
  ListMultipartUploadsCommandInput,
  ListMultipartUploadsCommandOutput,
  PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Clock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { httpAgent } from '../../core/network/http-agent.js';
import { BucketError, bucketError, statusOf } from './failures.js';
import type { Pace } from './pace.js';
import type { BucketSettings } from './settings.js';

type Sdk = typeof import('@aws-sdk/client-s3');

const MS_PER_DAY = 86_400_000;
const CONNECT_MS = 5_000;
/** More connections than uploads run at a time are never needed; the others are for what is looked up. */
const CONNECTIONS = 32;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const PAYLOAD_HASH = 'x-amz-content-sha256';

/** What the store knows of an object. */
export interface StoredObject {
  readonly bytes: number;
  /** SHA-256 in base64, of an object in parts that of the parts' and their number; undefined where the store has none. */
  readonly checksum: string | undefined;
  /** Lower-case names. */
  readonly metadata: Readonly<Record<string, string>>;
  /** It is locked as the settings want it, as far as the credentials may know that. */
  readonly isLocked: boolean;
}

/** What an object is stored with. */
export interface ObjectHead {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface UploadedPart {
  readonly number: number;
  readonly bytes: number;
  readonly etag: string;
  /** SHA-256 in base64; undefined where the store has none. */
  readonly checksum: string | undefined;
}

/** An upload in parts that was begun and not completed. */
export interface BegunUpload {
  readonly key: string;
  readonly id: string;
  readonly startedMs: number;
}

/** An object appeared under that name meanwhile. */
export class NameTaken extends Error {
  override readonly name = 'NameTaken';
}

/**
 * The requests that uploads are made of, each tried once. What is sent is signed together with its SHA-256 and stored
 * with it as its checksum, so that the store refuses what arrives damaged and can tell later what it has.
 */
export class S3Bucket {
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #settings: BucketSettings;
  readonly #clock: Clock;
  readonly #pace: Pace;
  /** False once the server has said that it does not know `If-None-Match`. */
  #isConditional = true;

  private constructor(sdk: Sdk, settings: BucketSettings, clock: Clock, pace: Pace) {
    const { endpoint, region, pathStyle, timeoutMs, caFile } = settings;
    this.#sdk = sdk;
    this.#settings = settings;
    this.#clock = clock;
    this.#pace = pace;
    const agent = httpAgent(endpoint ?? 'https://s3.amazonaws.com', { maxSockets: CONNECTIONS, caFile });
    this.#client = new sdk.S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      forcePathStyle: pathStyle,
      // What fails is told by the archive, in sentences without requests.
      logger: SILENT,
      // What fails is tried again by the queue, which knows of all uploads.
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      followRegionRedirects: true,
      requestHandler: {
        ...{ httpAgent: agent, httpsAgent: agent, connectionTimeout: CONNECT_MS },
        ...{ socketTimeout: timeoutMs, requestTimeout: 0 },
      },
    });
    this.#client.middlewareStack.add(
      (next) => (args) => {
        signHash(args);
        return next(args);
      },
      { step: 'build', name: 'payloadHash' },
    );
  }

  /**
   * Loads the SDK, an optional dependency.
   * @throws TrunklineError CONFIG_INVALID when it is not installed; for a CA file or a proxy that cannot be one.
   */
  static async open(settings: BucketSettings, clock: Clock, pace: Pace): Promise<S3Bucket> {
    let sdk: Sdk;
    // That the SDK of next year needs another Node is no operator's concern: the version of this package is fixed.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    try {
      sdk = await import('@aws-sdk/client-s3');
    } catch (error) {
      const fix = 'npm install @aws-sdk/client-s3';
      throw new TrunklineError('CONFIG_INVALID', `The archive needs the AWS SDK: ${fix}. ${messageOf(error)}`);
    }
    return new S3Bucket(sdk, settings, clock, pace);
  }

  /** What is stored under a name; undefined for nothing. */
  async head(key: string): Promise<StoredObject | undefined> {
    const { HeadObjectCommand, NotFound } = this.#sdk;
    let found: HeadObjectCommandOutput;
    try {
      found = await this.#client.send(new HeadObjectCommand({ ...this.#named(key), ChecksumMode: 'ENABLED' }));
    } catch (error) {
      if (error instanceof NotFound || statusOf(error) === 404) return undefined;
      throw bucketError('HeadObject', error);
    }
    const { ContentLength: bytes = 0, ChecksumSHA256: checksum, Metadata: metadata = {}, ObjectLockMode } = found;
    const isLocked = this.#settings.lockMode === undefined || ObjectLockMode !== undefined;
    return { bytes, checksum, metadata, isLocked };
  }

  /** Stores a small object. @throws NameTaken when `isNew` and there is one. @throws BucketError */
  async put(key: string, bytes: Buffer, sha256: Buffer, head: ObjectHead, isNew: boolean): Promise<void> {
    const input = (): PutObjectCommandInput => ({
      ...this.#named(key),
      ...this.#head(head),
      ...this.#condition(isNew),
      ...this.#body(bytes, sha256),
    });
    await this.#conditionally('PutObject', () => this.#client.send(new this.#sdk.PutObjectCommand(input())));
  }

  /** Begins an upload in parts and returns its id. */
  async begin(key: string, head: ObjectHead): Promise<string> {
    const command = new this.#sdk.CreateMultipartUploadCommand({
      ...this.#named(key),
      ...this.#head(head),
      ChecksumAlgorithm: 'SHA256',
    });
    const { UploadId: id } = await this.#send('CreateMultipartUpload', () => this.#client.send(command));
    return id ?? '';
  }

  async putPart(key: string, id: string, number: number, bytes: Buffer, sha256: Buffer): Promise<UploadedPart> {
    const input = { ...this.#named(key), ...this.#body(bytes, sha256), UploadId: id, PartNumber: number };
    const answer = await this.#send('UploadPart', () => this.#client.send(new this.#sdk.UploadPartCommand(input)));
    return { number, bytes: bytes.length, etag: answer.ETag ?? '', checksum: sha256.toString('base64') };
  }

  /** @throws NameTaken when `isNew` and there is an object of that name. @throws BucketError */
  async complete(key: string, id: string, parts: readonly UploadedPart[], isNew: boolean): Promise<void> {
    const all = parts.map(
      ({ number, etag, checksum }): CompletedPart => ({ PartNumber: number, ETag: etag, ChecksumSHA256: checksum }),
    );
    const input = () => ({
      ...this.#named(key),
      ...this.#condition(isNew),
      UploadId: id,
      MultipartUpload: { Parts: all },
    });
    await this.#conditionally('CompleteMultipartUpload', () =>
      this.#client.send(new this.#sdk.CompleteMultipartUploadCommand(input())),
    );
  }

  /** The uploads in parts below a name that were begun and not completed, the newest first. */
  async begun(keyPrefix: string): Promise<BegunUpload[]> {
    const uploads: BegunUpload[] = [];
    let input: ListMultipartUploadsCommandInput | undefined = { Bucket: this.#settings.bucket, Prefix: keyPrefix };
    while (input !== undefined) {
      const command: InstanceType<Sdk['ListMultipartUploadsCommand']> = new this.#sdk.ListMultipartUploadsCommand(
        input,
      );
      const answer: ListMultipartUploadsCommandOutput = await this.#send('ListMultipartUploads', () =>
        this.#client.send(command),
      );
      for (const { Key: key, UploadId: id, Initiated: at } of answer.Uploads ?? []) {
        if (key !== undefined && id !== undefined) uploads.push({ key, id, startedMs: at?.getTime() ?? 0 });
      }
      const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = answer;
      input = IsTruncated === true ? { ...input, KeyMarker, UploadIdMarker } : undefined;
    }
    return uploads.sort((a, b) => b.startedMs - a.startedMs);
  }

  /** The objects of one folder, at most a thousand: far more than a recording has files. */
  async keysIn(folder: string): Promise<string[]> {
    const input = { Bucket: this.#settings.bucket, Prefix: `${folder}/`, Delimiter: '/' };
    const answer = await this.#send('ListObjectsV2', () =>
      this.#client.send(new this.#sdk.ListObjectsV2Command(input)),
    );
    return (answer.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
  }

  /** The parts that an upload has. */
  async parts(key: string, id: string): Promise<UploadedPart[]> {
    const parts: UploadedPart[] = [];
    let marker: string | undefined;
    do {
      const input = {
        ...this.#named(key),
        UploadId: id,
        ...(marker === undefined ? {} : { PartNumberMarker: marker }),
      };
      const answer = await this.#send('ListParts', () => this.#client.send(new this.#sdk.ListPartsCommand(input)));
      for (const { PartNumber = 0, Size = 0, ETag = '', ChecksumSHA256 } of answer.Parts ?? []) {
        parts.push({ number: PartNumber, bytes: Size, etag: ETag, checksum: ChecksumSHA256 });
      }
      marker = answer.IsTruncated === true ? answer.NextPartNumberMarker : undefined;
    } while (marker !== undefined);
    return parts;
  }

  async abort(key: string, id: string): Promise<void> {
    const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#named(key), UploadId: id });
    await this.#send('AbortMultipartUpload', () => this.#client.send(command)).catch((error: unknown) => {
      // Another process may have ended it.
      if (!(error instanceof BucketError) || error.status !== 404) throw error;
    });
  }

  /** The content of an object. */
  async read(key: string): Promise<Readable> {
    const answer = await this.#send('GetObject', () =>
      this.#client.send(new this.#sdk.GetObjectCommand(this.#named(key))),
    );
    return answer.Body as Readable;
  }

  async remove(key: string): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#named(key));
    await this.#send('DeleteObject', () => this.#client.send(command));
  }

  close(): void {
    this.#client.destroy();
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#settings.bucket, Key: key };
  }

  /** The stream is made for one attempt. */
  #body(bytes: Buffer, sha256: Buffer): Pick<PutObjectCommandInput, 'Body' | 'ContentLength' | 'ChecksumSHA256'> {
    const checksum = sha256.toString('base64');
    return {
      ...{ Body: this.#pace.stream(bytes), ContentLength: bytes.length },
      ...{ ChecksumAlgorithm: 'SHA256', ChecksumSHA256: checksum },
    };
  }

  /** What each object of the archive is stored with. */
  #head({ contentType, metadata }: ObjectHead): Omit<PutObjectCommandInput, 'Bucket' | 'Key'> {
    const { encryption, kmsKey, lockMode, lockDays, legalHold } = this.#settings;
    return {
      ContentType: contentType,
      Metadata: { ...metadata },
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
      ...(kmsKey === undefined ? {} : { SSEKMSKeyId: kmsKey }),
      ...(lockMode === undefined
        ? {}
        : {
            ObjectLockMode: lockMode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
            ObjectLockRetainUntilDate: new Date(this.#clock.wallMs() + lockDays * MS_PER_DAY),
          }),
      ...(legalHold ? { ObjectLockLegalHoldStatus: 'ON' } : {}),
    };
  }

  #condition(isNew: boolean): { IfNoneMatch?: string } {
    return isNew && this.#isConditional ? { IfNoneMatch: '*' } : {};
  }

  /** Sends what has a condition, and without it where the server does not know conditions. */
  async #conditionally(doing: string, send: () => Promise<unknown>): Promise<void> {
    try {
      await send();
    } catch (error) {
      const status = statusOf(error);
      if (status === 412) throw new NameTaken(doing);
      if (status !== 501 || !this.#isConditional) throw bucketError(doing, error);
      this.#isConditional = false;
      await this.#send(doing, send);
    }
  }

  async #send<Answer>(doing: string, send: () => Promise<Answer>): Promise<Answer> {
    try {
      return await send();
    } catch (error) {
      throw bucketError(doing, error);
    }
  }
}

/** The signature covers the SHA-256 that is known already; the SDK would read the whole body for it. */
function signHash({ request }: { readonly request: unknown }): void {
  const { headers } = request as { headers: Record<string, string> };
  const checksum = headers['x-amz-checksum-sha256'];
  if (checksum !== undefined) headers[PAYLOAD_HASH] = Buffer.from(checksum, 'base64').toString('hex');
}

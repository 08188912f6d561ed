import { createHash } from 'node:crypto';
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';

/** A client beside the one under test, for what a bucket really has. */
export function clientOf(endpoint: string): S3Client {
  const credentials = { accessKeyId: 'archive-test', secretAccessKey: 'archive-test-secret' };
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}

/** Names of all objects below a prefix, in order. */
export async function keysIn(client: S3Client, bucket: string, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const input = { Bucket: bucket, Prefix: prefix, ...(token === undefined ? {} : { ContinuationToken: token }) };
    const answer = await client.send(new ListObjectsV2Command(input));
    keys.push(...(answer.Contents ?? []).map(({ Key = '' }) => Key));
    token = answer.NextContinuationToken;
  } while (token !== undefined);
  return keys.toSorted();
}

export async function contentOf(client: S3Client, bucket: string, key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

export async function sha256In(client: S3Client, bucket: string, key: string): Promise<string> {
  return createHash('sha256')
    .update(await contentOf(client, bucket, key))
    .digest('hex');
}

export function headOf(client: S3Client, bucket: string, key: string): Promise<HeadObjectCommandOutput> {
  return client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }));
}

/** How often an object was written, in a bucket that keeps versions. */
export async function versionsOf(client: S3Client, bucket: string, key: string): Promise<number> {
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key }));
  return Versions.filter(({ Key }) => Key === key).length;
}

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { contentOf, headOf, keysIn } from './s3-client.js';
import type { S3Server } from './s3-server.js';

/** A complete recording, wherever it is. */
export interface FoundRecording {
  /** Its folder on the disk, or the name of its objects. */
  readonly name: string;
  readonly where: 'bucket' | 'disk';
  readonly manifest: Manifest;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** All recordings of a bucket below a prefix. Throws for an object that does not belong to a complete one. */
export async function recordingsInBucket({ client, bucket }: S3Server, prefix: string): Promise<FoundRecording[]> {
  const groups = grouped(await keysIn(client, bucket, `${prefix}/`));
  const found: FoundRecording[] = [];
  for (const [name, keys] of groups) {
    const files: Record<string, Buffer> = {};
    for (const key of keys) {
      const content = await contentOf(client, bucket, key);
      const { Metadata = {}, ContentLength } = await headOf(client, bucket, key);
      const sha256 = createHash('sha256').update(content).digest('hex');
      if (Metadata['sha256'] !== sha256 || ContentLength !== content.length) throw new Error(`${key} is damaged`);
      files[key.slice(name.length + 1)] = content;
    }
    found.push({ name, where: 'bucket', files, manifest: manifestOf(name, files['session.json']) });
  }
  return found;
}

/** All finished recordings of an output folder. */
export function recordingsOnDisk(directory: string): FoundRecording[] {
  const folders = readdirSync(directory).filter((name) => existsSync(join(directory, name, 'session.json')));
  return folders.map((name) => {
    const path = join(directory, name);
    const files = Object.fromEntries(readdirSync(path).map((file) => [file, readFileSync(join(path, file))]));
    return { name, where: 'disk', files, manifest: manifestOf(name, files['session.json']) };
  });
}

/** What tells recordings apart, also those of one interaction. */
export function identityOf({ manifest: { interactionId, startedAt } }: FoundRecording): string {
  return `${interactionId} ${startedAt}`;
}

/** Length of a recording by its manifest. */
export function manifestMs({ spans }: Manifest): number {
  return spans.reduce((latest, { endMs }) => Math.max(latest, endMs), 0);
}

function manifestOf(name: string, bytes: Buffer | undefined): Manifest {
  if (bytes === undefined) throw new Error(`${name} has no session.json`);
  return manifestSchema.parse(JSON.parse(bytes.toString('utf8')));
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}

function grouped(keys: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const key of keys) groups.set(folderOf(key), [...(groups.get(folderOf(key)) ?? []), key]);
  return groups;
}

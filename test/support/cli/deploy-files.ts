import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { ROOT } from '../source-tree.js';
import { until } from '../until.js';
import { MAIN } from './trunkline-process.js';

/** A file of src/deploy. */
export function deployFile(path: string): string {
  return readFileSync(join(ROOT, 'src/deploy', path), 'utf8');
}

/** Runs the built command without the variables of this process that are settings. */
export function trunkline(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd?: string) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:TRUNKLINE|GENESYS)_|^TARGET_/.test(name));
  return spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...Object.fromEntries(inherited), ...env },
    cwd,
  });
}

type Effective = Record<string, Record<string, { readonly value: unknown; readonly origin: string }>>;

/**
 * The settings that `trunkline run` would have with these flags and variables, as the program itself reads them.
 * Throws when it refuses them.
 */
export function effectiveSettings(flags: readonly string[], env: Readonly<Record<string, string>> = {}): Effective {
  const { status, stdout, stderr } = trunkline(['config', '--json', ...flags], env);
  if (status !== 0 || stderr !== '') throw new Error(`exit code ${status}: ${stderr}`);
  return JSON.parse(stdout) as Effective;
}

/** Whether a program is installed; tests that need it skip visibly without. */
export function hasProgram(name: string, ...args: readonly string[]): boolean {
  return spawnSync(name, args).status === 0;
}

/** Runs a program and returns its output; throws when it fails. */
export function output(name: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8', input });
  if (status !== 0) throw error ?? new Error(`${name} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** A port of 127.0.0.1 that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The built command, started, which has printed where its AudioHook server is. */
export interface Running {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<unknown>;
}

/** Starts a command and waits until it is ready. Throws with its log when it ends before. */
export async function started(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<Running> {
  const [program = '', ...args] = command;
  const path = process.env['PATH'] ?? '';
  const child = spawn(program, args, { env: { PATH: path, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
  let [stdout, log] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (log += String(chunk)));
  await until(() => stdout.includes('\n') || child.exitCode !== null, 'a start');
  if (child.exitCode !== null) throw new Error(`${command.join(' ')} ended: ${log}`);
  return { child, ended };
}

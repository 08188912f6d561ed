import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ROOT } from '../source-tree.js';
import { until } from '../until.js';

/** What decode.cjs prints. */
export interface Decoded {
  readonly node: string;
  readonly arch: string;
  readonly backend: 'js' | 'native';
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** The tarballs that are published, trunkline's own last: with this machine's platform or, once built, with all. */
export function packTarballs(into: string, which: 'local' | 'built'): string[] {
  const args = ['native/platforms/pack.mjs', '--into', into, ...(which === 'local' ? ['--local'] : [])];
  return execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
}

/** The tarballs with this machine's platform, packed once for all files of a run of Vitest. */
export async function localTarballs(): Promise<string[]> {
  const folder = process.env['TRUNKLINE_PACKED'];
  if (folder === undefined) throw new Error('TRUNKLINE_PACKED is set by test/vitest.config.ts');
  const list = join(folder, 'list.json');
  if (isFirstToMake(folder)) {
    writeFileSync(`${list}.draft`, JSON.stringify(packTarballs(folder, 'local')));
    renameSync(`${list}.draft`, list);
  }
  await until(() => existsSync(list), 'the tarballs, which another test file packs', 240_000);
  return JSON.parse(readFileSync(list, 'utf8')) as string[];
}

function isFirstToMake(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** A project outside the checkout, in whose node_modules are unpacked tarballs, as npm would install them. */
export class PackedProject {
  readonly folder = mkdtempSync(join(tmpdir(), 'trunkline-project-'));

  constructor(tarballs: readonly string[]) {
    for (const tarball of tarballs) this.install(tarball);
    // The checkout's own dependencies stand for what npm would install beside the package.
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object };
    for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) this.#link(name);
    this.write('package.json', JSON.stringify({ private: true, type: 'module' }));
    copyFileSync(new URL('decode.cjs', import.meta.url), join(this.folder, 'decode.cjs'));
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** trunkline-linux-x64-gnu-1.2.3.tgz becomes node_modules/trunkline-linux-x64-gnu. */
  install(tarball: string): void {
    const folder = this.path('node_modules', basename(tarball).replace(/-\d+\.\d+\.\d+.*\.tgz$/, ''));
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components', '1']);
  }

  remove(name: string): void {
    rmSync(this.path('node_modules', name), { recursive: true });
  }

  write(file: string, text: string): void {
    writeFileSync(this.path(file), text);
  }

  /** Runs a program in the project; `node` is the command that starts Node. */
  run(args: readonly string[], node: readonly string[] = [process.execPath], env: NodeJS.ProcessEnv = {}): Finished {
    const [command = '', ...first] = node;
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    const options = { cwd: this.folder, encoding: 'utf8', env: { ...inherited, ...env }, maxBuffer: 64 << 20 } as const;
    return spawnSync(command, [...first, ...args], options);
  }

  decode(native: 'off' | 'auto' | 'require', node?: readonly string[]): Decoded {
    const { stdout, stderr, status } = this.run(['decode.cjs', native], node);
    if (status !== 0) throw new Error(`decode.cjs ended with ${status}: ${stderr}`);
    return JSON.parse(stdout) as Decoded;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #link(name: string): void {
    const target = this.path('node_modules', name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), target);
  }
}

/** The largest difference between two decodings of one call; Infinity when they differ in length. */
export function greatestDifference(one: readonly number[] = [], other: readonly number[] = []): number {
  if (one.length !== other.length || one.length === 0) return Number.POSITIVE_INFINITY;
  return one.reduce((most, sample, n) => Math.max(most, Math.abs(sample - (other[n] ?? 0))), 0);
}

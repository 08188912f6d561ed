import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianRoot, muslNode, nodeFromNpm } from '../support/package/downloads.js';
import { type Decoded, greatestDifference, PackedProject, packTarballs } from '../support/package/packed-project.js';
import { ROOT } from '../support/source-tree.js';

/** `TRUNKLINE_PLATFORMS=1 npm test -- test/package/platforms.test.ts`: minutes of compiling, 400 MB of downloads. */
const WANTED = process.env['TRUNKLINE_PLATFORMS'] === '1';

const PLATFORMS = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl'] as const;
type Platform = (typeof PLATFORMS)[number];

/** The newest version of glibc that a module may ask for: that of Debian 10 and RHEL 8. */
const GLIBC = [2, 28] as const;

const LIBRARIES: Readonly<Record<string, RegExp>> = {
  gnu: /^(?:lib(?:c|m|dl|pthread)\.so\.\d|ld-linux-(?:x86-64|aarch64)\.so\.\d)$/,
  musl: /^libc\.so$/,
};

let folder: string;
let tarballs: readonly string[];
let reference: Decoded;

const has = (program: string) => spawnSync(program, ['--version']).error === undefined;
const moduleOf = (platform: Platform) => join(ROOT, 'dist/npm', platform, `trunkline.${platform}.node`);
const tarballOf = (platform: Platform) => tarballs.find((file) => file.includes(`trunkline-${platform}-`)) ?? '';
const readelf = (...args: string[]) => execFileSync('readelf', ['-W', ...args], { encoding: 'utf8' });

beforeAll(() => {
  if (!WANTED) return;
  execFileSync(process.execPath, ['native/platforms/build.mjs'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  folder = mkdtempSync(join(tmpdir(), 'trunkline-tarballs-'));
  tarballs = packTarballs(folder, 'built');
  using project = new PackedProject(tarballs.slice(-1));
  reference = project.decode('off');
}, 3_600_000);

afterAll(() => {
  if (WANTED) rmSync(folder, { recursive: true });
});

/** The command that starts Node as on that platform, or why there is none here. */
async function nodeOf(platform: Platform): Promise<readonly string[] | string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it is emulated on Linux on x64 alone';
  if (platform.includes('arm64') && !has('qemu-aarch64')) return 'qemu-aarch64 is missing (Debian: qemu-user)';
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return [process.execPath];
      case 'linux-arm64-gnu':
        return emulated(
          await debianRoot('arm64', ['libc6', 'libgcc-s1', 'libstdc++6']),
          await nodeFromNpm('22.23.3', 'arm64'),
        );
      case 'linux-arm64-musl':
        return emulated(await debianRoot('arm64', ['musl']), await muslNode('24.19.0', 'arm64'));
      case 'linux-x64-musl':
        return [
          join((await debianRoot('x64', ['musl'])) ?? '', 'root/lib/ld-musl-x86_64.so.1'),
          (await muslNode('24.19.0', 'x64')) ?? '',
        ];
    }
  } catch (error) {
    return `its Node or C library could not be downloaded: ${error}`;
  }
}

function emulated(root = '', node = ''): readonly string[] {
  return ['qemu-aarch64', '-L', join(root, 'root'), node];
}

describe.skipIf(!WANTED).each(PLATFORMS)('the module for %s (with TRUNKLINE_PLATFORMS=1)', (platform) => {
  const abi = platform.endsWith('musl') ? 'musl' : 'gnu';

  it('is a library of that processor that Node can register', ({ skip }) => {
    if (!has('readelf')) return skip('readelf is missing (Debian: binutils)');
    expect(readelf('-h', moduleOf(platform))).toMatch(
      platform.includes('x64') ? /Machine:.*X86-64/ : /Machine:.*AArch64/,
    );
    expect(readelf('--dyn-syms', moduleOf(platform))).toMatch(/GLOBAL DEFAULT +\d+ napi_register_module_v1/);
  });

  it('asks for nothing but the C library, of a version that every supported system has', ({ skip }) => {
    if (!has('readelf')) return skip('readelf is missing (Debian: binutils)');
    const needed = [...readelf('-d', moduleOf(platform)).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
    expect(needed.length).toBeGreaterThan(0);
    expect(needed.filter((name = '') => !LIBRARIES[abi]?.test(name))).toEqual([]);
    const symbols = readelf('--dyn-syms', moduleOf(platform));
    const versions = [...symbols.matchAll(/@GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
      Number(major),
      Number(minor),
    ]);
    expect(versions.length > 0).toBe(abi === 'gnu');
    expect(versions.filter(([major = 0, minor = 0]) => major > GLIBC[0] || minor > GLIBC[1])).toEqual([]);
  });

  it.skipIf(platform.includes('arm64'))('has the code for AVX2, which libopus chooses at run time', ({ skip }) => {
    if (!has('objdump')) return skip('objdump is missing (Debian: binutils)');
    const disassemble = ['-d', '--no-show-raw-insn', moduleOf(platform)];
    const code = execFileSync('objdump', disassemble, { encoding: 'utf8', maxBuffer: 256 << 20 });
    expect(code).toMatch(/%ymm\d/);
  });

  it('comes with the licences of what is linked into it', () => {
    const notices = readFileSync(join(ROOT, 'dist/npm', platform, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const text of ['Xiph.Org', 'napi ', 'The Rust standard library']) expect(notices).toContain(text);
    expect(notices).not.toContain('trunkline-dsp');
  });

  it('decodes what JavaScript decodes, under the Node of that platform', async ({ skip }) => {
    const node = await nodeOf(platform);
    if (typeof node === 'string') return skip(node);
    using project = new PackedProject([tarballOf(platform), ...tarballs.slice(-1)]);
    const native = project.decode('require', node);
    expect(native.backend).toBe('native');
    expect(platform).toContain(`-${native.arch}-`);
    expect(native.samples['pcmu']).toEqual(reference.samples['pcmu']);
    expect(native.samples['l16']).toEqual(reference.samples['l16']);
    expect(greatestDifference(native.samples['opus'], reference.samples['opus'])).toBeLessThanOrEqual(1);
  }, 300_000);
});

describe.skipIf(!WANTED)('npm (with TRUNKLINE_PLATFORMS=1)', () => {
  it('installs the tarballs, and the package for this platform is used', () => {
    using project = new PackedProject([]);
    rmSync(project.path('node_modules'), { recursive: true });
    // The others are for other machines: npm leaves them out, published or not.
    const args = [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      tarballOf('linux-x64-gnu'),
      ...tarballs.slice(-1),
    ];
    const { status, stderr } = project.run(args, ['npm']);
    expect(stderr).not.toContain('npm error');
    expect(status).toBe(0);
    expect(readdirSync(project.path('node_modules')).filter((name) => name.startsWith('trunkline-'))).toEqual([
      'trunkline-linux-x64-gnu',
    ]);
    expect(existsSync(project.path('node_modules/trunkline/native'))).toBe(true);
    expect(project.decode('require').backend).toBe('native');
  }, 300_000);
});

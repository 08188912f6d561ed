/**
 * The package of one platform, in the layout of napi-rs: `trunkline-linux-x64-gnu` holds one native module, and `os`,
 * `cpu` and `libc` let npm install the one that fits. What src/native/addon.ts loads is this package's main file.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where the package folders are; git ignores it. */
export const FOLDERS = path.join(ROOT, 'dist', 'npm');

const CPUS = { x86_64: 'x64', aarch64: 'arm64' };
const LIBCS = { gnu: 'glibc', musl: 'musl' };

export const manifestOfTrunkline = () => JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

/** Splits a triple of Rust, such as aarch64-unknown-linux-musl. */
export function platformOf(triple) {
  const [, machine, abi] = /^(x86_64|aarch64)-unknown-linux-(gnu|musl)$/.exec(triple) ?? [];
  if (!machine) throw new Error(`${triple} is not one of the platforms that packages are made for`);
  return { name: `linux-${CPUS[machine]}-${abi}`, cpu: CPUS[machine], abi, libc: LIBCS[abi] };
}

/** Writes the folder of a platform's package with the module that was built for it. Returns the folder. */
export function writePackageFolder(triple, module, parent = FOLDERS) {
  const { name, cpu, libc } = platformOf(triple);
  const { version, license, engines } = manifestOfTrunkline();
  const folder = path.join(parent, name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const file = `trunkline.${name}.node`;
  fs.copyFileSync(module, path.join(folder, file));
  fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(folder, 'LICENSE'));
  fs.writeFileSync(path.join(folder, 'THIRD-PARTY-NOTICES.txt'), notices(triple));
  const needs = libc === 'glibc' ? 'glibc 2.28 or later' : 'musl';
  fs.writeFileSync(
    path.join(folder, 'README.md'),
    `# trunkline-${name}\n\nThe native module of trunkline for Linux on ${cpu} with ${needs}. Install trunkline, not this.\n`,
  );
  const manifest = {
    name: `trunkline-${name}`,
    version,
    description: `The native module of trunkline for Linux on ${cpu} with ${needs}.`,
    license,
    os: ['linux'],
    cpu: [cpu],
    libc: [libc],
    engines,
    main: file,
    files: [file, 'THIRD-PARTY-NOTICES.txt'],
  };
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  return folder;
}

/** The licences of everything that is linked into the module: the crates, libopus, the Rust standard library. */
function notices(triple) {
  const parts = linkedCrates(triple).map(({ name, version, license, authors, repository, manifest_path }) => {
    const folder = path.dirname(manifest_path);
    const heading = `${name} ${version} (${license})\n${repository ?? ''}`;
    const texts = licenceFiles(folder).map((file) => fs.readFileSync(path.join(folder, file), 'utf8').trim());
    if (texts.length === 0) texts.push(`Copyright ${authors.join(', ') || `the authors of ${name}`}`);
    return [heading, ...texts].join('\n\n');
  });
  parts.push('The Rust standard library (MIT OR Apache-2.0)\nhttps://github.com/rust-lang/rust');
  if (platformOf(triple).abi === 'musl') {
    parts.push('libunwind of LLVM (Apache-2.0 WITH LLVM-exception)\nhttps://github.com/llvm/llvm-project');
  }
  const line = `\n\n${'-'.repeat(80)}\n\n`;
  return `This module contains the following software.${line}${parts.join(line)}\n`;
}

/** The MIT text where there is a choice; libopus has its own, below the crate that builds it. */
function licenceFiles(folder) {
  const files = fs.readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const chosen = files.includes('LICENSE-MIT') ? ['LICENSE-MIT'] : files;
  return fs.existsSync(path.join(folder, 'opus', 'COPYING')) ? [...chosen, path.join('opus', 'COPYING')] : chosen;
}

function linkedCrates(triple) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', triple];
  const { packages, resolve } = JSON.parse(
    execFileSync('cargo', args, {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const byId = new Map(packages.map((crate) => [crate.id, crate]));
  const dependencies = new Map(resolve.nodes.map((node) => [node.id, node.deps]));
  const linked = new Set();
  const visit = (id) => {
    const crate = byId.get(id);
    if (linked.has(crate) || crate.targets.some(({ kind }) => kind.includes('proc-macro'))) return;
    linked.add(crate);
    for (const { pkg, dep_kinds } of dependencies.get(id)) if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg);
  };
  visit(packages.find(({ name }) => name === 'trunkline-native').id);
  // Those without a source are trunkline's own.
  return [...linked].filter(({ source }) => source).sort((a, b) => a.name.localeCompare(b.name));
}

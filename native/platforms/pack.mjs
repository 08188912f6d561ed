#!/usr/bin/env node
/**
 * npm run pack:platforms [-- --local] [--into DIR]
 *
 * Packs what is published: one tarball for each package folder in dist/npm, and trunkline's own with exactly these
 * packages as its optional dependencies. They are not in package.json, because a checkout builds the addon itself, and
 * because npm could not install them before they are published. With --local the only platform is this machine's, with
 * the module that `npm run build` made. Prints the tarballs in the order in which they have to be published.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { FOLDERS, manifestOfTrunkline, platformOf, ROOT, writePackageFolder } from './package-folder.mjs';

const { values } = parseArgs({
  options: {
    local: { type: 'boolean', default: false },
    into: { type: 'string', default: path.join(FOLDERS, 'tarballs') },
  },
});
const into = path.resolve(values.into);

/** Scripts stay off: `npm run pack:platforms` has built everything before. Returns the tarball. */
function pack(folder) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }));
  return path.join(into, filename);
}

/** The package folders of this machine's platforms: several on Linux if modules for both C libraries were built. */
function localFolders(scratch) {
  return manifestOfTrunkline().napi.targets.flatMap((triple) => {
    const { name } = platformOf(triple);
    const module = path.join(ROOT, 'native', `trunkline.${name}.node`);
    return fs.existsSync(module) ? [writePackageFolder(triple, module, scratch)] : [];
  });
}

function builtFolders() {
  return manifestOfTrunkline().napi.targets.map((triple) => {
    const folder = path.join(FOLDERS, platformOf(triple).name);
    if (!fs.existsSync(folder)) throw new Error(`${folder} is missing: run \`npm run build:platforms\` first`);
    return folder;
  });
}

function packMain(platforms, scratch) {
  const plain = pack(ROOT);
  execFileSync('tar', ['-xzf', plain, '-C', scratch]);
  const folder = path.join(scratch, 'package');
  const file = path.join(folder, 'package.json');
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const { name, version } of platforms) manifest.optionalDependencies[name] = version;
  fs.writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  return pack(folder);
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'trunkline-pack-'));
try {
  fs.mkdirSync(into, { recursive: true });
  const folders = values.local ? localFolders(scratch) : builtFolders();
  const platforms = folders.map((folder) => JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')));
  const { version } = manifestOfTrunkline();
  const other = platforms.find((platform) => platform.version !== version);
  if (other) throw new Error(`${other.name} was built as ${other.version}, trunkline is ${version}: build it again`);
  for (const folder of folders) process.stdout.write(`${pack(folder)}\n`);
  process.stdout.write(`${packMain(platforms, scratch)}\n`);
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}

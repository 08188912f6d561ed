#!/usr/bin/env node
/**
 * npm run build:platforms [-- TRIPLE …]
 *
 * Builds the native module for each platform of `napi.targets` in package.json, or for those that are named, and writes
 * one package folder for each to dist/npm. Everything is cross-compiled: cargo-zigbuild links with zig, which brings the
 * headers and stubs of each glibc version and of musl, and is the C compiler of libopus. Both come from PyPI into a
 * folder that git ignores. What is needed on the machine: rustup (or a Rust with the standard library of each target),
 * cmake, python3 with venv.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { manifestOfTrunkline, platformOf, ROOT, writePackageFolder } from './package-folder.mjs';

/** Debian 10, RHEL 8 and Amazon Linux 2023 have this or a later one. */
const GLIBC = '2.28';

const REQUIREMENTS = path.join(ROOT, 'native', 'platforms', 'requirements.txt');
const TOOLS = path.join(ROOT, 'target', 'zig-tools');
const TARGET = path.join(ROOT, 'target', 'platforms');

class BuildFailure extends Error {}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 2, 2],
  });
  if (error) throw new BuildFailure(`${command} could not be started: ${error.message}`);
  if (status !== 0) throw new BuildFailure(`${command} ${args.join(' ')} failed`);
}

/** What a program prints, or undefined when it is missing or fails. */
function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function requireProgram(command, args, advice) {
  if (output(command, args) === undefined) throw new BuildFailure(`${command} is missing: ${advice}`);
}

/** cargo-zigbuild and zig, of the versions in requirements.txt. Returns the folder of their programs. */
function installTools() {
  const programs = path.join(TOOLS, 'bin');
  const stamp = path.join(TOOLS, 'requirements.txt');
  const wanted = fs.readFileSync(REQUIREMENTS, 'utf8');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return programs;
  run('python3', ['-m', 'venv', '--clear', TOOLS]);
  run(path.join(programs, 'python'), ['-m', 'pip', 'install', '--quiet', '--require-virtualenv', '-r', REQUIREMENTS]);
  fs.writeFileSync(stamp, wanted);
  return programs;
}

/** The standard library of Rust for each target. */
function addTargets(triples) {
  const sysroot = output('rustc', ['--print', 'sysroot']);
  const missing = triples.filter((triple) => !fs.existsSync(path.join(sysroot ?? '', 'lib', 'rustlib', triple, 'lib')));
  if (missing.length === 0) return;
  requireProgram(
    'rustup',
    ['--version'],
    `this Rust has no standard library for ${missing.join(', ')}, and only rustup can add it`,
  );
  run('rustup', ['target', 'add', ...missing]);
}

function build(triple, programs) {
  const { name, abi } = platformOf(triple);
  process.stderr.write(`trunkline: building ${name} …\n`);
  const flags = `CARGO_TARGET_${triple.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`;
  run(
    'cargo',
    [
      ...['zigbuild', '--release', '--locked', '--package', 'trunkline-native'],
      ...['--target', abi === 'gnu' ? `${triple}.${GLIBC}` : triple],
    ],
    {
      PATH: `${programs}${path.delimiter}${process.env.PATH}`,
      CARGO_TARGET_DIR: TARGET,
      // A library that Node loads uses Node's libc; Rust links programs for musl statically unless told otherwise.
      ...(abi === 'musl' && { [flags]: '-C target-feature=-crt-static' }),
    },
  );
  return writePackageFolder(triple, path.join(TARGET, triple, 'release', 'libtrunkline_native.so'));
}

try {
  const all = manifestOfTrunkline().napi.targets;
  const triples = process.argv.length > 2 ? process.argv.slice(2) : all;
  const unknown = triples.find((triple) => !all.includes(triple));
  if (unknown !== undefined) throw new BuildFailure(`unknown target ${unknown}; there are ${all.join(', ')}`);
  requireProgram('cargo', ['--version'], 'install a Rust toolchain');
  requireProgram('cmake', ['--version'], 'it builds libopus');
  requireProgram('python3', ['-m', 'venv', '--help'], 'cargo-zigbuild and zig are installed from PyPI into a venv');
  addTargets(triples);
  const programs = installTools();
  for (const triple of triples) process.stdout.write(`${path.relative(ROOT, build(triple, programs))}\n`);
} catch (error) {
  process.stderr.write(`trunkline: ${error instanceof BuildFailure ? error.message : error.stack}\n`);
  process.exitCode = 1;
}

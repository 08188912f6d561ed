#!/usr/bin/env node
/**
 * Makes the checkout ready to run: dependencies, the TypeScript build, the web console, and the native addon where there
 * is a Rust toolchain. `npm start` and `npm test` call it first. It is plain JavaScript without dependencies, because it runs
 * before anything is installed. It prints nothing when there is nothing to do, and prints to stderr only: stdout belongs
 * to the command that follows.
 *
 * A record holds fingerprints of the sources of each step, so that a deleted source, an older file that was checked out
 * again and an interrupted run are all noticed. The record of a step is written when the step is complete.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const at = (...parts) => path.join(root, ...parts);

const RECORD = at('dist', '.prepared.json');
const MAIN = at('dist', 'src', 'cli', 'main.js');
/** The web console: built by Vite for browsers, not by the compiler. */
const CONSOLE = path.join('src', 'control', 'console');
const LOCK = at('.prepare.lock');
const LOCK_TOUCH_MS = 2_000;
/** A lock that has not been touched for this long is stale, even if a process with its id is alive. */
const LOCK_STALE_MS = 30_000;

const loud = Boolean(process.env.CI) && process.env.CI !== 'false';
const nativeMode = process.env.TRUNKLINE_NATIVE ?? 'auto';

class PrepareFailure extends Error {}

function say(text) {
  process.stderr.write(`trunkline: ${text}\n`);
}

// ---- the state of the checkout --------------------------------------------------------------------------------

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Every file below a folder, as paths from the root, sorted; without the folders of `skip`, given by name or path. */
function filesBelow(folder, skip = []) {
  const found = [];
  const walk = (relative) => {
    let entries;
    try {
      entries = fs.readdirSync(at(relative), { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      const child = path.join(relative, entry.name);
      if (entry.isDirectory()) {
        if (!skip.includes(entry.name) && !skip.includes(child)) walk(child);
      } else if (entry.isFile()) {
        found.push(child);
      }
    }
  };
  walk(folder);
  return found.sort();
}

function fingerprint(files, ...more) {
  const hash = createHash('sha256');
  for (const file of files) {
    const stat = fs.statSync(at(file), { throwIfNoEntry: false });
    hash.update(`${file}\0${stat?.size ?? -1}\0${stat?.mtimeMs ?? 0}\n`);
  }
  for (const text of more) hash.update(`${text}\n`);
  return hash.digest('hex');
}

/** npm writes node_modules/.package-lock.json as its last act; it says what really is installed. */
function installed() {
  const wanted = readJson(at('package-lock.json'))?.packages;
  const have = readJson(at('node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !have) return false;
  for (const [place, entry] of Object.entries(wanted)) {
    // Optional packages are left out where they are for another platform.
    if (place === '' || entry.link || (entry.optional && !have[place])) continue;
    if (have[place]?.version !== entry.version) return false;
  }
  return true;
}

function sources() {
  return [...filesBelow('src', [CONSOLE]), ...filesBelow('bench')].filter((file) => file.endsWith('.ts'));
}

const outputOf = (source) => path.join('dist', source.replace(/\.ts$/, '.js'));

function sourcesFingerprint(found) {
  const compiler = readJson(at('node_modules', 'typescript', 'package.json'))?.version;
  return fingerprint([...found, 'tsconfig.json', 'package.json'], compiler);
}

function built(record, found) {
  if (record?.sources !== sourcesFingerprint(found)) return false;
  return found.every((source) => fs.existsSync(at(outputOf(source))));
}

/** undefined when there is no console to build. */
function consoleFingerprint() {
  if (!fs.existsSync(at(CONSOLE, 'vite.config.mjs'))) return undefined;
  const files = filesBelow(CONSOLE).filter((file) => !file.endsWith('.md'));
  const tools = ['vite', 'preact', 'uplot', '@fontsource-variable/inter'];
  return fingerprint(files, ...tools.map((name) => readJson(at('node_modules', name, 'package.json'))?.version));
}

/** undefined when there is no native addon to build. */
function nativeFingerprint() {
  if (nativeMode === 'off' || !fs.existsSync(at('native', 'Cargo.toml'))) return undefined;
  const files = filesBelow('native', ['target', 'node_modules']).filter((file) => /\.(rs|toml|c|h)$/.test(file));
  return fingerprint([...files, 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml'], process.platform, process.arch);
}

function nativeModules() {
  return filesBelow('native', ['target', 'node_modules']).filter((file) => file.endsWith('.node'));
}

/** The steps that are still to be done. */
function look() {
  const record = readJson(RECORD);
  const native = nativeFingerprint();
  const page = consoleFingerprint();
  const pageDone = record?.console === page && fs.existsSync(at('dist', CONSOLE, 'index.html'));
  const nativeDone = record?.native === native && nativeModules().length > 0;
  return {
    record,
    install: !installed(),
    build: !built(record, sources()),
    page: page !== undefined && !pageDone ? page : undefined,
    native: native !== undefined && !nativeDone ? native : undefined,
    nativeFailedBefore: native !== undefined && record?.nativeFailed === native,
  };
}

// ---- the steps -------------------------------------------------------------------------------------------------

const children = new Set();

/**
 * Runs a command with its output gathered and shown only when it fails (or at once, in CI).
 * Returns its exit code; 127 when it could not be started.
 */
function run(command, args, env = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32' && !path.isAbsolute(command),
    });
    children.add(child);
    const output = [];
    const take = (chunk) => (loud ? process.stderr.write(chunk) : output.push(chunk));
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => {
      children.delete(child);
      done({ code: 127, output: error.message });
    });
    child.on('close', (code) => {
      children.delete(child);
      done({ code: code ?? 1, output: Buffer.concat(output).toString().trim() });
    });
  });
}

/** The program of an installed package, run by this very Node: no PATH, no shell. */
function packageProgram(name, program = name) {
  const bin = readJson(at('node_modules', name, 'package.json'))?.bin;
  const file = typeof bin === 'string' ? bin : bin?.[program];
  if (!file)
    throw new PrepareFailure(`The package ${name} is not installed properly. Delete node_modules and try again.`);
  return at('node_modules', name, file);
}

async function install() {
  const again = fs.existsSync(at('node_modules'));
  say(again ? 'dependencies have changed, installing them …' : 'installing dependencies …');
  // Not `npm ci`: it refuses the lock file wherever a registry lacks a package for some other platform, and it empties
  // node_modules under whatever is running. What the lock file says is installed either way, and looked at afterwards.
  // Scripts of dependencies stay off: nothing that trunkline uses needs one.
  const args = ['install', '--no-save', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  const result =
    npm && /npm-cli\.c?js$/.test(npm) ? await run(process.execPath, [npm, ...args]) : await run('npm', args);
  if (result.code !== 0) {
    throw new PrepareFailure(
      `${result.output}\nnpm install failed. Check the network and the registry settings of npm, then try again.`,
    );
  }
  if (!installed()) {
    throw new PrepareFailure(
      'What npm installed is not what package-lock.json says. Run `npm install` and look at what it changes there.',
    );
  }
}

async function build() {
  const found = sources();
  const mark = sourcesFingerprint(found);
  const information = at('dist', '.tsbuildinfo');
  // The compiler does not write again what its build information says is written.
  if (!found.every((source) => fs.existsSync(at(outputOf(source))))) fs.rmSync(information, { force: true });
  say('building …');
  const result = await run(process.execPath, [packageProgram('typescript', 'tsc'), '-p', 'tsconfig.json']);
  if (result.code !== 0) {
    throw new PrepareFailure(`${result.output}\nThe build failed: correct the errors above and try again.`);
  }
  removeOrphans(found);
  // npx links it into its own cache, and runs it only when it may be executed.
  fs.chmodSync(MAIN, 0o755);
  return mark;
}

/** Removes output without a source: it could still be imported. */
function removeOrphans(found) {
  const wanted = new Set();
  for (const source of found) {
    const output = outputOf(source);
    for (const end of ['.js', '.js.map', '.d.ts', '.d.ts.map']) wanted.add(output.replace(/\.js$/, end));
  }
  for (const folder of ['src', 'bench']) {
    for (const file of filesBelow(path.join('dist', folder), [path.join('dist', CONSOLE)])) {
      if (!wanted.has(file)) fs.rmSync(at(file), { force: true });
    }
  }
}

async function buildConsole() {
  say('building the web console …');
  const vite = [packageProgram('vite'), 'build', CONSOLE, '--config', path.join(CONSOLE, 'vite.config.mjs')];
  const result = await run(process.execPath, vite);
  if (result.code !== 0) {
    throw new PrepareFailure(`${result.output}\nThe console did not build: correct the errors above and try again.`);
  }
}

/** Returns the record of the step. Without the addon trunkline runs on JavaScript, so a failed build is not an error. */
async function buildNative(mark, failedBefore) {
  const must = loud || nativeMode === 'require';
  // cmake builds libopus, whose source comes with a crate.
  for (const [tool, what] of [
    ['cargo', 'Rust toolchain'],
    ['cmake', 'cmake'],
  ]) {
    if ((await run(tool, ['--version'])).code === 0) continue;
    if (nativeMode === 'require') {
      throw new PrepareFailure(`TRUNKLINE_NATIVE=require needs a ${what}, and none was found in PATH.`);
    }
    removeNativeModules();
    say(`no ${what}: using the JavaScript path`);
    return {};
  }
  if (failedBefore && !must) {
    removeNativeModules();
    say('the native addon did not build and has not changed since: using the JavaScript path');
    return { nativeFailed: mark };
  }
  say('building the native addon, which takes about a minute the first time …');
  const result = await run(process.execPath, [
    packageProgram('@napi-rs/cli', 'napi'),
    'build',
    '--release',
    '--platform',
    '--no-js',
    ...['--manifest-path', path.join('native', 'Cargo.toml')],
    ...['--output-dir', 'native'],
  ]);
  if (result.code === 0 && nativeModules().length > 0) return { native: mark };
  const why = result.output || 'it made no .node file';
  removeNativeModules();
  if (must) throw new PrepareFailure(`${why}\nThe native addon did not build.`);
  say(`${why}\ntrunkline: the native addon did not build: using the JavaScript path`);
  return { nativeFailed: mark };
}

/** An addon that was built from other sources must not be loaded. */
function removeNativeModules() {
  for (const module of nativeModules()) fs.rmSync(path.join('native', module), { force: true });
}

function writeRecord(record) {
  fs.mkdirSync(path.dirname(RECORD), { recursive: true });
  const draft = `${RECORD}.${process.pid}`;
  fs.writeFileSync(draft, JSON.stringify(record));
  fs.renameSync(draft, RECORD);
}

// ---- one at a time ---------------------------------------------------------------------------------------------

const lockText = JSON.stringify({ pid: process.pid, host: os.hostname(), token: Math.random() });
let held = false;

function readLock() {
  try {
    return { text: fs.readFileSync(LOCK, 'utf8'), touchedMs: fs.statSync(LOCK).mtimeMs };
  } catch {
    return undefined;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function isStale(lock) {
  if (Date.now() - lock.touchedMs > LOCK_STALE_MS) return true;
  try {
    const { pid, host } = JSON.parse(lock.text);
    return host === os.hostname() && !alive(pid);
  } catch {
    // It has been created but not written yet; its age decides.
    return false;
  }
}

/** Removes a stale lock. If another process did so first and holds a new one, that one is put back. */
function breakLock(lock) {
  const aside = `${LOCK}.${process.pid}`;
  try {
    fs.renameSync(LOCK, aside);
    if (fs.readFileSync(aside, 'utf8') !== lock.text) fs.linkSync(aside, LOCK);
  } catch {
    // It was removed or replaced meanwhile: the caller looks again.
  }
  fs.rmSync(aside, { force: true });
}

async function takeLock() {
  for (let waits = 0; ; waits++) {
    try {
      fs.writeFileSync(LOCK, lockText, { flag: 'wx' });
      held = true;
      const touch = setInterval(() => {
        const now = new Date();
        fs.utimes(LOCK, now, now, () => {});
      }, LOCK_TOUCH_MS);
      touch.unref();
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const lock = readLock();
    if (lock && isStale(lock)) {
      breakLock(lock);
      continue;
    }
    if (waits === 5) say('another process is preparing this checkout, waiting for it …');
    await new Promise((resume) => setTimeout(resume, 200));
  }
}

function releaseLock() {
  if (held && readLock()?.text === lockText) fs.rmSync(LOCK, { force: true });
  held = false;
}

// ---- main ------------------------------------------------------------------------------------------------------

async function prepare() {
  const first = look();
  if (!first.install && !first.build && !first.page && !first.native) return;
  await takeLock();
  // The previous holder of the lock may have done everything.
  if (look().install) await install();
  const { record, build: toBuild, page, native, nativeFailedBefore } = look();
  const next = { ...record };
  if (toBuild) {
    next.sources = await build();
    writeRecord(next);
  }
  if (page) {
    await buildConsole();
    next.console = page;
    writeRecord(next);
  }
  if (native) {
    delete next.native;
    delete next.nativeFailed;
    Object.assign(next, await buildNative(native, nativeFailedBefore));
    writeRecord(next);
  }
}

process.on('exit', releaseLock);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal);
    process.exit(code);
  });
}

try {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new PrepareFailure(`trunkline needs Node 20.19 or later; this is ${process.versions.node}.`);
  }
  await prepare();
} catch (error) {
  say(error instanceof PrepareFailure ? error.message : (error?.stack ?? String(error)));
  process.exitCode = 1;
}

import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A checkout of two source files, with the real compiler installed as npm would have it. */
class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'trunkline-prepare-'));

  constructor() {
    folders.push(this.folder);
    this.write('src/cli/main.ts', 'export const main = 1;\n');
    this.write('src/core/one.ts', 'export const one = 1;\n');
    this.write('package.json', '{ "name": "small", "version": "1.0.0", "type": "module" }');
    const options = {
      ...{ target: 'ES2023', module: 'NodeNext', types: [], rootDir: '.', outDir: 'dist' },
      ...{ incremental: true, tsBuildInfoFile: 'dist/.tsbuildinfo' },
    };
    this.write('tsconfig.json', JSON.stringify({ compilerOptions: options, include: ['src/**/*.ts'] }));
    const { packages } = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const typescript = { 'node_modules/typescript': { version: packages['node_modules/typescript']?.version } };
    this.write('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages: typescript }));
    this.write('node_modules/.package-lock.json', JSON.stringify({ lockfileVersion: 3, packages: typescript }));
    symlinkSync(join(root, 'node_modules/typescript'), this.at('node_modules/typescript'));
    copyFileSync(join(root, 'src/cli/prepare.mjs'), this.at('src/cli/prepare.mjs'));
  }

  at(path: string): string {
    return join(this.folder, path);
  }

  write(path: string, content: string): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), content);
  }

  /** With as little of an environment as a program can have. */
  prepare(env: Record<string, string> = {}): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [this.at('src/cli/prepare.mjs')], {
        env: { PATH: '/usr/bin:/bin', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const out = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk: Buffer) => {
        out.stdout += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        out.stderr += chunk.toString();
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, ...out }));
    });
  }
}

const BUILT = { code: 0, stdout: '', stderr: 'trunkline: building …\n' };
const NOTHING = { code: 0, stdout: '', stderr: '' };

// Each test compiles several times, on machines that may be busy.
describe('prepare', { timeout: 120_000 }, () => {
  test('builds what was not built, and says and does nothing the second time', async () => {
    const checkout = new Checkout();
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(statSync(checkout.at('dist/src/cli/main.js')).mode & 0o111).toBe(0o111);
    const written = statSync(checkout.at('dist/src/core/one.js')).mtimeMs;
    expect(await checkout.prepare()).toEqual(NOTHING);
    expect(statSync(checkout.at('dist/src/core/one.js')).mtimeMs).toBe(written);
  });

  test('builds again after a change, and what was deleted from dist', async () => {
    const checkout = new Checkout();
    await checkout.prepare();
    checkout.write('src/core/one.ts', 'export const one = 11;\n');
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(readFileSync(checkout.at('dist/src/core/one.js'), 'utf8')).toContain('11');
    // The compiler's own record says that this file is up to date.
    rmSync(checkout.at('dist/src/core/one.js'));
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(existsSync(checkout.at('dist/src/core/one.js'))).toBe(true);
    rmSync(checkout.at('dist'), { recursive: true });
    expect(await checkout.prepare()).toEqual(BUILT);
  });

  test('removes the output of a source that is gone', async () => {
    const checkout = new Checkout();
    checkout.write('src/core/two.ts', 'export const two = 2;\n');
    await checkout.prepare();
    rmSync(checkout.at('src/core/two.ts'));
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(existsSync(checkout.at('dist/src/core/two.js'))).toBe(false);
    expect(existsSync(checkout.at('dist/src/core/one.js'))).toBe(true);
  });

  test('builds the web console when it has changed, and leaves it alone when only the rest has', async () => {
    const checkout = new Checkout();
    symlinkSync(join(root, 'node_modules/vite'), checkout.at('node_modules/vite'));
    const page = 'src/control/console';
    const target = JSON.stringify(checkout.at(`dist/${page}`));
    const config = `{ root: ${JSON.stringify(checkout.at(page))}, build: { outDir: ${target}, emptyOutDir: true } }`;
    checkout.write(`${page}/vite.config.mjs`, `export default ${config};\n`);
    checkout.write(`${page}/index.html`, '<title>first</title>\n');
    const both = { ...BUILT, stderr: `${BUILT.stderr}trunkline: building the web console …\n` };
    expect(await checkout.prepare()).toEqual(both);
    expect(readFileSync(checkout.at(`dist/${page}/index.html`), 'utf8')).toContain('first');
    expect(await checkout.prepare()).toEqual(NOTHING);
    checkout.write('src/core/one.ts', 'export const one = 11;\n');
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(existsSync(checkout.at(`dist/${page}/index.html`))).toBe(true);
    checkout.write(`${page}/index.html`, '<title>second</title>\n');
    expect(await checkout.prepare()).toEqual({ ...NOTHING, stderr: 'trunkline: building the web console …\n' });
    expect(readFileSync(checkout.at(`dist/${page}/index.html`), 'utf8')).toContain('second');
  });

  test('fails with what the compiler says, each time until it is mended', async () => {
    const checkout = new Checkout();
    checkout.write('src/core/one.ts', 'export const one: string = 1;\n');
    for (let time = 0; time < 2; time++) {
      const { code, stdout, stderr } = await checkout.prepare();
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/src\/core\/one\.ts\(1,14\): error TS2322[\s\S]*correct the errors above/);
    }
    checkout.write('src/core/one.ts', 'export const one = 1;\n');
    expect(await checkout.prepare()).toEqual(BUILT);
  });

  test('of two at once one builds and the other waits for it', async () => {
    const checkout = new Checkout();
    const outcomes = await Promise.all([checkout.prepare(), checkout.prepare()]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(outcomes.filter(({ stderr }) => stderr.includes('building'))).toHaveLength(1);
    expect(existsSync(checkout.at('.prepare.lock'))).toBe(false);
    expect(await checkout.prepare()).toEqual(NOTHING);
  });

  test('a lock whose holder is dead does not hold', async () => {
    const checkout = new Checkout();
    const gone = spawn(process.execPath, ['-e', '0']);
    await new Promise((resolve) => gone.on('close', resolve));
    checkout.write('.prepare.lock', JSON.stringify({ pid: gone.pid, host: hostname(), token: 1 }));
    expect(await checkout.prepare()).toEqual(BUILT);
    expect(existsSync(checkout.at('.prepare.lock'))).toBe(false);
  });

  test('says that npm could not be run', async () => {
    const checkout = new Checkout();
    rmSync(checkout.at('node_modules/.package-lock.json'));
    const { code, stderr } = await checkout.prepare({ PATH: checkout.folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(/npm install failed\. Check the network/);
  });

  test('goes on without a native addon where there is no Rust toolchain, unless one is required', async () => {
    const checkout = new Checkout();
    checkout.write('native/Cargo.toml', '[package]\nname = "small"\n');
    const env = { PATH: checkout.folder };
    const line = 'trunkline: no Rust toolchain: using the JavaScript path\n';
    expect(await checkout.prepare(env)).toEqual({ ...BUILT, stderr: BUILT.stderr + line });
    expect(await checkout.prepare(env)).toEqual({ ...NOTHING, stderr: line });
    expect(await checkout.prepare({ ...env, TRUNKLINE_NATIVE: 'off' })).toEqual(NOTHING);
    const required = await checkout.prepare({ ...env, TRUNKLINE_NATIVE: 'require' });
    expect(required.code).toBe(1);
    expect(required.stderr).toMatch(/TRUNKLINE_NATIVE=require needs a Rust toolchain/);
  });
});

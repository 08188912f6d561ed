import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { greatestDifference, localTarballs, PackedProject } from '../support/package/packed-project.js';
import { ROOT } from '../support/source-tree.js';

const PLATFORM = /trunkline-(?:linux|darwin|win32)-/;

let tarball: string;
let platforms: readonly string[];
let project: PackedProject;

beforeAll(async () => {
  const tarballs = await localTarballs();
  platforms = tarballs.filter((file) => PLATFORM.test(file));
  tarball = tarballs.find((file) => !PLATFORM.test(file)) ?? '';
  project = new PackedProject([tarball]);
}, 300_000);

afterAll(() => {
  project?.[Symbol.dispose]();
});

describe('the tarball', () => {
  it('holds what runs, its sources and its documents, and nothing else', () => {
    const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
    const allowed = [
      /^package\/(?:package\.json|README\.md|LICENSE)$/,
      /^package\/(?:\.github|bench|test)\/\w+\.md$/,
      /^package\/native\/(?:README\.md|addon\.d\.ts)$/,
      /^package\/dist\/(?:src|bench)\//,
      /^package\/src\//,
    ];
    expect(files.filter((file) => !allowed.some((pattern) => pattern.test(file)))).toEqual([]);
    expect(files.filter((file) => /\.(?:node|test\.[cm]?[jt]s|tsbuildinfo|tgz|log|env)$/.test(file))).toEqual([]);
    for (const name of ['preact', 'uplot', 'inter']) {
      expect(files, 'a licence of what is in the console').toContain(
        `package/dist/src/control/console/assets/${name}.LICENSE.txt`,
      );
    }
    for (const file of ['dist/src/index.d.ts', 'src/index.cjs', 'src/index.d.cts', 'src/core/ERRORS.md']) {
      expect(files).toContain(`package/${file}`);
    }
  });

  it('has no fault that publint finds, suggestions included', () => {
    const program = join(ROOT, 'node_modules/publint/src/cli.js');
    const { stdout, status } = spawnSync(process.execPath, [program, 'run', tarball, '--strict'], { encoding: 'utf8' });
    expect(stdout).toContain('All good!');
    expect(status).toBe(0);
  });

  it('has types that fit its modules in every way to resolve them', () => {
    const program = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    const args = [program, tarball, '--profile', 'strict', '--format', 'ascii', '--no-emoji', '--no-color'];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stdout).toContain('No problems found');
    expect(status).toBe(0);
  });
});

describe('what is installed', () => {
  it('serves the console, its assets and the API, and signs the audit in a thread of its own', () => {
    project.write(
      'operate.cjs',
      `const { audit, control, createNode } = require('trunkline');
       async function main() {
         const operations = control({ port: 0 });
         const sinks = [audit({ directory: 'audited' })];
         const note = { name: 'note', start: (context) => context.audit('noted', {}), close() {} };
         const node = await createNode({ services: [operations, note], sinks, engine: { shards: 1 } });
         const found = {};
         const read = async (path) => {
           const response = await fetch(new URL(path, operations.url));
           found[path] = response.status + ' ' + response.headers.get('content-type');
           return response.text();
         };
         const page = await read('/');
         await read(/src="\\.?\\/?([^"]+\\.js)"/.exec(page)[1]);
         await read('/livez');
         await read('/metrics');
         console.log(JSON.stringify(Object.values(found)));
         await node.close();
       }
       main();`,
    );
    const { stdout, stderr } = project.run(['operate.cjs']);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([
      expect.stringMatching(/^200 text\/html/),
      expect.stringMatching(/^200 (?:text|application)\/javascript/),
      expect.stringMatching(/^200 application\/json/),
      expect.stringMatching(/^200 text\/plain/),
    ]);
    const lines = readFileSync(project.path('audited/audit.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.some((line) => line.includes('"noted"'))).toBe(true);
    const checkpoint = readFileSync(project.path('audited/audit.checkpoint'), 'utf8');
    expect(checkpoint.split('\n')[1]).toBe(String(lines.length));
  });

  it('has the commands, with the files that they print', () => {
    const program = 'node_modules/trunkline/dist/src/cli/main.js';
    const unit = project.run([program, 'deploy', 'systemd']);
    expect(unit.status).toBe(0);
    expect(unit.stdout).toContain('[Service]');
    expect(project.run([program, '--version']).stdout).toMatch(/\d+\.\d+\.\d+/);
  });
});

describe('the native module of an installed package', () => {
  it('is that of the package for the platform', ({ skip }) => {
    if (platforms.length === 0) return skip('no native module was built on this machine');
    for (const platform of platforms) project.install(platform);
    const native = project.decode('require');
    expect(native.backend).toBe('native');
    const reference = project.decode('off');
    expect(reference.backend).toBe('js');
    expect(native.samples['pcmu']).toEqual(reference.samples['pcmu']);
    expect(native.samples['l16']).toEqual(reference.samples['l16']);
    expect(greatestDifference(native.samples['opus'], reference.samples['opus'])).toBeLessThanOrEqual(1);
  });

  it('is refused when it has another version, with the command that installs the right one', ({ skip }) => {
    const [platform] = platforms;
    if (platform === undefined) return skip('no native module was built on this machine');
    project.install(platform);
    const [name = ''] = /trunkline-linux-\w+-\w+/.exec(platform) ?? [];
    project.run(
      ['-e', `fs.writeFileSync(process.argv[1], JSON.stringify({ name: '${name}', version: '9.9.9' }))`].concat(
        project.path('node_modules', name, 'package.json'),
      ),
    );
    const { stderr, status } = project.run(['decode.cjs', 'require']);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`${name} has version 9.9.9`);
    expect(stderr).toMatch(new RegExp(`npm install ${name}@\\d`));
    for (const other of platforms) project.remove(/trunkline-linux-\w+-\w+/.exec(other)?.[0] ?? '');
  });

  it('is asked for with a command that works in node_modules when it is required and missing', () => {
    const { stderr, status } = project.run(['decode.cjs', 'require']);
    expect(status).not.toBe(0);
    expect(stderr).toContain('NATIVE_UNAVAILABLE');
    expect(stderr).not.toContain('npm run build');
    const packaged = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
    expect(stderr).toMatch(packaged ? /npm install trunkline-linux-\w+-(?:gnu|musl)@\d/ : /There is no package for/);
  });

  it('is missed in the log when a node starts without it, and the node runs on JavaScript', () => {
    project.write(
      'log.cjs',
      `const { createNode } = require('trunkline');
       const log = (level) => (fields, text) => console.log(JSON.stringify({ level, ...fields, text: text ?? fields }));
       const logger = { debug() {}, info: log('info'), warn: log('warn'), error: log('error') };
       createNode({ sources: [], engine: { shards: 1 }, logger }).then((node) => node.close());`,
    );
    const { stdout, stderr } = project.run(['log.cjs']);
    expect(stderr).toBe('');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const line = lines.find(({ text }) => text === 'decoding with JavaScript');
    expect(line?.['backend']).toBe('js');
    expect(line?.['reason']).toContain('there is none for this machine');
  });
});

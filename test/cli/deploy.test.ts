import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { deployFile, trunkline } from '../support/cli/deploy-files.js';
import { ROOT } from '../support/source-tree.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-deploy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('trunkline deploy', () => {
  test('prints the unit with the paths of Node and of this installation', () => {
    const { status, stdout, stderr } = trunkline(['deploy', 'systemd']);
    expect(status).toBe(0);
    expect(stdout).toContain(`\nExecStart=${process.execPath} ${ROOT.replace(/\/$/, '')}/dist/src/cli/main.js run `);
    expect(stdout).toContain('\nNoNewPrivileges=yes\n');
    expect(stderr).toContain('trunkline.sysusers.conf, trunkline.json');
  });

  test.each([
    ['docker', [], 'docker/Dockerfile'],
    ['compose', [], 'compose/compose.yaml'],
    ['compose', ['prometheus.yml'], 'compose/prometheus.yml'],
    ['kubernetes', ['secret.yaml'], 'kubernetes/secret.yaml'],
  ])('prints a file of %s %s', (target, name, source) => {
    const { status, stdout } = trunkline(['deploy', target, ...name]);
    expect(status).toBe(0);
    expect(stdout).toBe(deployFile(source));
  });

  test('prints all manifests of Kubernetes as one stream', () => {
    const { stdout, stderr } = trunkline(['deploy', 'kubernetes']);
    const kinds = [...stdout.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind);
    expect(kinds).toEqual([
      ...['ServiceAccount', 'Secret', 'ConfigMap', 'Service', 'Service', 'StatefulSet'],
      ...['PodDisruptionBudget', 'NetworkPolicy'],
    ]);
    expect(stderr).toBe('');
  });

  test('writes every file that a target has, and leaves edited ones alone', () => {
    const out = join(folder, 'compose');
    const first = trunkline(['deploy', 'compose', '--out', out]);
    expect(first.status).toBe(0);
    expect(first.stdout.trim().split('\n').toSorted()).toEqual(
      readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .toSorted(),
    );
    expect(trunkline(['deploy', 'compose', '--out', out]).status).toBe(0);
    writeFileSync(join(out, 'compose.yaml'), 'edited');
    const again = trunkline(['deploy', 'compose', '--out', out]);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain(join(out, 'compose.yaml'));
    expect(readFileSync(join(out, 'compose.yaml'), 'utf8')).toBe('edited');
  });

  test('has every file of src/deploy in one of its targets', () => {
    const sources = readdirSync(join(ROOT, 'src/deploy'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .filter((content) => !content.includes('\nExecStart='));
    const printed = ['systemd', 'docker', 'compose', 'kubernetes', 'grafana', 'prometheus'].flatMap((target) => {
      const out = join(folder, 'all', target);
      trunkline(['deploy', target, '--out', out]);
      return readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    });
    expect(sources.filter((content) => !printed.includes(content))).toEqual([]);
  });

  test.each([
    [['deploy', 'heroku'], 2, /choices|Allowed choices/],
    [['deploy'], 2, /missing required argument/],
    [['deploy', 'docker', 'nix'], 2, /no file nix; its files are: Dockerfile/],
    [['deploy', 'docker', '--out', '/proc/nowhere'], 1, /Cannot make the folder \/proc\/nowhere/],
  ] as const)('refuses %s with exit code %i', (args, code, why) => {
    const { status, stderr } = trunkline(args);
    expect(status).toBe(code);
    expect(stderr).toMatch(why);
  });
});

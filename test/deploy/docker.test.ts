import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { deployFile, effectiveSettings, hasProgram } from '../support/cli/deploy-files.js';
import { ROOT } from '../support/source-tree.js';

interface Instruction {
  readonly name: string;
  readonly value: string;
}

/** The instructions of a Dockerfile, those that go over several lines joined, and comments left out. */
function instructionsOf(dockerfile: string): Instruction[] {
  return dockerfile
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(' ', 1)[0] ?? '', value: line.slice(line.indexOf(' ') + 1).trim() }));
}

const all = instructionsOf(deployFile('docker/Dockerfile'));
const lastStage = all.slice(all.findLastIndex(({ name }) => name === 'FROM'));

function lastOf(name: string): string {
  return lastStage.findLast((one) => one.name === name)?.value ?? '';
}

function variables(): Record<string, string> {
  const pairs = lastStage.filter(({ name }) => name === 'ENV').flatMap(({ value }) => value.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string]));
}

/** What the last stage copies from the build. */
const copied = lastStage
  .filter(({ name }) => name === 'COPY')
  .flatMap(({ value }) => value.split(' ').slice(1, -1))
  .map((path) => path.replace('/opt/trunkline/', ''));

const folder = mkdtempSync(join(tmpdir(), 'trunkline-image-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the Dockerfile', () => {
  test('is built in stages, the last of which has no compiler and runs without root', () => {
    expect(all.filter(({ name }) => name === 'FROM').map(({ value }) => value)).toEqual([
      'rust:1-slim-bookworm AS build',
      'node:22-slim',
    ]);
    expect(lastStage.map(({ value }) => value).join(' ')).not.toMatch(/apt-get|cargo|cmake/);
    expect(lastOf('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(lastOf('STOPSIGNAL')).toBe('SIGTERM');
    // Without a shell between, signals reach the program.
    for (const name of ['ENTRYPOINT', 'CMD']) expect(JSON.parse(lastOf(name)) as unknown).toBeInstanceOf(Array);
  });

  test('is about files that exist', () => {
    expect(copied).toContain('dist');
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const ignored = deployFile('docker/Dockerfile.dockerignore').split('\n');
    expect(copied.filter((path) => ignored.includes(path) && path !== 'dist')).toEqual([]);
  });

  test('sets settings that the program takes', () => {
    const effective = effectiveSettings([], variables());
    const [recordings, keys] = lastOf('VOLUME').split(' ');
    expect(effective['recording']?.['out']).toEqual({
      value: recordings,
      origin: 'TRUNKLINE_OUT in the environment',
    });
    expect(effective['audit']?.['signingKey']).toMatchObject({ value: `${keys}/audit-signing-key` });
    expect(lastOf('WORKDIR')).toBe(recordings);
  });

  test('has a program that runs with what the last stage copies', () => {
    for (const path of copied) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      symlinkSync(join(ROOT, path), join(folder, path));
    }
    const [, program = '', ...args] = (JSON.parse(lastOf('ENTRYPOINT')) as string[]).map((word) =>
      word.replace('/opt/trunkline', folder),
    );
    const started = (...command: string[]) =>
      spawnSync(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', program, ...args, ...command], {
        encoding: 'utf8',
      });
    expect(started('--version').stdout).toMatch(/^\d+\.\d+\.\d+/);
    expect(started('deploy', 'docker').stdout).toBe(deployFile('docker/Dockerfile'));
    // Its settings name nothing to capture yet: the program itself says so.
    expect(started(...(JSON.parse(lastOf('CMD')) as string[])).stderr).toContain('There is nothing to capture');
  });

  test.skipIf(!hasProgram('docker', 'info'))('is accepted by Docker', () => {
    const { status, stderr } = spawnSync('docker', ['build', '--check', '-f', 'src/deploy/docker/Dockerfile', '.'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(stderr).toContain('no warnings');
    expect(status).toBe(0);
  });
});

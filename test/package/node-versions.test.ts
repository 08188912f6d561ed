import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOT_DOWNLOADED, nodeFromNpm } from '../support/package/downloads.js';
import { loadBothWays } from '../support/package/loads.js';
import { PackedProject, packTarballs } from '../support/package/packed-project.js';

/** The oldest that package.json allows, and one of each line that is maintained. */
const VERSIONS = ['20.19.0', '22.12.0', '22.23.3', '24.22.3'];

let folder: string;
let project: PackedProject;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-tarballs-'));
  project = new PackedProject(packTarballs(folder, 'local'));
});

afterAll(() => {
  project[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

function expectBothWays(node?: readonly string[]): void {
  const { required, imported, same, stderr } = loadBothWays(project, node);
  expect(required).toContain('createNode');
  expect(required).toEqual(imported);
  expect(same).toBe(true);
  // No warning that require() of an ES module is experimental.
  expect(stderr).toBe('');
  expect(project.decode('off', node).samples['pcmu']).toHaveLength(25 * 160);
}

describe('the packed package', () => {
  it('is loaded by require() and by import, as one module, by the Node that runs this', () => {
    expectBothWays();
  });

  for (const version of VERSIONS) {
    it(`is loaded by require() and by import, as one module, by Node ${version}`, ({ skip }) => {
      if (process.platform !== 'linux' || process.arch !== 'x64') return skip('the programs are for Linux on x64');
      let node: string | undefined;
      try {
        node = nodeFromNpm(version, 'x64');
      } catch (error) {
        return skip(`Node ${version} could not be downloaded: ${error}`);
      }
      if (node === undefined) return skip(`no Node ${version}: ${NOT_DOWNLOADED}`);
      expectBothWays([node]);
    });
  }
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOT_DOWNLOADED, nodeFromNpm } from '../support/package/downloads.js';
import { loadBothWays } from '../support/package/loads.js';
import { localTarballs, PackedProject } from '../support/package/packed-project.js';

/** The oldest that package.json allows, and one of each line that is maintained. */
const VERSIONS = ['20.19.0', '22.12.0', '22.23.3', '24.22.3'];

const isSupported = process.platform === 'linux' && process.arch === 'x64';
let project: PackedProject;

/** The program of each version, or why there is none; all are downloaded at the same time. */
const programs = new Map<string, string | Error | undefined>();

beforeAll(async () => {
  if (isSupported) {
    const downloads = VERSIONS.map((version) => nodeFromNpm(version, 'x64').catch((error: Error) => error));
    for (const [index, program] of (await Promise.all(downloads)).entries()) {
      programs.set(VERSIONS[index] as string, program);
    }
  }
  project = new PackedProject(await localTarballs());
}, 300_000);

afterAll(() => {
  project?.[Symbol.dispose]();
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
      if (!isSupported) return skip('the programs are for Linux on x64');
      const node = programs.get(version);
      if (node instanceof Error) return skip(`Node ${version} could not be downloaded: ${node.message}`);
      if (node === undefined) return skip(`no Node ${version}: ${NOT_DOWNLOADED}`);
      expectBothWays([node]);
    });
  }
});

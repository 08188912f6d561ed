import type { PackedProject } from './packed-project.js';

/** What a program that loads trunkline both ways reports. */
export interface Loaded {
  readonly node: string;
  /** The names that `require` and `import` give; `default` and `module.exports` aside. */
  readonly required: readonly string[];
  readonly imported: readonly string[];
  /** Both have the same class: there is one instance of the module. */
  readonly same: boolean;
  readonly stderr: string;
}

const BOTH_WAYS = `
const trunkline = require('trunkline');
const { createEngine, TrunklineError } = require('trunkline');
const names = (module) => Object.keys(module).filter((name) => !/^(?:default|module\\.exports|__esModule)$/.test(name)).sort();
import('trunkline').then((esm) => {
  const same = esm.TrunklineError === TrunklineError && esm.createEngine === createEngine;
  console.log(JSON.stringify({ node: process.version, required: names(trunkline), imported: names(esm), same }));
});
`;

const STATIC_IMPORT = `
import * as all from 'trunkline';
import { createEngine } from 'trunkline';
if (createEngine !== all.createEngine) throw new Error('two modules');
`;

/** Loads trunkline by require(), by import() and by a static import, in separate files of the project. */
export function loadBothWays(project: PackedProject, node?: readonly string[]): Loaded {
  project.write('both.cjs', BOTH_WAYS);
  project.write('static.mjs', STATIC_IMPORT);
  const both = project.run(['both.cjs'], node);
  const fixed = project.run(['static.mjs'], node);
  if (both.status !== 0 || fixed.status !== 0) throw new Error(`${both.stderr}${fixed.stderr}`);
  return { ...(JSON.parse(both.stdout) as Omit<Loaded, 'stderr'>), stderr: both.stderr + fixed.stderr };
}

import { defineConfig, mergeConfig } from 'vitest/config';
import all from './vitest.config.js';

/** Whole systems, real time, processes and disks: everything that takes more than a second or two. */
const SLOW = [
  'test/{bench,chaos,cli,console,docs,e2e,examples,index,node,package,stress}/**',
  'test/simulator/{audiohook,genesys}/**',
  'test/sinks/recorder/{process,recorder,repair,segments,stalled-disk,unfinished}.test.ts',
  'test/sources/audiohook/**/*.fuzz.test.ts',
  'test/sources/audiohook/{refusals,server,tls,wire-messages,wire-states}.test.ts',
  'test/sources/audiohook/server/**',
  'test/sources/genesys/{faults,simulator,source}.test.ts',
  'test/sources/genesys/{discovery,media,rest}/**',
  'test/conformance/**',
];

/** `npm run test:quick`: the logic without end-to-end, stress and chaos. */
export default mergeConfig(all, defineConfig({ test: { exclude: SLOW } }));

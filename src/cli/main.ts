#!/usr/bin/env -S node --max-semi-space-size=4
import process from 'node:process';
import { runProgram } from './program.js';

// `trunkline … | head -1` closes our stdout early; that is its right, and no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const code = await runProgram(process.argv.slice(2), (line) => process.stderr.write(`trunkline: ${line}\n`));
// A command may have set a code of its own, such as for streams that were lost.
if (code !== 0) process.exitCode = code;

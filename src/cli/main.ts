#!/usr/bin/env node
import process from 'node:process';
import { tuneHeap } from '../node/heap.js';
import { complain, exitProcess, guardOutput } from './process/output.js';

guardOutput();
// Before the program is loaded: its modules alone would make the young generation grow beyond what it is to have.
tuneHeap();
const { runProgram } = await import('./program.js');
const code = await runProgram(process.argv.slice(2), complain);
// A command may have set a code of its own, such as for streams that were lost.
if (code !== 0) process.exitCode = code;
await exitProcess();

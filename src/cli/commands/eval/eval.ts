import type { Command } from 'commander';
import { registerEvalJitter } from './jitter.js';
import { registerEvalSilence } from './silence.js';

/** What can be evaluated, each registered by a file of its own. */
const EVALUATIONS: readonly ((group: Command) => Command)[] = [registerEvalJitter, registerEvalSilence];

export function registerEval(program: Command): Command {
  const group = program
    .command('eval')
    .description('measure how well trunkline works on recorded material: packets, or speech')
    .addHelpText(
      'after',
      `
Each evaluation plays a file through the very code that a node runs, in virtual time, and prints the result:
as a table, or with --json as one object. Nothing is captured.`,
    );
  for (const register of EVALUATIONS) register(group);
  return group.action(() => {
    group.outputHelp();
  });
}

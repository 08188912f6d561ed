import type { Command } from 'commander';
import { print, printJson } from '../../process/output.js';
import { addControlOptions, ControlClient, type ControlFlags } from './client.js';

interface Flags extends ControlFlags {
  readonly json?: true;
}

const ACTIONS = [
  [
    'pause',
    "withhold the audio of calls until they are resumed; recordings keep their time, marked 'paused'",
    'paused',
  ],
  ['resume', 'undo pause', 'resumed'],
  ['end', 'end the capture of calls; the calls themselves go on', 'ending'],
] as const;

/** `pause`, `resume` and `end`. */
export function registerInteractionCommands(program: Command): Command {
  for (const [action, description, done] of ACTIONS) {
    const command = program
      .command(action)
      .description(description)
      .argument('<id...>', 'ids of the interactions, as the log and the console show them');
    addControlOptions(command)
      .option('--json', 'print one JSON object: the ids that it was done for')
      .addHelpText(
        'after',
        `\nIt needs a token of an operator, where tokens are used.\n\nExample:\n  $ trunkline ${action} ID`,
      )
      .action(async (ids: string[], flags: Flags) => {
        const client = new ControlClient(flags);
        const finished: string[] = [];
        try {
          for (const id of ids) {
            await client.call('POST', `/interactions/${encodeURIComponent(id)}/${action}`);
            finished.push(id);
            if (!flags.json) print(`${done} ${id}\n`);
          }
        } finally {
          // Also after a failure: those before it have been done.
          if (flags.json && (finished.length > 0 || ids.length === 0)) printJson({ [done]: finished });
        }
      });
  }
  return program;
}

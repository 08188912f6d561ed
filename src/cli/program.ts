import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { messageOf, TrunklineError } from '../core/errors.js';
import { registerBench } from './commands/bench.js';
import { registerCalibrate } from './commands/calibrate.js';
import { registerCapture } from './commands/capture.js';
import { registerConfig, registerSettings } from './commands/config.js';
import { registerDemo } from './commands/demo.js';
import { registerRepair } from './commands/repair.js';
import { registerServe } from './commands/serve.js';
import { registerSimulate } from './commands/simulate.js';

/** Exit codes: all went well; something failed; the command line or the settings are wrong. */
export const EXIT = { FINE: 0, FAILED: 1, USAGE: 2 } as const;

/** Every command, in the order of `--help`. Each registers itself and loads what it needs only when it runs. */
const COMMANDS: readonly ((program: Command) => Command)[] = [
  registerDemo,
  registerCapture,
  registerServe,
  registerSimulate,
  registerCalibrate,
  registerRepair,
  registerConfig,
  registerSettings,
  registerBench,
];

const EXAMPLES = `
Examples:
  $ trunkline demo                         everything at work, with simulated calls
  $ trunkline capture --interactions ID    a real call; credentials from the environment or .env
  $ trunkline serve --port 8080            calls that AudioHook brings; its key and secret likewise
  $ trunkline calibrate call.wav           the silence threshold that fits a line
  $ trunkline repair capture               after a crash, make every recording open again

Every setting can also stand in the environment, in .env or in a file given with
--config; the command line wins. Try \`trunkline <command> --help\`.`;

export function createProgram(): Command {
  const program = new Command('trunkline')
    .description('Captures live telephone audio by the thousands of streams.')
    .version(version(), '-V, --version', 'print the version')
    // An option belongs to the command that it follows, though another may have one of that name.
    .enablePositionalOptions()
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES);
  for (const register of COMMANDS) register(program);
  return strict(program);
}

/** Subcommands inherit neither of these. */
function strict(command: Command): Command {
  command.commands.forEach(strict);
  return command.exitOverride().showHelpAfterError(`(try \`${pathOf(command)} --help\`)`);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

// By the package's own name, so that it is found from the sources as well as from the build.
function version(): string {
  const { version } = createRequire(import.meta.url)('trunkline/package.json') as { version: string };
  return version;
}

/**
 * Runs one command line and returns the exit code. Whatever it has to say about failing goes through `complain`;
 * usage errors have been explained by then.
 */
export async function runProgram(args: readonly string[], complain: (text: string) => void): Promise<number> {
  const program = createProgram();
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
    return EXIT.FINE;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.FINE : EXIT.USAGE;
    if (thrown instanceof TrunklineError) {
      for (const line of thrown.message.split('\n')) complain(line);
      return thrown.code === 'CONFIG_INVALID' ? EXIT.USAGE : EXIT.FAILED;
    }
    complain(thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown));
    return EXIT.FAILED;
  }
}

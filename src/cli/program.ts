import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../config/package-version.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { registerBench } from './commands/bench/bench.js';
import { registerCalibrate } from './commands/calibrate.js';
import { registerCapture } from './commands/capture.js';
import { registerConfig, registerSettings } from './commands/config.js';
import { registerFind } from './commands/control/find.js';
import { registerInteractionCommands } from './commands/control/interaction.js';
import { registerListen } from './commands/control/listen.js';
import { registerStatus } from './commands/control/status.js';
import { registerDemo } from './commands/demo.js';
import { registerDeploy } from './commands/deploy.js';
import { registerDoctor } from './commands/doctor.js';
import { registerEval } from './commands/eval/eval.js';
import { registerOpen } from './commands/open.js';
import { registerRepair } from './commands/repair.js';
import { registerHold } from './commands/retention/hold.js';
import { registerRetention } from './commands/retention/retention.js';
import { registerRun } from './commands/run.js';
import { registerServe } from './commands/serve.js';
import { registerSimulate } from './commands/simulate.js';
import { registerToken } from './commands/token.js';
import { registerVerify } from './commands/verify.js';
import { registerWebhooks } from './commands/webhooks.js';
import { errorObject } from './console/summary.js';
import { hasPrintedJson, printJson } from './process/output.js';

/** Exit codes: success; something failed; the command line or the settings are wrong. `open` has one more, 3. */
export const EXIT = { FINE: 0, FAILED: 1, USAGE: 2 } as const;

/** Every command, in the order of `--help`. Each registers itself and loads what it needs only when it runs. */
const COMMANDS: readonly ((program: Command) => Command)[] = [
  registerDemo,
  registerRun,
  registerCapture,
  registerServe,
  registerStatus,
  registerListen,
  registerInteractionCommands,
  registerFind,
  registerOpen,
  registerRepair,
  registerVerify,
  registerRetention,
  registerHold,
  registerWebhooks,
  registerDoctor,
  registerDeploy,
  registerToken,
  registerConfig,
  registerSettings,
  registerCalibrate,
  registerSimulate,
  registerEval,
  registerBench,
];

/** The headings of `--help`, each with its commands. */
const HEADINGS: Readonly<Record<string, readonly string[]>> = {
  'Capture calls:': ['demo', 'run', 'capture', 'serve'],
  'Set up:': ['doctor', 'deploy', 'config', 'token', 'calibrate'],
  'Test and measure:': ['simulate', 'eval', 'bench'],
};
/** Of every other command. */
const OPERATE = 'Look at and control what runs and what was recorded:';

const EXAMPLES = `
Examples:
  $ trunkline demo                         capture simulated calls, with everything on this machine
  $ trunkline doctor --queue ID            check this machine and the credentials before the first call
  $ trunkline capture --queue ID           capture the calls of a queue; credentials from the environment or .env
  $ trunkline serve --port 8080            capture calls that AudioHook brings
  $ trunkline run --config node.json       capture from every source that the settings name
  $ trunkline status                       how a running node does
  $ trunkline find capture                 find recordings
  $ trunkline open --identity key.txt ID   decrypt a recording
  $ trunkline repair capture               complete the recordings after a crash
  $ trunkline verify capture               check that the audit is as it was signed
  $ trunkline deploy systemd               print a unit that runs trunkline as a service

Every setting can also be given in the environment, in .env or in a file with
--config; the command line wins. See \`trunkline config\` and \`trunkline <command> --help\`.`;

export function createProgram(): Command {
  const program = new Command('trunkline')
    .description('Captures live telephone audio from thousands of streams.')
    .version(packageVersion(), '-V, --version', 'print the version')
    // An option belongs to the command that it follows, though another may have one of that name.
    .enablePositionalOptions()
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES);
  for (const register of COMMANDS) register(program);
  for (const command of program.commands) {
    const heading = Object.keys(HEADINGS).find((one) => HEADINGS[one]?.includes(command.name()));
    command.helpGroup(heading ?? OPERATE);
  }
  return strict(program);
}

/** Subcommands inherit none of these. */
function strict(command: Command): Command {
  command.commands.forEach(strict);
  return command
    .exitOverride()
    .showHelpAfterError(`(try \`${pathOf(command)} --help\`)`)
    .configureOutput({ outputError: (text, write) => write(withoutValue(text)) });
}

/** The value of a misspelt option may be a secret: `unknown option '--clientsecret=…'`. */
function withoutValue(text: string): string {
  return text.replace(/(unknown option '--?[^'=\s]*)[=\s][^\n]*'/g, "$1'");
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/**
 * Runs one command line and returns the exit code. Explains every failure through `complain`, except for usage errors,
 * which have been explained by then. With `--json`, stdout ends with an object in any case.
 */
export async function runProgram(args: readonly string[], complain: (text: string) => void): Promise<number> {
  const program = createProgram();
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
    return EXIT.FINE;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.FINE;
    const isUsage = thrown instanceof CommanderError || isConfigError(thrown);
    if (wantsJson(args) && !hasPrintedJson()) printJson({ error: errorObject(thrown) });
    if (!(thrown instanceof CommanderError)) explain(thrown, complain);
    return isUsage ? EXIT.USAGE : EXIT.FAILED;
  }
}

function wantsJson(args: readonly string[]): boolean {
  const env = (process.env['TRUNKLINE_JSON'] ?? '').trim().toLowerCase();
  return args.includes('--json') || ['1', 'true', 'yes', 'on'].includes(env);
}

function isConfigError(thrown: unknown): boolean {
  return thrown instanceof TrunklineError && thrown.code === 'CONFIG_INVALID';
}

function explain(thrown: unknown, complain: (text: string) => void): void {
  if (thrown instanceof TrunklineError) for (const line of thrown.message.split('\n')) complain(line);
  else complain(thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown));
}

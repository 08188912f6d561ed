import { type Command, Option } from 'commander';
import { LIMITS } from '../../core/limits.js';
import { numberFrom, shareFrom } from '../arguments.js';
import { writeFileAtomically } from '../process/atomic-file.js';
import { print } from '../process/output.js';
import { STOP_SECONDS, watchSignals } from '../process/signals.js';
import { registerSimulateAudioHook } from './simulate-audiohook.js';

/** The simulator's options on the command line; absent ones have the simulator's own defaults. */
export interface SimulatorFlags {
  readonly codec?: 'pcmu' | 'pcma' | 'l16' | 'opus' | 'mixed';
  readonly channels?: 1 | 2;
  readonly loss?: number;
  readonly burst?: number;
  readonly reorder?: number;
  readonly duplicate?: number;
  readonly jitterMs?: number;
  readonly fault?: readonly string[];
  readonly seed?: number;
  readonly trace?: string;
}

interface SimulateFlags extends SimulatorFlags {
  readonly port?: number;
  readonly host?: string;
  readonly interactions?: number;
  readonly seconds?: number;
  readonly queue?: readonly string[];
  readonly user?: readonly string[];
  readonly spreadSeconds?: number;
  readonly securePause?: number;
  readonly books?: string;
}

const share = shareFrom(0, 1);

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

const FAULT_HELP = `tokenLife tokensForgotten http handshake refuseToken cut halfOpen mediaNotAvailable expired restart
sequenceRestart duplicateStreams notificationGap clear`;

/** Options for what is sent and for the impairments of the network, of every command that starts a simulator. */
export function addSimulatorOptions(command: Command, defaultCodec: string): Command {
  const codecs = new Option('--codec <name>', `codec of the calls, or a mixture (default: ${defaultCodec})`).choices([
    'pcmu',
    'pcma',
    'l16',
    'opus',
    'mixed',
  ]);
  return command
    .addOption(codecs)
    .option('--channels <n>', '1, or 2 for each side of a call in its own packets', numberFrom(1, 2))
    .option('--loss <share>', 'share of packets withheld, such as 0.02 or 2%; at most 0.9', shareFrom(0, 0.9))
    .option('--burst <packets>', 'mean length of a run of withheld packets', numberFrom(0, 1000, 'any'))
    .option('--reorder <share>', 'share of packets sent after a later one, 0 to 1', share)
    .option('--duplicate <share>', 'share of packets sent twice, 0 to 1', share)
    .option('--jitter-ms <ms>', 'largest random delay of a packet', numberFrom(0, 10_000, 'any'))
    .option(
      '--fault <fault>',
      'a fault of the platform, such as cut:code=1012,everySeconds=10; repeatable; `trunkline simulate --help` lists all',
      collect,
    )
    .option(
      '--seed <n>',
      'seed of the random ids, speech and impairments (default: 1)',
      numberFrom(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--trace <file>', 'replay this trace of packets, with its own timing, instead of speech');
}

/** The same options as arguments, for a simulator in its own process. */
export function simulatorArguments(flags: SimulatorFlags): string[] {
  const { codec, channels, loss, burst, reorder, duplicate, jitterMs, seed, trace } = flags;
  const given = { codec, channels, loss, burst, reorder, duplicate, 'jitter-ms': jitterMs, seed, trace };
  const options = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return [...options, ...(flags.fault ?? []).flatMap((fault) => ['--fault', fault])];
}

export function registerSimulate(program: Command): Command {
  const command = program
    .command('simulate')
    .description('run a simulated Genesys Cloud on this machine, whose calls play speech')
    .option('--port <n>', 'port to listen on (default: any free one)', numberFrom(0, 65_535))
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--interactions <n>', 'number of calls (default: 1)', numberFrom(1, LIMITS.maxStreams))
    .option('--seconds <s>', 'length of each call; endless when left out', numberFrom(0.02, 86_400, 'any'))
    .option('--queue <id>', 'let the calls arrive at this queue; repeatable', collect)
    .option('--user <id>', 'let the calls arrive at this user; repeatable', collect)
    .option('--spread-seconds <s>', 'time over which such calls arrive (default: 0)', numberFrom(0, 86_400, 'any'))
    .option('--secure-pause <share>', 'share of such calls with a secure pause, 0 to 1', share)
    .option('--books <file>', 'write a ledger of everything that was sent to this file at the end');
  registerSimulateAudioHook(command.enablePositionalOptions());
  return addSimulatorOptions(command, 'pcmu')
    .addHelpText(
      'after',
      `
When ready it prints one line of JSON: apiUrl, mediaUrl and interactionIds. A call begins with its first subscription
and ends when its client unsubscribes or disconnects, so each call can be captured once. The simulator ends at Ctrl-C.
When calls have a length, it also ends one second after the last call that was begun is over and the clients have left,
or, when no client connects, 30 seconds after all calls could have been over.

While it runs, GET <apiUrl>/books returns the ledger, GET <apiUrl>/requests every request so far, and POST
<apiUrl>/faults takes the faults of --fault as JSON, such as {"fault":"cut","everySeconds":5,"count":2}:
${FAULT_HELP}

Examples:
  $ trunkline simulate --port 8080 --interactions 8 --codec mixed --seconds 60 --books books.json
  $ trunkline simulate --queue SALES --interactions 100 --seconds 20 --spread-seconds 60 --secure-pause 0.1
  $ trunkline simulate --interactions 50 --fault tokenLife:seconds=20 --fault cut:everySeconds=5,count=2
  $ trunkline simulate --interactions 50 --loss 0.02 --reorder 0.03 --duplicate 0.01 --jitter-ms 30 --seed 7
  $ curl -d '{"fault":"cut"}' http://127.0.0.1:8080/faults     cut a connection of the one that runs`,
    )
    .action(async (flags: SimulateFlags) => {
      const { books: ledgerFile, fault = [], queue, user, ...options } = flags;
      // So that a file that cannot be written is reported at the start and not after the run.
      if (ledgerFile !== undefined) writeFileAtomically(ledgerFile, '{"interactions":{}}\n');
      const { startSimulator } = await import('../../simulator/genesys/simulator.js');
      const { parseFault } = await import('../../simulator/genesys/fault-commands.js');
      const faultList = fault.map(parseFault);
      const interrupted = watchSignals(STOP_SECONDS).requested;
      const simulator = await startSimulator({
        ...options,
        faultList,
        ...(queue === undefined ? {} : { queues: [...queue] }),
        ...(user === undefined ? {} : { users: [...user] }),
      });
      const { apiUrl, mediaUrl, interactionIds } = simulator;
      print(`${JSON.stringify({ apiUrl, mediaUrl, interactionIds })}\n`);
      await Promise.race([simulator.done, interrupted]);
      await simulator.close();
      if (ledgerFile !== undefined) writeFileAtomically(ledgerFile, `${JSON.stringify(simulator.ledger(), null, 2)}\n`);
    });
}

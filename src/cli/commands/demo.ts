import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { z } from 'zod';
import { type SettingName, settingsOf } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import { addSettingOptions, loadSettings, numberFrom } from '../arguments.js';
import { watchSignals } from '../process/signals.js';
import { addSimulatorOptions, type SimulatorFlags, simulatorArguments } from './simulate.js';

// Long enough to open the console and listen in.
const DEFAULTS = { streams: 8, seconds: 180, codec: 'mixed' } as const;
/** Settings that make sense when the other side is the simulator. */
const SETTING_NAMES: readonly SettingName[] = [
  ...settingsOf('recording', 'attribute', 'control').map(({ name }) => name),
  'shards',
  'playoutDelay',
  'playoutDelayMs',
  'minPlayoutDelayMs',
  'maxPlayoutDelayMs',
  'silenceDetector',
  'silenceThreshold',
  'includeSilent',
  'audit',
  'native',
  'opusSampleRate',
  'logLevel',
  'logFormat',
  'metricsSeconds',
  'json',
];

const readySchema = z.object({ apiUrl: z.string(), mediaUrl: z.string(), interactionIds: z.array(z.string()) });

interface DemoFlags extends SimulatorFlags {
  readonly streams?: number;
  readonly seconds?: number;
}

export function registerDemo(program: Command): Command {
  const command = program
    .command('demo')
    .description('capture live speech from a simulated Genesys Cloud on this machine')
    .option('--streams <n>', `number of calls (default: ${DEFAULTS.streams})`, numberFrom(1, LIMITS.maxStreams))
    .option('--seconds <s>', `length of the calls (default: ${DEFAULTS.seconds})`, numberFrom(0.02, 86_400, 'any'));
  addSimulatorOptions(command, DEFAULTS.codec);
  return addSettingOptions(command, SETTING_NAMES)
    .addHelpText(
      'after',
      `
The simulator runs in its own process; this process is the capture node. Afterwards, listen to the recordings:
<out>/<interaction>/audio.wav.

Examples:
  $ trunkline demo --streams 50 --seconds 30
  $ trunkline demo --codec opus --loss 0.02 --reorder 0.03 --duplicate 0.01 --jitter-ms 30 --seed 7 --json`,
    )
    .action(async (flags: DemoFlags) => {
      const { streams = DEFAULTS.streams, seconds = DEFAULTS.seconds, codec = DEFAULTS.codec } = flags;
      const loaded = loadSettings(command);
      // A mistake in it is a usage error; in the simulator's process it would look like a failed start.
      const { parseFault } = await import('../../simulator/genesys/fault-commands.js');
      flags.fault?.forEach(parseFault);
      const interruption = watchSignals(loaded.config.drainSeconds + 1);
      const simulator = startSimulator([
        ...['--port', '0', '--interactions', String(streams), '--seconds', String(seconds)],
        ...simulatorArguments({ ...flags, codec }),
      ]);
      try {
        const { apiUrl, mediaUrl, interactionIds } = await readyLine(simulator);
        const config = {
          ...loaded.config,
          ...{ apiUrl, mediaUrl, interactions: interactionIds, clientId: 'demo', clientSecret: 'demo' },
          maxStreams: Math.max(loaded.config.maxStreams, streams),
        };
        const { runNode } = await import('../console/run-node.js');
        await runNode({ ...loaded, config }, ['genesys'], interruption, { anyControlPort: true });
      } finally {
        await stopped(simulator);
      }
    });
}

function startSimulator(args: readonly string[]): ChildProcess {
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  // In its own process group: Ctrl-C is for the node, which then stops the simulator.
  const command = [main, 'simulate', ...args];
  const simulator = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  process.once('exit', () => simulator.kill());
  return simulator;
}

async function readyLine(simulator: ChildProcess): Promise<z.infer<typeof readySchema>> {
  if (simulator.stdout === null) throw new TypeError('The simulator was started without a pipe.');
  const lines = createInterface({ input: simulator.stdout });
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    once(simulator, 'exit').then(() => undefined),
  ]);
  if (first === undefined) {
    throw new TrunklineError('CONNECTION_FAILED', 'The simulator did not start; its own message is above.');
  }
  return readySchema.parse(JSON.parse(first));
}

async function stopped(simulator: ChildProcess): Promise<void> {
  if (simulator.exitCode !== null || simulator.signalCode !== null) return;
  const exit = once(simulator, 'exit');
  simulator.kill('SIGTERM');
  await exit;
}

import { type Command, Option } from 'commander';
import type { SettingName } from '../../../config/schema.js';
import type { JitterReport } from '../../../evaluation/jitter-report.js';
import { addSettingOptions, loadSettings, numberFrom } from '../../arguments.js';
import { print, printJson } from '../../process/output.js';

const SETTINGS: readonly SettingName[] = ['playoutDelay', 'playoutDelayMs', 'minPlayoutDelayMs', 'maxPlayoutDelayMs'];
const MAX_SECONDS = 86_400;

interface Flags {
  readonly trace: string;
  readonly mode?: 'adaptive' | 'fixed';
  readonly fromSeconds?: number;
  readonly json?: true;
}

export function registerEvalJitter(group: Command): Command {
  const command = group
    .command('jitter')
    .description('play a trace of packets through the jitter buffer: delays, late and lost packets')
    .requiredOption('--trace <file>', 'packets in the order of arrival, as JSON lines')
    .addOption(
      new Option('--mode <mode>', 'which packets are held (default: that of --playout-delay)').choices([
        'adaptive',
        'fixed',
      ]),
    )
    .option('--from-seconds <s>', 'leave out the delays of packets before that', numberFrom(0, MAX_SECONDS, 'any'))
    .option('--json', 'print the result as one JSON object');
  return addSettingOptions(command, SETTINGS)
    .addHelpText(
      'after',
      `
The first line of a trace is {"clockHz":8000}, each other one a packet: {"arrivalUs":0,"seq":1,"ts":0,"pt":0,
"marker":false,"payload":"base64"}. Delays count from a packet's timestamp, over the path of the fastest packet;
the added delay from its arrival.

Example:
  $ trunkline eval jitter --trace call.jsonl --from-seconds 2`,
    )
    .action(async ({ trace: file, mode, fromSeconds = 0, json }: Flags) => {
      const { config, origins } = loadSettings(command);
      const { readTrace } = await import('../../../evaluation/trace.js');
      const { evaluateJitter } = await import('../../../evaluation/jitter-report.js');
      const { playoutDelayMs, minPlayoutDelayMs, maxPlayoutDelayMs } = config;
      const settings = {
        ...{ playoutDelay: mode ?? config.playoutDelay, playoutDelayMs, minPlayoutDelayMs },
        // Its default depends on the mode.
        ...(origins.has('maxPlayoutDelayMs') && { maxPlayoutDelayMs }),
      };
      const report = await evaluateJitter(await readTrace(file), settings, fromSeconds);
      if (json) printJson(report);
      else print(tableOf(report));
    });
}

const LABELS: Readonly<Record<keyof JitterReport, readonly [label: string, unit: string]>> = {
  packets: ['packets in the trace', ''],
  received: ['received, without copies', ''],
  lost: ['lost', ''],
  duplicates: ['copies', ''],
  reordered: ['reordered', ''],
  latePercent: ['too late for the live line', ' %'],
  meanDelayMillis: ['delay over the fastest path, mean', ' ms'],
  p95DelayMillis: ['delay over the fastest path, 95 %', ' ms'],
  addedDelayMillis: ['added by the jitter buffer, mean', ' ms'],
  concealedMillis: ['concealed on the live line', ' ms'],
  recordedUniquePackets: ['packets in the recording', ''],
  repaired: ['of those, too late for the live line', ''],
};

function tableOf(report: JitterReport): string {
  const labels = Object.entries(LABELS) as [keyof JitterReport, readonly [string, string]][];
  return labels.map(([field, [label, unit]]) => `${label.padEnd(38)}${report[field]}${unit}\n`).join('');
}

import process from 'node:process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { TrunklineError } from '../../core/errors.js';
import type { AudioHookCallLedger, AudioHookClientLedger } from '../../simulator/audiohook/ledger.js';
import {
  AUTHENTICATION_FAULTS,
  type ProtocolFault,
  SESSION_FAULTS,
} from '../../simulator/audiohook/protocol-faults.js';
import type { HookMedia, HookScriptStretch } from '../../simulator/audiohook/script.js';
import { numberFrom } from '../arguments.js';
import { writeFileAtomically } from '../process/atomic-file.js';
import { print, printJson } from '../process/output.js';
import { STOP_SECONDS, watchSignals } from '../process/signals.js';

interface Flags {
  readonly url: string;
  readonly apiKey?: string;
  readonly clientSecret?: string;
  readonly sessions: number;
  readonly rate?: number;
  readonly wav?: string;
  readonly frameMs?: number;
  readonly seconds: number;
  readonly media?: readonly HookMedia[];
  readonly pause?: readonly HookScriptStretch[];
  readonly discard?: readonly HookScriptStretch[];
  readonly burst?: number;
  readonly lossAt?: number;
  readonly rejoin?: boolean;
  readonly probe?: boolean;
  readonly fault?: ProtocolFault;
  /** The name that --fault had before. */
  readonly mischief?: ProtocolFault;
  readonly pingSeconds?: number;
  readonly seed?: number;
  readonly insecure?: boolean;
  readonly books?: string;
  readonly json?: boolean;
}

const MAX_SESSIONS = 16_384;
/** Kinds of failure that the summary names. */
const MAX_REASONS = 10;
const seconds = numberFrom(0.02, 86_400, 'any');

export function registerSimulateAudioHook(simulate: Command): Command {
  return simulate
    .command('audiohook')
    .description('call an AudioHook server as Genesys Cloud does')
    .requiredOption('--url <url>', 'the server, ws:// or wss://, with path')
    .addOption(new Option('--api-key <key>', 'API key').env('TRUNKLINE_AUDIOHOOK_API_KEY'))
    .addOption(
      new Option(
        '--client-secret <base64>',
        'client secret to sign with; better set in the environment, because other users can read command lines',
      ).env('TRUNKLINE_AUDIOHOOK_CLIENT_SECRET'),
    )
    .addOption(new Option('--sessions <n>', 'number of calls').default(1).argParser(numberFrom(1, MAX_SESSIONS)))
    .option('--rate <n>', 'new sessions a second (default: 200)', numberFrom(0.01, 100_000, 'any'))
    .addOption(new Option('--seconds <s>', 'length of each call').default(10).argParser(seconds))
    .option('--frame-ms <ms>', 'audio in one frame, such as 20 or 200 (default: 200)', numberFrom(1, 10_000))
    .option('--wav <file>', 'audio of the call: 8000 Hz, 16 bit, one or two channels (default: generated)')
    .addOption(new Option('--media <name,…>', MEDIA_HELP).argParser(mediaFrom))
    .addOption(new Option('--pause <at+length>', 'secure pause, in seconds; repeatable').argParser(stretchFrom))
    .addOption(
      new Option('--discard <at+length>', 'discarded audio, in seconds; may be repeated').argParser(stretchFrom),
    )
    .option('--burst <s>', 'send this much of the call at once after opened, as history', seconds)
    .option('--loss-at <s>', 'break the connection there without closing it', seconds)
    .option('--rejoin', 'continue in a new session after a loss or when asked to reconnect')
    .option('--probe', 'connection probes instead of calls')
    .addOption(
      new Option('--fault <name>', 'what every call does wrong').choices([...AUTHENTICATION_FAULTS, ...SESSION_FAULTS]),
    )
    .addOption(
      new Option('--mischief <name>', 'deprecated: use --fault')
        .choices([...AUTHENTICATION_FAULTS, ...SESSION_FAULTS])
        .conflicts('fault')
        .hideHelp(),
    )
    .option('--ping-seconds <s>', 'between two pings (default: 5)', numberFrom(0.01, 3_600, 'any'))
    .option('--seed <n>', 'seed of the generated audio', numberFrom(0, Number.MAX_SAFE_INTEGER))
    .option('--insecure', 'accept a self-signed certificate')
    .option('--books <file>', 'write a ledger of every call to this file at the end')
    .option('--json', 'end with one JSON object as the last line of stdout')
    .addHelpText(
      'after',
      `
It ends when all calls are over, or at Ctrl-C, each call closed properly. Exit code 1: the server broke the protocol, or
a call that did nothing wrong was refused, failed or lost. Of replays, the first is let in.

Examples:
  $ trunkline simulate audiohook --url ws://127.0.0.1:8080/audiohook/ws --api-key K --sessions 100 --seconds 30
  $ trunkline simulate audiohook --url … --frame-ms 20 --burst 10 --pause 12+3 --discard 20+0.5 --books books.json
  $ trunkline simulate audiohook --url … --fault badSignature`,
    )
    .action(run);
}

const MEDIA_HELP =
  'media to offer, in this order: pcmu or l16, then a colon and e, i, ei or ie for the channels (default: pcmu:ei,pcmu:e,pcmu:i)';

async function run(flags: Flags): Promise<void> {
  const { pause, discard, burst, lossAt, books: file, json, apiKey, mischief, ...same } = flags;
  const fault = same.fault ?? mischief;
  if (apiKey === undefined) {
    throw new TrunklineError('CONFIG_INVALID', 'Give --api-key, or TRUNKLINE_AUDIOHOOK_API_KEY in the environment.');
  }
  const { runAudioHookClient } = await import('../../simulator/audiohook/client.js');
  const stop = new AbortController();
  void watchSignals(STOP_SECONDS).requested.then(() => stop.abort());
  // So that a file that cannot be written is reported at the start and not after the run.
  if (file !== undefined) writeFileAtomically(file, '{"calls":[]}\n');
  const ledger = await runAudioHookClient({
    ...same,
    ...(fault === undefined ? {} : { fault }),
    apiKey,
    signal: stop.signal,
    ...(pause === undefined ? {} : { pauses: pause }),
    ...(discard === undefined ? {} : { discards: discard }),
    ...(burst === undefined ? {} : { burstSeconds: burst }),
    ...(lossAt === undefined ? {} : { lossAtSeconds: lossAt }),
  });
  if (file !== undefined) writeFileAtomically(file, `${JSON.stringify(ledger, null, 2)}\n`);
  const { calls, ...totals } = ledger;
  if (json) printJson(totals);
  else print(summaryOf(ledger));
  const { refused, failed, lost } = ledger.outcomes;
  const unwanted = fault === undefined ? refused + failed + (lossAt === undefined ? lost : 0) : 0;
  if (ledger.violations + unwanted > 0) process.exitCode = 1;
}

function summaryOf({ calls, outcomes, framesSent, violations, roundTrip, opened }: AudioHookClientLedger): string {
  const ends = Object.entries(outcomes).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []));
  const lines = [
    `${calls.length} calls: ${ends.join(', ')}; ${framesSent} frames sent, ${violations} violations by the server`,
  ];
  const { p50, p99, count } = roundTrip;
  if (count > 0) lines.push(`pong p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
  if (opened.count > 0) lines.push(`opened p50 ${opened.p50.toFixed(2)} ms, max ${opened.max.toFixed(2)} ms`);
  const counts = new Map<string, number>();
  for (const reason of calls.flatMap(failuresOf)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  for (const [reason, times] of [...counts].slice(0, MAX_REASONS)) lines.push(`${times} × ${reason}`);
  return `${lines.join('\n')}\n`;
}

function failuresOf({ status, error, disconnect, violations }: AudioHookCallLedger): string[] {
  const told = disconnect === undefined ? [] : [`told to disconnect, ${disconnect.reason}: ${disconnect.info ?? ''}`];
  const answered = status === undefined ? [] : [`answered ${status}`];
  return [...answered, ...(error === undefined ? [] : [`no connection: ${error}`]), ...told, ...violations];
}

const CHANNELS = { e: 'external', i: 'internal' } as const;

function mediaFrom(text: string): HookMedia[] {
  return text.split(',').map((part) => {
    const match = /^(pcmu|l16):(e|i|ei|ie)$/i.exec(part.trim());
    if (match === null) throw new InvalidArgumentError('Such as pcmu:ei or l16:ie,pcmu:e.');
    const format = match[1]?.toUpperCase() === 'L16' ? 'L16' : 'PCMU';
    const channels = [...(match[2]?.toLowerCase() ?? '')].map((letter) => CHANNELS[letter === 'e' ? 'e' : 'i']);
    return { format, channels };
  });
}

function stretchFrom(text: string, before: readonly HookScriptStretch[] = []): HookScriptStretch[] {
  const match = /^(\d+(?:\.\d+)?)\+(\d+(?:\.\d+)?)$/.exec(text.trim());
  if (match === null) throw new InvalidArgumentError('Two numbers of seconds, as 12.5+3: where, and how long.');
  const stretch = { atSeconds: Number(match[1]), lastsSeconds: Number(match[2]) };
  return [...before, stretch].sort((a, b) => a.atSeconds - b.atSeconds);
}

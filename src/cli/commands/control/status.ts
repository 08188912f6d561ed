import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { TrunklineError } from '../../../core/errors.js';
import { printable } from '../../console/live-table.js';
import { print, printJson } from '../../process/output.js';
import { addControlOptions, ControlClient, type ControlFlags } from './client.js';

interface Flags extends ControlFlags {
  readonly json?: true;
  readonly watch?: true;
}

const EVERY_MS = 1_000;
const SHOWN_WARNINGS = 5;
const CLEAR = '\u001b[H\u001b[2J';

export function registerStatus(program: Command): Command {
  const command = program.command('status').description('print how a running node does');
  return addControlOptions(command)
    .option('--json', 'print one JSON object: the answers of /api/v1/node and /api/v1/node/stats')
    .option('--watch', 'print it every second until Ctrl-C')
    .addHelpText(
      'after',
      `
The exit code is 0 while the node is ok or degraded, and 1 when it is failing or does not answer.

Examples:
  $ trunkline status
  $ TRUNKLINE_TOKEN=… trunkline status --url https://node-1:9464 --watch`,
    )
    .action((flags: Flags) => status(flags));
}

async function status(flags: Flags): Promise<void> {
  const client = new ControlClient(flags);
  let interrupted = false;
  const stop = new AbortController();
  if (flags.watch) {
    process.once('SIGINT', () => {
      interrupted = true;
      stop.abort();
    });
  }
  do {
    const [node, stats] = await Promise.all([client.call('GET', '/node'), client.call('GET', '/node/stats')]);
    const read = answerSchema.safeParse({ node, stats }).data;
    if (read === undefined) {
      throw new TrunklineError('PROTOCOL_ERROR', `What answers at ${client.url} is another version of trunkline.`);
    }
    const text = (): string => `${flags.watch && process.stdout.isTTY ? CLEAR : ''}${statusText(read, client.url)}\n`;
    if (flags.json) printJson({ node, stats });
    else print(text());
    process.exitCode = read.node.status === 'failing' ? 1 : 0;
    if (flags.watch) await sleep(EVERY_MS, undefined, { signal: stop.signal }).catch(() => {});
  } while (flags.watch && !interrupted);
}

/** What is printed of the answers. */
const answerSchema = z.object({
  node: z.object({
    version: z.string(),
    uptimeSeconds: z.number(),
    backend: z.string(),
    status: z.string(),
    checks: z.array(z.object({ name: z.string(), status: z.string(), reason: z.string().optional() })),
    shards: z.array(
      z.object({
        name: z.string(),
        utilisation: z.number(),
        restarts: z.number(),
        streams: z.number(),
        rings: z.array(z.object({ name: z.string(), fill: z.number(), refused: z.number() })),
      }),
    ),
    sources: z.array(z.looseObject({ name: z.string(), kind: z.string() })),
    warnings: z.array(z.object({ at: z.string(), level: z.string(), message: z.string() })),
  }),
  stats: z.object({
    streams: z.number(),
    throughput: z.object({ recent: z.object({ packetsPerSecond: z.number(), packetLossRate: z.number() }) }),
    deliveredMicros: z.object({ p50: z.number(), p99: z.number() }),
    drops: z.number(),
    oneWayAudio: z.number(),
    oneWayAudioNow: z.number(),
    refused: z.record(z.string(), z.number()),
  }),
});
type Read = z.infer<typeof answerSchema>;

function statusText({ node, stats }: Read, url: string): string {
  const { packetsPerSecond, packetLossRate } = stats.throughput.recent;
  const { p50, p99 } = stats.deliveredMicros;
  const lines = [
    `${node.status.toUpperCase()}  trunkline ${node.version} at ${url}, up ${durationText(node.uptimeSeconds)}, ${node.backend}`,
    row('traffic', [
      `${stats.streams} streams`,
      `${packetsPerSecond.toFixed(0)} packets/s`,
      `loss ${percent(packetLossRate, 2)}`,
      `latency p50 ${milliseconds(p50)} p99 ${milliseconds(p99)}`,
      `drops ${stats.drops}`,
    ]),
    ...(stats.oneWayAudio === 0
      ? []
      : [row('one-way', [`${stats.oneWayAudioNow} now`, `${stats.oneWayAudio} since the start`])]),
    ...node.shards.map(({ name, utilisation, restarts, streams, rings }) =>
      row(name, [
        `${percent(utilisation, 0)} busy`,
        ...(rings.length > 0 ? [`${streams} streams`] : []),
        ...rings.map((ring) => `${ring.name} ring ${percent(ring.fill, 0)}`),
        ...(restarts > 0 ? [`restarted ${restarts} times`] : []),
      ]),
    ),
    ...node.sources.map((source) => row(source.name, sourceTexts(source))),
    ...Object.entries(stats.refused).map(([reason, count]) => row('refused', [reason, String(count)])),
    ...node.checks
      .filter((check) => check.status !== 'ok')
      .map((check) => row(check.status, [check.name, ...(check.reason === undefined ? [] : [check.reason])])),
    ...node.warnings
      .slice(-SHOWN_WARNINGS)
      .map(({ at, level, message }) => row(level === 'error' ? 'error' : 'warning', [at.slice(11, 19), message])),
  ];
  return lines.map(printable).join('\n');
}

/** What any kind of source may say of itself. */
function sourceTexts({
  kind,
  connections,
  interactions,
  sessions,
  draining,
}: Read['node']['sources'][number]): string[] {
  const texts = [kind];
  if (Array.isArray(connections)) {
    const open = connections.filter(
      (one) => typeof one === 'object' && one !== null && 'state' in one && one.state === 'open',
    );
    texts.push(`${open.length} of ${connections.length} connections open`);
  }
  if (typeof interactions === 'number') texts.push(`${interactions} interactions`);
  if (Array.isArray(sessions)) texts.push(`${sessions.length} sessions`);
  if (draining === true) texts.push('draining');
  return texts;
}

function row(name: string, texts: readonly string[]): string {
  return `  ${name.padEnd(10)} ${texts.join('  ')}`;
}

function percent(share: number, digits: number): string {
  return `${(share * 100).toFixed(digits)} %`;
}

function milliseconds(us: number): string {
  return `${(us / 1e3).toFixed(1)} ms`;
}

/** The two largest units, such as `2 h 5 min`. */
export function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const units = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return units
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

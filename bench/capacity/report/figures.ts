import { escapeHtml } from '../../page/html.js';
import type { Baseline } from '../processes/messages.js';
import type { Figures } from './round-figures.js';
import type { Calls, CapacityRun } from './summary.js';

const MEBIBYTE = 2 ** 20;

type Row = readonly [name: string, value: (run: CapacityRun) => string | undefined];

const GROUPS: readonly (readonly [heading: string, rows: readonly Row[]])[] = [
  [
    'Load',
    [
      ['packets sent', (run) => run.packetsSent.toLocaleString('en')],
      ['dropped', (run) => run.dropped.toLocaleString('en')],
      ['dropped or damaged, by counter', ({ droppedWhere }) => counted(droppedWhere)],
      ['generator late p99, ms', (run) => millis(run.generator.latenessMicros.p99)],
      ['rounds valid', (run) => `${run.rounds.valid} of ${run.rounds.valid + run.rounds.invalid}`],
    ],
  ],
  [
    'CPU, µs a packet',
    [
      ['node', (run) => run.cpuMicrosPerPacket.toFixed(2)],
      ['… its main thread', (run) => run.cpuThreadsMicrosPerPacket.main.toFixed(2)],
      ['… its workers', (run) => run.cpuThreadsMicrosPerPacket.workers.toFixed(2)],
      ['… the kernel', ofNode(({ kernelMicrosPerPacket }) => kernelMicrosPerPacket, 2)],
      ['… the kernel, on the main thread', ofNode(({ mainKernelMicrosPerPacket }) => mainKernelMicrosPerPacket, 2)],
      ['… the kernel, in workers', ofNode(({ workersKernelMicrosPerPacket }) => workersKernelMicrosPerPacket, 2)],
      ['… its other threads', (run) => run.cpuThreadsMicrosPerPacket.others.toFixed(2)],
      ['bareWs', ofBaseline('bareWs')],
      ['tutorial', ofBaseline('tutorial')],
      ['plain node', ofBaseline('plain')],
      ['plain loop over the decoder', (run) => run.decodeLoop?.cpuMicrosPerPacket.toFixed(2)],
      ['node ÷ bareWs', (run) => run.ratio.bareWs?.toFixed(2)],
      ['node ÷ tutorial', (run) => run.ratio.tutorial?.toFixed(2)],
      ['node ÷ plain node', (run) => run.ratio.plain?.toFixed(2)],
      ['workers ÷ plain loop', (run) => run.decodeLoop?.ratio.toFixed(2)],
      ['cores that the node keeps busy', (run) => run.coresUsed.toFixed(3)],
    ],
  ],
  [
    'Wake-ups',
    [
      ['thread switches a packet', ofNode(({ switchesPerPacket }) => switchesPerPacket, 3)],
      ['… of the main thread', ofNode(({ mainSwitchesPerPacket }) => mainSwitchesPerPacket, 3)],
      ['… of the workers', ofNode(({ workersSwitchesPerPacket }) => workersSwitchesPerPacket, 3)],
      ['packets in a socket read', ofNode(({ packetsPerRead }) => packetsPerRead, 1)],
      ['… of bareWs', ({ medians: { bareWs } }) => bareWs?.packetsPerRead?.toFixed(1)],
      ['… of tutorial', ({ medians: { tutorial } }) => tutorial?.packetsPerRead?.toFixed(1)],
      ['CPU of the generator, µs a packet', (run) => run.generator.cpuMicrosPerPacket.toFixed(2)],
    ],
  ],
  [
    'Latency, ms',
    [
      ['p50', (run) => millis(run.latencyMicros.p50)],
      ['p99', (run) => millis(run.latencyMicros.p99)],
      ['p99.9', (run) => millis(run.latencyMicros.p999)],
      ['max', (run) => millis(run.latencyMicros.max)],
      ['decoded, p99', (run) => millis(run.latencyProcessedMicros.p99)],
      ['event loop delay p99', (run) => run.eventLoopDelayMillis.p99.toFixed(1)],
    ],
  ],
  [
    'Answers, ms',
    [
      ['ping due → pong, p50', ofCalls(({ pingMicros }) => millis(pingMicros.p50))],
      ['… p99', ofCalls(({ pingMicros }) => millis(pingMicros.p99))],
      ['… max', ofCalls(({ pingMicros }) => millis(pingMicros.max))],
      [
        '… p99 of bareWs',
        ({ baselines: { bareWs } }) => (bareWs?.calls ? millis(bareWs.calls.pingMicros.p99) : undefined),
      ],
      ['… number of pings', ofCalls(({ pings }) => pings.toLocaleString('en'))],
      ['open → opened, p50', ofCalls(({ openedMicros }) => millis(openedMicros.p50))],
      ['… p99', ofCalls(({ openedMicros }) => millis(openedMicros.p99))],
      ['… max', ofCalls(({ openedMicros }) => millis(openedMicros.max))],
      ['call due → opened, p99', ofCalls(({ connectedMicros }) => millis(connectedMicros.p99))],
      ['calls opened a second', ofCalls(({ openRate }) => openRate.toLocaleString('en'))],
      ['errors', ofCalls(({ errors }) => counted(errors) ?? 'none')],
    ],
  ],
  [
    'Memory',
    [
      ['resident before the start, MiB', (run) => mebibytes(run.rssBytes.idle)],
      ['resident at the start, MiB', (run) => mebibytes(run.rssBytes.before)],
      ['resident at the end, MiB', (run) => mebibytes(run.rssBytes.after)],
      ['a stream, beyond 100 MB, kB', ofNode(({ bytesPerStream }) => (bytesPerStream ?? 0) / 1e3, 1)],
      ['growth of the heap a minute, kB', ofNode(({ heapBytesPerMinute }) => (heapBytesPerMinute ?? 0) / 1024, 0)],
      ['growth of the heap, kB', (run) => kibibytes(run.heapGrowthBytes)],
      ['growth of buffers, kB', (run) => kibibytes(run.externalGrowthBytes)],
    ],
  ],
];

/** Every figure for every number of streams. Rows and groups that say nothing are left out. */
export function figuresTable(runs: readonly CapacityRun[], unit: string): string {
  const head = runs.map((run) => `<th scope="col">${run.streams.toLocaleString('en')}</th>`).join('');
  const groups = GROUPS.map(([heading, rows]) => ({ heading, rows: rows.flatMap((row) => rowOf(row, runs)) }))
    .filter(({ rows }) => rows.length > 0)
    .map(
      ({ heading, rows }) =>
        `<tbody><tr><th scope="rowgroup" colspan="${runs.length + 1}">${escapeHtml(heading)}</th></tr>${rows.join('\n')}</tbody>`,
    );
  return `<div class="scroll"><table><thead><tr><th scope="col">${unit}</th>${head}</tr></thead>${groups.join('\n')}</table></div>`;
}

function rowOf([name, value]: Row, runs: readonly CapacityRun[]): string[] {
  const values = runs.map(value);
  if (values.every((text) => text === undefined)) return [];
  const cells = values.map((text) => `<td>${escapeHtml(text ?? '–')}</td>`);
  return [`<tr><th scope="row">${escapeHtml(name)}</th>${cells.join('')}</tr>`];
}

function ofNode(value: (figures: Figures) => number | null, digits: number): Row[1] {
  return ({ medians: { node } }) => (node === null ? undefined : value(node)?.toFixed(digits));
}

function ofCalls(value: (calls: Calls) => string): Row[1] {
  return ({ calls }) => (calls === null ? undefined : value(calls));
}

function ofBaseline(kind: Baseline): Row[1] {
  return ({ baselines }) => {
    const baseline = baselines[kind];
    return baseline === null ? undefined : baseline.cpuMicrosPerPacket.toFixed(2) + (baseline.saturated ? ' *' : '');
  };
}

function counted(counts: Readonly<Record<string, number>>): string | undefined {
  const parts = Object.entries(counts).map(([name, n]) => `${name} ${n.toLocaleString('en')}`);
  return parts.length === 0 ? undefined : parts.join(', ');
}

function millis(us: number): string {
  return (us / 1e3).toFixed(us < 10_000 ? 2 : 1);
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(0);
}

function kibibytes(bytes: number): string {
  return (bytes / 1024).toFixed(0);
}

import { provenanceLines } from '../../provenance.js';
import type { Baseline } from '../processes/messages.js';
import type { CapacityReport, CapacityRun } from './summary.js';

const MEBIBYTE = 2 ** 20;

/** A column without a single cell is left out. */
type Column = readonly [title: string, cell: (run: CapacityRun) => string | undefined];

const COLUMNS: readonly Column[] = [
  ['streams', (run) => `${run.streams}`],
  ['codec', (run) => run.codec + (run.record ? '+rec' : '')],
  ['packet ms', (run) => (run.source === 'audiohook' ? `${run.packetMillis}` : undefined)],
  ['µs/packet', (run) => run.cpuMicrosPerPacket.toFixed(2)],
  ['main', (run) => run.cpuThreadsMicrosPerPacket.main.toFixed(2)],
  ['workers', (run) => run.cpuThreadsMicrosPerPacket.workers.toFixed(2)],
  ['cores', (run) => run.coresUsed.toFixed(3)],
  ['bareWs', (run) => compared(run, 'bareWs')],
  ['tutorial', (run) => compared(run, 'tutorial')],
  ['plain', (run) => compared(run, 'plain')],
  ['dropped', (run) => `${run.dropped} of ${run.packetsSent}`],
  ['p50', (run) => millis(run.latencyMicros.p50)],
  ['p99', (run) => millis(run.latencyMicros.p99)],
  ['p99.9', (run) => millis(run.latencyMicros.p999)],
  ['max ms', (run) => millis(run.latencyMicros.max)],
  ['loop p99', (run) => run.eventLoopDelayMillis.p99.toFixed(1)],
  ['RSS MiB', (run) => `${Math.round(run.rssBytes.after / MEBIBYTE)}`],
  ['heap +kB', (run) => `${Math.round(run.heapGrowthBytes / 1024)}`],
  ['rounds', (run) => (run.valid ? `${run.rounds.valid}/${run.rounds.valid + run.rounds.invalid}` : 'INVALID')],
];

/** Of sessions that were opened and asked. The baseline's ping is what the machine and the generator add to ours. */
const CALL_COLUMNS: readonly Column[] = [
  ['streams', (run) => `${run.streams}`],
  ['ping p50', ({ calls }) => (calls ? millis(calls.pingMicros.p50) : undefined)],
  ['p99', ({ calls }) => (calls ? millis(calls.pingMicros.p99) : undefined)],
  ['max', ({ calls }) => (calls ? millis(calls.pingMicros.max) : undefined)],
  ['pings', ({ calls }) => calls?.pings.toString()],
  ['bareWs ping p99', ({ baselines: { bareWs } }) => (bareWs?.calls ? millis(bareWs.calls.pingMicros.p99) : undefined)],
  ['open to opened p50', ({ calls }) => (calls ? millis(calls.openedMicros.p50) : undefined)],
  ['p99', ({ calls }) => (calls ? millis(calls.openedMicros.p99) : undefined)],
  ['max', ({ calls }) => (calls ? millis(calls.openedMicros.max) : undefined)],
  ['due to opened p99', ({ calls }) => (calls ? millis(calls.connectedMicros.p99) : undefined)],
  ['opened a second', ({ calls }) => calls?.openRate.toString()],
  ['errors', ({ calls }) => (calls === null ? undefined : counted(calls.errors) || 'none')],
];

/** For people; everything is in the JSON. */
export function capacityTable(report: CapacityReport): string {
  const { backend, runs } = report;
  const lost = runs.flatMap(({ streams, droppedWhere }) =>
    Object.keys(droppedWhere).length > 0 ? [`${streams} streams: ${counted(droppedWhere)}`] : [],
  );
  const loops = runs.flatMap(({ streams, decodeLoop }) =>
    decodeLoop === null
      ? []
      : [
          `${streams} streams: ${decodeLoop.cpuMicrosPerPacket} µs a packet in a plain ${decodeLoop.decoder} loop; the workers take ×${decodeLoop.ratio} of it`,
        ],
  );
  const calls = runs.filter((run) => run.calls !== null);
  return [
    ...provenanceLines(report),
    `Backend ${backend}. Latency from when each packet was due, without the playout delay, in ms.`,
    ...tableOf(COLUMNS, runs),
    ...lost,
    ...loops,
    ...(calls.length === 0 ? [] : ['From when each ping was due to its pong, and from open to opened, in ms.']),
    ...(calls.length === 0 ? [] : tableOf(CALL_COLUMNS, calls)),
  ].join('\n');
}

function tableOf(columns: readonly Column[], runs: readonly CapacityRun[]): string[] {
  const filled = columns.flatMap(([title, cell]) => {
    const cells = runs.map(cell);
    return cells.every((text) => text === undefined) ? [] : [[title, ...cells.map((text) => text ?? '–')]];
  });
  const widths = filled.map((column) => Math.max(...column.map((text) => text.length)));
  return [undefined, ...runs].map((_, line) =>
    filled.map((column, i) => (column[line] as string).padStart(widths[i] as number)).join('  '),
  );
}

function compared({ baselines, ratio }: CapacityRun, kind: Baseline): string | undefined {
  const baseline = baselines[kind];
  if (baseline === null) return undefined;
  return `${baseline.cpuMicrosPerPacket.toFixed(2)} (×${ratio[kind]})${baseline.saturated ? ' saturated' : ''}`;
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, n]) => `${name} ${n}`)
    .join(', ');
}

function millis(us: number): string {
  return (us / 1e3).toFixed(us < 10_000 ? 2 : 1);
}

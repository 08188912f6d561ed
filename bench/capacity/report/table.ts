import { provenanceLines } from '../../provenance.js';
import { BASELINES, type Baseline, type SubjectKind } from '../processes/messages.js';
import type { Figures } from './round-figures.js';
import type { CapacityReport, CapacityRun } from './summary.js';

const MEBIBYTE = 2 ** 20;

/** A column without a single cell is left out. */
type TableColumn<Row> = readonly [title: string, cell: (row: Row) => string | undefined];
type Column = TableColumn<CapacityRun>;

interface SubjectRow {
  readonly run: CapacityRun;
  readonly kind: SubjectKind;
  readonly figures: Figures;
}

const COLUMNS: readonly Column[] = [
  ['streams', (run) => `${run.streams}`],
  ['codec', (run) => run.codec + (run.record ? '+rec' : '') + (run.encrypt ? '+enc' : '')],
  ['packet ms', (run) => (run.source === 'audiohook' ? `${run.packetMillis}` : undefined)],
  ['µs/packet', (run) => run.cpuMicrosPerPacket.toFixed(2)],
  ['main', (run) => run.cpuThreadsMicrosPerPacket.main.toFixed(2)],
  ['workers', (run) => run.cpuThreadsMicrosPerPacket.workers.toFixed(2)],
  ['kernel', ({ medians: { node } }) => number(node?.kernelMicrosPerPacket, 2)],
  ['switches', ({ medians: { node } }) => number(node?.switchesPerPacket, 3)],
  ['packets/read', ({ medians: { node } }) => number(node?.packetsPerRead, 1)],
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
  ['kB/stream', ({ medians: { node } }) => kilobytes(node?.bytesPerStream)],
  ['heap +kB', (run) => `${Math.round(run.heapGrowthBytes / 1024)}`],
  ['generator µs', (run) => run.generator.cpuMicrosPerPacket.toFixed(2)],
  ['late p99', (run) => millis(run.generator.latenessMicros.p99)],
  ['rounds', (run) => (run.valid ? `${run.rounds.valid}/${run.rounds.valid + run.rounds.invalid}` : 'INVALID')],
];

/** Node and baselines alike. */
const SUBJECT_COLUMNS: readonly TableColumn<SubjectRow>[] = [
  ['streams', ({ run }) => `${run.streams}`],
  ['', ({ kind }) => kind],
  ['µs/packet', ({ figures }) => number(figures.cpuMicrosPerPacket, 2)],
  ['main', ({ figures }) => number(figures.mainMicrosPerPacket, 2)],
  ['… kernel', ({ figures }) => number(figures.mainKernelMicrosPerPacket, 2)],
  ['workers', ({ figures }) => number(figures.workersMicrosPerPacket, 2)],
  ['… kernel', ({ figures }) => number(figures.workersKernelMicrosPerPacket, 2)],
  ['all kernel', ({ figures }) => number(figures.kernelMicrosPerPacket, 2)],
  ['switches', ({ figures }) => number(figures.switchesPerPacket, 3)],
  ['… main', ({ figures }) => number(figures.mainSwitchesPerPacket, 3)],
  ['packets/read', ({ figures }) => number(figures.packetsPerRead, 1)],
  ['p50', ({ figures }) => millisOrNone(figures.p50Micros)],
  ['p99', ({ figures }) => millisOrNone(figures.p99Micros)],
  ['RSS MiB', ({ figures }) => number((figures.rssBytes ?? 0) / MEBIBYTE, 0)],
  ['generator µs', ({ figures }) => number(figures.generatorMicrosPerPacket, 2)],
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
  const subjects = runs.flatMap((run) =>
    (['node', ...BASELINES] as const).flatMap((kind): SubjectRow[] => {
      const figures = run.medians[kind];
      return figures === null ? [] : [{ run, kind, figures }];
    }),
  );
  const calls = runs.filter((run) => run.calls !== null);
  return [
    ...provenanceLines(report),
    `Backend ${backend}. Latency from when each packet was due, without the playout delay, in ms.`,
    ...tableOf(COLUMNS, runs),
    ...(subjects.length <= runs.length ? [] : ['The same figures of node and baselines, a packet each.']),
    ...(subjects.length <= runs.length ? [] : tableOf(SUBJECT_COLUMNS, subjects)),
    ...lost,
    ...loops,
    ...(calls.length === 0 ? [] : ['From when each ping was due to its pong, and from open to opened, in ms.']),
    ...(calls.length === 0 ? [] : tableOf(CALL_COLUMNS, calls)),
  ].join('\n');
}

export function tableOf<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string[] {
  const filled = columns.flatMap(([title, cell]) => {
    const cells = rows.map(cell);
    return cells.every((text) => text === undefined) ? [] : [[title, ...cells.map((text) => text ?? '–')]];
  });
  const widths = filled.map((column) => Math.max(...column.map((text) => text.length)));
  return [undefined, ...rows].map((_, line) =>
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

function number(value: number | null | undefined, digits: number): string | undefined {
  return value?.toFixed(digits);
}

function kilobytes(bytes: number | null | undefined): string | undefined {
  return number(typeof bytes === 'number' ? bytes / 1e3 : undefined, 1);
}

function millisOrNone(us: number | null): string | undefined {
  return us === null ? undefined : millis(us);
}

function millis(us: number): string {
  return (us / 1e3).toFixed(us < 10_000 ? 2 : 1);
}

import type { CapacityReport, CapacityRun } from './capacity.js';

const MEBIBYTE = 2 ** 20;

const COLUMNS: readonly (readonly [title: string, cell: (run: CapacityRun) => string])[] = [
  ['streams', (run) => `${run.streams}`],
  ['codec', (run) => run.codec + (run.record ? '+rec' : '')],
  ['µs/packet', (run) => run.cpuMicrosPerPacket.toFixed(2)],
  ['main', (run) => run.cpuThreadsMicrosPerPacket.main.toFixed(2)],
  ['bareWs', (run) => `${run.baseline.bareWs.toFixed(2)} (×${run.ratio.bareWs})`],
  [
    'tutorial',
    (run) =>
      `${run.baseline.tutorial.toFixed(1)} (×${run.ratio.tutorial})${run.baselines.tutorial.saturated ? ' saturated' : ''}`,
  ],
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

/** For people; everything is in the JSON. */
export function capacityTable({ machine, node, backend, runs }: CapacityReport): string {
  const lines = [COLUMNS.map(([title]) => title), ...runs.map((run) => COLUMNS.map(([, cell]) => cell(run)))];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  const table = lines.map((line) => line.map((cell, column) => cell.padStart(widths[column] as number)).join('  '));
  const where = `${machine.cpu}, ${machine.cores} cores, load ${machine.loadBefore} before; Node ${node}; backend ${backend}`;
  const lost = runs.flatMap((run) =>
    Object.keys(run.droppedWhere).length > 0
      ? [
          `${run.streams} streams: ${Object.entries(run.droppedWhere)
            .map(([name, n]) => `${name} ${n}`)
            .join(', ')}`,
        ]
      : [],
  );
  return [where, 'Latency from when each packet was due, hold taken off, in ms.', ...table, ...lost].join('\n');
}

function millis(us: number): string {
  return (us / 1e3).toFixed(us < 10_000 ? 2 : 1);
}

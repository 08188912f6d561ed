import { barX, dot, line, ruleX, ruleY, text } from '@observablehq/plot';
import { svg } from '../../page/svg.js';
import { BASELINES, type Baseline } from '../processes/messages.js';
import type { CapacityRun, LatencyCurves } from './summary.js';

/** Colours are the page's, so that one drawing serves its light and its dark form. */
export const SERIES = {
  node: 'var(--node)',
  decoded: 'var(--decoded)',
  bareWs: 'var(--bare)',
  tutorial: 'var(--tutorial)',
  plain: 'var(--plain)',
} as const;

const WIDTH = 992;
const NARROW_WIDTH = 480;
const DECADES_MS = [0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000];
const NINES = [0, 1, 2, 3, 4, 5, 6, 7];
const NINES_LABEL = ['0 %', '90 %', '99 %', '99.9 %', '99.99 %', '99.999 %', '99.9999 %', '99.99999 %'];

/** How many nines a share has: 0.99 has two. */
function nines(share: number): number {
  return -Math.log10(1 - share);
}

interface LatencyPoint {
  readonly nines: number;
  readonly millis: number;
  readonly colour: string;
}

/** The whole distribution of latency: each step to the right leaves out nine tenths of the packets before it. */
export function latencyPlot({ curves }: LatencyCurves, narrow: boolean): string {
  const points: LatencyPoint[] = curves.flatMap(({ series, points: curve }) =>
    curve.map(({ share, us }) => ({ nines: nines(share), millis: Math.max(us, 10) / 1e3, colour: SERIES[series] })),
  );
  const last = Math.max(1, ...points.map((point) => point.nines));
  const marks = points.map((point) => point.millis);
  // Always at least from 0.1 to 100 ms: the same shape then means the same thing on every page.
  const lowest = Math.min(0.1, ...marks);
  const highest = Math.max(100, ...marks) * 1.2;
  return svg({
    width: narrow ? NARROW_WIDTH : WIDTH,
    height: narrow ? 300 : 380,
    marginLeft: 56,
    marginRight: 24,
    marginBottom: 44,
    x: {
      label: 'share of packets that were no later →',
      labelAnchor: 'right',
      ticks: NINES.filter((n) => n <= last + 0.01),
      tickFormat: (n: number) => NINES_LABEL[n] ?? '',
      domain: [0, last],
    },
    y: {
      type: 'log',
      label: '↑ latency, ms',
      grid: true,
      domain: [lowest, highest],
      ticks: DECADES_MS.filter((decade) => decade >= lowest && decade <= highest),
      tickFormat: plain,
    },
    marks: [
      line(points, { x: 'nines', y: 'millis', z: 'colour', stroke: 'colour', strokeWidth: 2.25, curve: 'step-after' }),
    ],
  });
}

interface CostPoint {
  readonly streams: number;
  readonly micros: number;
  readonly series: 'node' | Baseline;
  readonly colour: string;
  readonly label: string;
}

/** What a packet costs, for each number of streams, with the baselines. `unit` is what the streams are called. */
export function costPlot(runs: readonly CapacityRun[], unit: string): string {
  const points = runs.flatMap((run) => [
    cost(run, 'node', run.cpuMicrosPerPacket, false),
    ...BASELINES.flatMap((kind) => {
      const baseline = run.baselines[kind];
      return baseline === null ? [] : [cost(run, kind, baseline.cpuMicrosPerPacket, baseline.saturated)];
    }),
  ]);
  const most = Math.max(...points.map((point) => point.micros)) * 1.12;
  const counts = [...new Set(runs.map((run) => run.streams))];
  return counts.length > 1 ? costCurve(points, counts, most, unit) : costBars(points, most);
}

function costCurve(points: readonly CostPoint[], counts: readonly number[], most: number, unit: string): string {
  return svg({
    width: WIDTH,
    height: 360,
    marginLeft: 56,
    marginRight: 56,
    marginBottom: 44,
    x: {
      type: 'log',
      label: `${unit} →`,
      labelAnchor: 'right',
      ticks: counts,
      tickFormat: (count: number) => count.toLocaleString('en'),
      insetLeft: 28,
      insetRight: 28,
    },
    y: { label: '↑ CPU a packet, µs, all threads', grid: true, zero: true, domain: [0, most], ticks: 8 },
    marks: [
      ruleY([0], { stroke: 'currentColor', strokeOpacity: 0.5 }),
      line(points, { x: 'streams', y: 'micros', z: 'colour', stroke: 'colour', strokeWidth: 2.25 }),
      dot(points, { x: 'streams', y: 'micros', fill: 'colour', r: 4.5 }),
      text(points, { x: 'streams', y: 'micros', text: 'label', fill: 'colour', dy: -13, fontWeight: 600 }),
    ],
  });
}

/** One number of streams makes no curve. */
function costBars(points: readonly CostPoint[], most: number): string {
  return svg({
    width: WIDTH,
    height: 60 + 40 * points.length,
    marginLeft: 76,
    marginRight: 56,
    marginBottom: 44,
    x: { label: 'CPU a packet, µs, all threads →', labelAnchor: 'right', grid: true, domain: [0, most] },
    y: { label: null, domain: points.map((point) => point.series), padding: 0.35, tickSize: 0 },
    marks: [
      barX(points, { x: 'micros', y: 'series', fill: 'colour' }),
      ruleX([0], { stroke: 'currentColor', strokeOpacity: 0.5 }),
      text(points, {
        x: 'micros',
        y: 'series',
        text: 'label',
        fill: 'colour',
        dx: 8,
        textAnchor: 'start',
        fontWeight: 600,
      }),
    ],
  });
}

function cost({ streams }: CapacityRun, series: CostPoint['series'], micros: number, saturated: boolean): CostPoint {
  return { streams, micros, series, colour: SERIES[series], label: `${micros.toPrecision(3)}${saturated ? '*' : ''}` };
}

function plain(value: number): string {
  return value >= 1000 ? value.toLocaleString('en') : String(Number(value.toPrecision(3)));
}

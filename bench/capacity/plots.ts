import { dot, plot as drawPlot, line, type PlotOptions, ruleY, text } from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Baseline } from './messages.js';
import type { CapacityRun, LatencyCurves } from './summary.js';

/** Colours are the page's, so that one drawing serves its light and its dark form. */
export const SERIES = {
  node: 'var(--node)',
  decoded: 'var(--decoded)',
  bareWs: 'var(--bare)',
  tutorial: 'var(--tutorial)',
} as const;

const WIDTH = 992;
const NARROW_WIDTH = 480;
const DECADES_MS = [0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000];
const NINES = [0, 1, 2, 3, 4, 5, 6, 7];
const NINES_LABEL = ['0 %', '90 %', '99 %', '99.9 %', '99.99 %', '99.999 %', '99.9999 %', '99.99999 %'];

/** An SVG, as text. Plot draws into a document, and there is none here but linkedom's. */
function svg(options: PlotOptions): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const figure = drawPlot({ ...options, document, style: { background: 'none', fontSize: '13px' } });
  return String((figure as unknown as { readonly outerHTML: string }).outerHTML);
}

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
      label: '↑ latency beyond the hold, ms',
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
  readonly colour: string;
  readonly label: string;
}

/** What a packet costs, for each number of streams, with the baselines. */
export function costPlot(runs: readonly CapacityRun[]): string {
  const points: CostPoint[] = runs.flatMap((run) => [
    cost(run, run.cpuMicrosPerPacket, SERIES.node, false),
    ...baselineCost(run, 'bareWs'),
    ...baselineCost(run, 'tutorial'),
  ]);
  const most = Math.max(...points.map((point) => point.micros));
  const counts = [...new Set(runs.map((run) => run.streams))];
  return svg({
    width: WIDTH,
    height: 360,
    marginLeft: 56,
    marginRight: 56,
    marginBottom: 44,
    x: {
      type: counts.length > 1 ? 'log' : 'point',
      label: 'streams →',
      labelAnchor: 'right',
      ticks: counts,
      tickFormat: (count: number) => count.toLocaleString('en'),
      insetLeft: 28,
      insetRight: 28,
    },
    y: { label: '↑ CPU a packet, µs, all threads', grid: true, zero: true, domain: [0, most * 1.12] },
    marks: [
      ruleY([0], { stroke: 'currentColor', strokeOpacity: 0.5 }),
      line(points, { x: 'streams', y: 'micros', z: 'colour', stroke: 'colour', strokeWidth: 2.25 }),
      dot(points, { x: 'streams', y: 'micros', fill: 'colour', r: 4.5 }),
      text(points, { x: 'streams', y: 'micros', text: 'label', fill: 'colour', dy: -13, fontWeight: 600 }),
    ],
  });
}

function cost({ streams }: CapacityRun, micros: number, colour: string, saturated: boolean): CostPoint {
  return { streams, micros, colour, label: `${micros.toPrecision(3)}${saturated ? '*' : ''}` };
}

function baselineCost(run: CapacityRun, kind: Baseline): CostPoint[] {
  const baseline = run.baselines[kind];
  return baseline === null ? [] : [cost(run, baseline.cpuMicrosPerPacket, SERIES[kind], baseline.saturated)];
}

function plain(value: number): string {
  return value >= 1000 ? value.toLocaleString('en') : String(Number(value.toPrecision(3)));
}

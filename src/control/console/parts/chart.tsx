import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { useStore } from '../api/store.js';
import { colour, scheme } from './theme.js';

export interface Series {
  readonly label: string;
  /** A variable of the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly filled?: boolean;
}

interface ChartProps {
  /** Seconds since 1970. */
  readonly at: readonly number[];
  readonly series: readonly Series[];
  /** What the chart shows, for those who cannot see it. */
  readonly summary: string;
  readonly height?: number;
  /** The scale reaches at least up to this value. */
  readonly atLeast: number;
  format(value: number | null): string;
  /** The sample below the pointer; undefined when there is none. */
  onPoint(index: number | undefined): void;
}

const SYNC_KEY = 'trunkline';

/** A time series by uPlot. All charts of a page share their cursor. */
export function Chart({ at, series, summary, height = 190, atLeast, format, onPoint }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const looks = useStore(scheme);
  const data = [at, ...series.map(({ values }) => values)] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;
  const shape = series.map(({ label }) => label).join();

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const plot = new uPlot(
      optionsOf({ series, atLeast, format, onPoint, height, width: element.clientWidth }),
      latest.current,
      element,
    );
    chart.current = plot;
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
      chart.current = undefined;
    };
  }, [looks, shape, height]);

  useEffect(() => chart.current?.setData(data));

  return <div class="chart" ref={place} role="img" aria-label={summary} />;
}

interface Shape extends Pick<ChartProps, 'series' | 'atLeast' | 'format' | 'onPoint'> {
  readonly width: number;
  readonly height: number;
}

function optionsOf({ series, atLeast, format, onPoint, width, height }: Shape): uPlot.Options {
  const font = '11px "Inter Variable", system-ui, sans-serif';
  const axis: uPlot.Axis = {
    font,
    stroke: colour('--text-muted'),
    grid: { stroke: colour('--chart-grid'), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    cursor: { sync: { key: SYNC_KEY }, drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
    legend: { show: false },
    scales: { y: { range: (_, _least, most) => [0, Math.max(atLeast, most * 1.1)] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => clock(tick)), space: 66, size: 30 },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => format(tick)), space: 36 },
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
    series: [
      {},
      ...series.map(({ label, colour: name, filled }) => ({
        label,
        stroke: colour(name),
        width: 1.5,
        points: { show: false },
        spanGaps: false,
        ...(filled ? { fill: translucent(colour(name)) } : {}),
      })),
    ],
  };
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const clock = (seconds: number) => clockFormat.format(new Date(seconds * 1000));

function translucent(rgb: string): string {
  return rgb.replace(/^rgb\((.*)\)$/, (_, parts: string) => `rgba(${parts}, 0.14)`);
}

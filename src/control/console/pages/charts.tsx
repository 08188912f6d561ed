import { useState } from 'preact/hooks';
import type { History } from '../api/contract.js';
import { history } from '../api/node-state.js';
import { useStore } from '../api/store.js';
import { Chart, type Series } from '../parts/chart.js';
import { bytes, clockTime, count, decimal, milliseconds, percent } from '../parts/format.js';
import { Empty, Panel } from '../parts/panel.js';
import { ratios } from './overview.js';

interface Described {
  readonly title: string;
  readonly series: readonly Series[];
  readonly atLeast: number;
  format(value: number | null): string;
}

const RANGES = [
  { seconds: 60, name: '1 minute' },
  { seconds: 300, name: '5 minutes' },
  { seconds: 900, name: '15 minutes' },
] as const;

export function ChartsPage() {
  const samples = useStore(history);
  const [seconds, setSeconds] = useState<number>(300);
  return (
    <>
      <div class="page-head">
        <h1>Charts</h1>
        <fieldset class="segmented">
          <legend class="visually-hidden">Time shown</legend>
          {RANGES.map((range) => (
            <label key={range.seconds}>
              <input
                type="radio"
                name="range"
                checked={range.seconds === seconds}
                onChange={() => setSeconds(range.seconds)}
              />
              <span>{range.name}</span>
            </label>
          ))}
        </fieldset>
      </div>
      {samples === undefined || samples.at.length < 2 ? (
        <Empty>The first figures are there after two seconds.</Empty>
      ) : (
        <Charts samples={samples} seconds={seconds} />
      )}
    </>
  );
}

function Charts({ samples, seconds }: { samples: History; seconds: number }) {
  const [pointed, setPointed] = useState<number | undefined>();
  const keep = Math.ceil(seconds / samples.intervalSeconds);
  const at = samples.at.slice(-keep).map((iso) => Date.parse(iso) / 1000);
  return (
    <div class="charts">
      {describe(samples, keep).map(({ title, series, atLeast, format }) => (
        <Panel key={title} title={title} aside={<Readings series={series} format={format} at={at} pointed={pointed} />}>
          <Chart
            at={at}
            series={series}
            atLeast={atLeast}
            format={format}
            onPoint={setPointed}
            summary={summaryOf(title, series, format)}
          />
        </Panel>
      ))}
    </div>
  );
}

interface ReadingsProps extends Pick<Described, 'series' | 'format'> {
  readonly at: readonly number[];
  readonly pointed: number | undefined;
}

/** The values below the pointer, in all charts at once; otherwise the newest ones. */
function Readings({ series, format, at, pointed }: ReadingsProps) {
  const time = pointed === undefined ? undefined : at[pointed];
  return (
    <ul class="latest">
      {time !== undefined && <li class="muted">{clockTime(new Date(time * 1000).toISOString())}</li>}
      {series.map(({ label, colour, values }) => (
        <li key={label}>
          <span class={`key ${colour.slice(2)}`} />
          {series.length > 1 && <span class="muted">{label}</span>}{' '}
          <strong>{format((pointed === undefined ? values.at(-1) : values[pointed]) ?? null)}</strong>
        </li>
      ))}
    </ul>
  );
}

function summaryOf(title: string, series: readonly Series[], format: Described['format']): string {
  const parts = series.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    return `${label}: now ${format(values.at(-1) ?? null)}, at most ${format(known.length === 0 ? null : Math.max(...known))}`;
  });
  return `${title}. ${parts.join('. ')}.`;
}

function describe(samples: History, keep: number): readonly Described[] {
  const last = (values: readonly (number | null)[] | undefined) => (values ?? []).slice(-keep);
  return [
    {
      ...{ title: 'Packets per second', atLeast: 10, format: count },
      series: [{ label: 'Received', colour: '--series-1', values: last(samples.packetsPerSecond), filled: true }],
    },
    {
      ...{ title: 'Loss', atLeast: 0.01, format: percent },
      series: [
        {
          label: 'Lost on the way',
          colour: '--series-4',
          values: last(ratios(samples, 'lostPerSecond')),
          filled: true,
        },
        { label: 'Dropped here', colour: '--series-2', values: last(ratios(samples, 'droppedPerSecond')) },
      ],
    },
    {
      ...{ title: 'Latency p99', atLeast: 5, format: milliseconds },
      series: [
        { label: 'Arrival to delivery', colour: '--series-2', values: last(samples.latencyP99Ms), filled: true },
      ],
    },
    {
      ...{ title: 'CPU', atLeast: 0.2, format: (value) => decimal(value, 2) },
      series: [
        { label: 'Process, cores', colour: '--series-1', values: last(samples.cpuCores), filled: true },
        { label: 'Main thread', colour: '--series-3', values: last(samples.mainUtilisation) },
      ],
    },
    {
      ...{ title: 'Streams', atLeast: 4, format: count },
      series: [{ label: 'Open', colour: '--series-3', values: last(samples.streams), filled: true }],
    },
    {
      ...{ title: 'Memory', atLeast: 1e8, format: bytes },
      series: [{ label: 'Resident', colour: '--series-2', values: last(samples.rssBytes), filled: true }],
    },
  ];
}

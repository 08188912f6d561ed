import { connection } from '../api/connection.js';
import type { Check, History, NodeInfo } from '../api/contract.js';
import { history, nodeState } from '../api/node-state.js';
import { useStore } from '../api/store.js';
import { bytes, count, decimal, milliseconds, percent, span, words } from '../parts/format.js';
import { VerdictIcon } from '../parts/icons.js';
import { Sparkline } from '../parts/sparkline.js';
import { VERDICT_WORDS } from '../shell/header.js';
import { StreamTable } from './streams/table.js';

export function OverviewPage({ query }: { query: URLSearchParams }) {
  const { info } = useStore(nodeState);
  return (
    <>
      <h1 class="visually-hidden">Overview</h1>
      {info === undefined ? <div class="verdict waiting" /> : <VerdictBanner info={info} />}
      <KeyFigures />
      {(info?.oneWayAudioNow ?? 0) > 0 && (
        <p class="one-way-line">
          <a href="#/?oneWayAudio=true">{calls(info?.oneWayAudioNow ?? 0)}</a> no signal on one side while the other one
          speaks.
        </p>
      )}
      <StreamTable key={query.toString()} query={query} sources={info?.sources.map(({ name }) => name) ?? []} />
    </>
  );
}

function calls(number: number): string {
  return number === 1 ? 'One call has' : `${count(number)} calls have`;
}

/** Whether the node is healthy, and if not, why not. */
function VerdictBanner({ info }: { info: NodeInfo }) {
  const { reachable } = useStore(connection);
  const wrong = info.checks.filter(({ status }) => status !== 'ok');
  const right = info.checks.filter(({ status }) => status === 'ok');
  return (
    <section class={`verdict ${info.status}`} aria-label="Health">
      <VerdictIcon verdict={info.status} size={28} />
      <div class="verdict-text">
        <p class="verdict-word">
          {VERDICT_WORDS[info.status]}
          {reachable ? '' : ' when it last answered'}
        </p>
        {wrong.length === 0 ? (
          <p class="verdict-why">
            {right.length === 0 ? 'Nothing to report.' : `All ${right.length} checks pass.`} Up{' '}
            {span(info.uptimeSeconds)}, version {info.version}, {info.backend} backend.
          </p>
        ) : (
          <ul class="verdict-why">
            {wrong.map((check) => (
              <li key={check.name}>
                <strong>{words(check.name)}</strong>: {check.reason ?? check.status}
              </li>
            ))}
          </ul>
        )}
      </div>
      <ul class="checks" aria-label="Checks">
        {[...wrong, ...right].map((check) => (
          <CheckChip key={check.name} check={check} />
        ))}
      </ul>
    </section>
  );
}

function CheckChip({ check }: { check: Check }) {
  return (
    <li class={`check ${check.status}`} title={check.reason ?? 'passes'}>
      <VerdictIcon verdict={check.status} size={12} />
      <span>{words(check.name)}</span>
      <span class="visually-hidden">: {check.status}</span>
    </li>
  );
}

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly unit?: string;
  readonly note: string;
  readonly values: readonly (number | null)[];
  readonly atLeast: number;
  readonly tone?: 'warn' | 'bad' | undefined;
}

function KeyFigures() {
  const samples = useStore(history);
  return (
    <section class="tiles" aria-label="Key figures">
      {tilesOf(samples).map(({ name, value, unit, note, values, atLeast, tone }) => (
        <a key={name} class={`tile ${tone ?? ''}`} href="#/charts" title={note}>
          <span class="tile-name">{name}</span>
          <span class="tile-value">
            {value}
            {unit !== undefined && <small> {unit}</small>}
          </span>
          <Sparkline values={values} atLeast={atLeast} />
        </a>
      ))}
    </section>
  );
}

const MINUTE = 60;

function tilesOf(samples: History | undefined): readonly Tile[] {
  const last = (values: readonly (number | null)[] | undefined) => values?.at(-1) ?? undefined;
  const loss = ratios(samples, 'lostPerSecond');
  const lost = sum(samples?.lostPerSecond) / Math.max(1, sum(samples?.lostPerSecond) + sum(samples?.packetsPerSecond));
  const dropped = sum(samples?.droppedPerSecond);
  return [
    {
      name: 'Streams',
      value: count(last(samples?.streams)),
      note: 'Streams that are open',
      values: samples?.streams ?? [],
      atLeast: 4,
    },
    {
      ...{ name: 'Packets', value: count(last(samples?.packetsPerSecond)), unit: '/s', atLeast: 10 },
      ...{ note: 'Packets received per second', values: samples?.packetsPerSecond ?? [] },
    },
    {
      ...{ name: 'Loss, last minute', value: samples === undefined ? '–' : percent(lost), values: loss, atLeast: 0.01 },
      note:
        dropped > 0
          ? `${count(dropped)} packets were dropped by this node in the last minute`
          : 'Packets that were lost on the way',
      tone: dropped > 0 || lost >= 0.05 ? 'bad' : lost >= 0.01 ? 'warn' : undefined,
    },
    {
      ...{ name: 'Latency p99', value: milliseconds(last(samples?.latencyP99Ms)), values: samples?.latencyP99Ms ?? [] },
      ...{ note: 'From the arrival of a packet to the delivery of its frame, playout delay included', atLeast: 5 },
    },
    {
      ...{ name: 'CPU', value: decimal(last(samples?.cpuCores), 2), unit: 'cores', atLeast: 0.25 },
      ...{ note: `Main thread: ${percent(last(samples?.mainUtilisation), 0)} busy`, values: samples?.cpuCores ?? [] },
    },
    {
      ...{ name: 'Memory', value: bytes(last(samples?.rssBytes)), values: samples?.rssBytes ?? [], atLeast: 1 },
      note: 'Resident memory of the process',
    },
  ];
}

/** What share of the packets that were due were lost, or dropped by this node. */
export function ratios(samples: History | undefined, name: 'lostPerSecond' | 'droppedPerSecond'): (number | null)[] {
  return (samples?.[name] ?? []).map((count, at) => {
    const received = samples?.packetsPerSecond[at] ?? 0;
    const due = received + (samples?.lostPerSecond[at] ?? 0);
    return count === null ? null : count / Math.max(1, due);
  });
}

function sum(values: readonly (number | null)[] | undefined): number {
  return (values ?? []).slice(-MINUTE).reduce<number>((total, value) => total + (value ?? 0), 0);
}

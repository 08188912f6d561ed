import type { ComponentChildren } from 'preact';
import type { Interaction, InteractionState, SilenceKind } from '../../api/contract.js';
import { count, duration, milliseconds, NONE, percent } from '../../parts/format.js';
import { CHANNEL_NAMES, Meters } from '../../parts/meter.js';
import { callHref } from '../../routes.js';

export interface Column {
  readonly name: string;
  readonly title: string;
  /** What the server sorts by; absent where it cannot. */
  readonly sort?: string;
  /** What is shown grows as what is sorted by gets smaller. */
  readonly inverted?: boolean;
  /** The direction of the first click: the worst or newest first. */
  readonly firstSort?: 'up' | 'down';
  readonly number?: boolean;
  /** 1 is always shown; 4 only on wide screens. */
  readonly priority: 1 | 2 | 3 | 4;
  cell(row: Interaction): ComponentChildren;
}

export const STATE_WORDS: Readonly<Record<InteractionState, string>> = {
  speech: 'Speech',
  silence: 'Silence',
  paused: 'Paused',
  interrupted: 'Interrupted',
  subscribing: 'Subscribing',
  ended: 'Ended',
};

/** The states of streams that are open; the node remembers those that have ended for a while. */
export const LIVE = 'speech,silence,paused,interrupted,subscribing';

export function StateBadge({ state }: { state: InteractionState }) {
  return <span class={`state ${state in STATE_WORDS ? state : ''}`}>{STATE_WORDS[state] ?? state}</span>;
}

const KIND_WORDS: Readonly<Record<SilenceKind, string>> = { digital: 'digital silence', comfortNoise: 'comfort noise' };

/** What the silence of each side is made of; undefined where it is background noise. */
export function silenceText({ silenceKind }: Pick<Interaction, 'silenceKind'>): string | undefined {
  const texts = (silenceKind ?? []).flatMap((kind, channel) =>
    kind === null ? [] : [`${CHANNEL_NAMES[channel] ?? 'Other'}: ${KIND_WORDS[kind]}`],
  );
  return texts.length === 0 ? undefined : texts.join(', ');
}

const CAUSE_WORDS: Readonly<Record<string, string>> = {
  noPackets: 'no packets come from it',
  digitalSilence: 'it sends nothing but digital silence',
};

/** What is wrong with a side of a call that cannot be understood; undefined when both have a signal. */
export function oneWayText({ oneWayAudio }: Pick<Interaction, 'oneWayAudio'>): string | undefined {
  if (oneWayAudio === undefined || oneWayAudio === null) return undefined;
  const { channel, cause } = oneWayAudio;
  return `One-way audio: the ${(CHANNEL_NAMES[channel] ?? 'other').toLowerCase()} side has no signal, ${CAUSE_WORDS[cause] ?? cause}.`;
}

/** What is shown in colour as well: one percent is audible, five are disturbing. */
export function toneOfLoss(ratio: number): string {
  if (ratio >= 0.05) return 'bad';
  return ratio >= 0.01 ? 'warn' : '';
}

export const COLUMNS: readonly Column[] = [
  {
    ...{ name: 'id', title: 'Interaction', sort: 'id', firstSort: 'up', priority: 1 },
    cell: ({ id }) => (
      <a class="id" href={callHref(id)} tabIndex={-1} title={id}>
        {id}
      </a>
    ),
  },
  {
    ...{ name: 'state', title: 'State', sort: 'state', firstSort: 'up', priority: 1 },
    cell: (row) => (
      <span class={oneWayText(row) === undefined ? '' : 'one-way'} title={oneWayText(row) ?? silenceText(row)}>
        <StateBadge state={row.state} />
        {oneWayText(row) !== undefined && <span>, one-way</span>}
      </span>
    ),
  },
  {
    ...{ name: 'level', title: 'Level', sort: 'levelDbfs', firstSort: 'down', priority: 1 },
    cell: ({ levelDbfs, speech, channels, paused }) => (
      <Meters {...{ levelDbfs, speech, channels: channels ?? 1, paused }} />
    ),
  },
  {
    ...{ name: 'loss', title: 'Loss', sort: 'lossRatio', firstSort: 'down', number: true, priority: 1 },
    cell: ({ lossRatio, packetsLost }) => (
      <span class={`ratio ${toneOfLoss(lossRatio)}`} title={`${count(packetsLost)} packets`}>
        {percent(lossRatio)}
      </span>
    ),
  },
  {
    ...{ name: 'late', title: 'Late', sort: 'lateRatio', firstSort: 'down', number: true, priority: 4 },
    cell: ({ lateRatio }) => <span class={`ratio ${toneOfLoss(lateRatio)}`}>{percent(lateRatio)}</span>,
  },
  {
    ...{ name: 'repaired', title: 'Repaired', sort: 'packetsRepaired', firstSort: 'down', number: true, priority: 4 },
    cell: ({ packetsRepaired }) => (packetsRepaired === undefined ? NONE : count(packetsRepaired)),
  },
  {
    ...{ name: 'jitter', title: 'Jitter', sort: 'jitterMs', firstSort: 'down', number: true, priority: 4 },
    cell: ({ jitterMs }) => milliseconds(jitterMs),
  },
  {
    ...{ name: 'delay', title: 'Delay', number: true, priority: 3 },
    cell: ({ playoutDelayMs }) => milliseconds(playoutDelayMs),
  },
  {
    ...{ name: 'latency', title: 'Latency', sort: 'latencyMs', firstSort: 'down', number: true, priority: 3 },
    cell: ({ latencyMs }) => milliseconds(latencyMs),
  },
  {
    ...{ name: 'codec', title: 'Codec', sort: 'codec', firstSort: 'up', priority: 4 },
    cell: ({ codec }) => <span class="codec">{codec ?? NONE}</span>,
  },
  {
    ...{ name: 'source', title: 'Source', sort: 'source', firstSort: 'up', priority: 3 },
    cell: ({ source }) => <span class="ellipsis">{source ?? NONE}</span>,
  },
  {
    ...{ name: 'age', title: 'Age', sort: 'startedAt', firstSort: 'up', inverted: true, number: true, priority: 2 },
    cell: ({ ageSeconds }) => duration(ageSeconds),
  },
];

/** As the server is asked: `-lossRatio` has the largest first. */
export const DEFAULT_SORT = '-startedAt';

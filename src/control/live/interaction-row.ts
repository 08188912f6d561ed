import { addCounts, zeroCounts } from '../../core/counts.js';
import type { ChannelReception, ReceptionCounts, SilenceKind } from '../../core/events.js';
import { roundedQuality } from '../../core/statistics/quality.js';
import { MS_PER_SECOND, US_PER_MS } from '../../core/units.js';
import type {
  Interaction,
  InteractionDetail,
  InteractionReception,
  InteractionState,
} from '../api/interaction-schema.js';
import { type InteractionEntry, type InteractionView, LEAST_DBFS } from './interaction-view.js';

/** What the rows of interactions are made from. */
export interface RowDependencies {
  readonly view: InteractionView;
  readonly nowUs: number;
  readonly nowMs: number;
  /** Ids of interactions whose connection is lost for the moment. */
  readonly interrupted: ReadonlySet<string>;
  /** Of an open stream. */
  counts(interactionId: string): ReceptionCounts | undefined;
  reception(interactionId: string): readonly ChannelReception[] | undefined;
}

export function stateOf(entry: InteractionEntry, { view, nowUs, interrupted }: RowDependencies): InteractionState {
  if (entry.ended !== undefined) return 'ended';
  if (entry.pausedBy.length > 0) return 'paused';
  if (interrupted.has(entry.id)) return 'interrupted';
  const { stream, channels } = entry.info;
  const isSpeech = view.isSpeech(stream, 0, nowUs) || (channels === 2 && view.isSpeech(stream, 1, nowUs));
  return isSpeech ? 'speech' : 'silence';
}

/** Reception of all of its streams so far. */
export function countsOf(entry: InteractionEntry, dependencies: RowDependencies): ReceptionCounts {
  if (entry.ended !== undefined) return entry.ended;
  const counts = { ...(dependencies.counts(entry.id) ?? zeroCounts()) };
  if (entry.earlier !== undefined) addCounts(counts, entry.earlier);
  return counts;
}

export function lossRatio({ packetsReceived, packetsLost }: ReceptionCounts): number {
  return share(packetsLost, packetsReceived + packetsLost);
}

export function lateRatio({ packetsReceived, packetsLate }: ReceptionCounts): number {
  return share(packetsLate, packetsReceived);
}

/** How long an interaction has lasted, in milliseconds. */
export function ageMs(entry: InteractionEntry, nowMs: number): number {
  return Math.max(0, (entry.ended?.endedAtMs ?? nowMs) - entry.startedAtMs);
}

export function interactionRow(entry: InteractionEntry, dependencies: RowDependencies): Interaction {
  const { view, nowUs, nowMs } = dependencies;
  const { info, ended } = entry;
  const { stream, channels } = info;
  const isLive = ended === undefined;
  const counts = countsOf(entry, dependencies);
  const level = (channel: number): number => (isLive ? view.levelDbfs(stream, channel, nowUs) : LEAST_DBFS);
  const speech = (channel: number): boolean => isLive && view.isSpeech(stream, channel, nowUs);
  const kind = (channel: 0 | 1): SilenceKind | null => view.silenceKind(entry, channel, nowUs) ?? null;
  const delaysUs = (isLive ? dependencies.reception(entry.id) : undefined)?.map(({ playoutDelayUs }) => playoutDelayUs);
  return {
    id: entry.id,
    source: info.source ?? null,
    codec: info.codec,
    sampleRate: info.sampleRate,
    channels,
    state: stateOf(entry, dependencies),
    startedAt: isoTime(entry.startedAtMs),
    endedAt: ended === undefined ? null : isoTime(ended.endedAtMs),
    endReason: ended?.endReason ?? null,
    ageSeconds: rounded(ageMs(entry, nowMs) / MS_PER_SECOND, 3),
    paused: entry.pausedBy.length > 0,
    pausedBy: [...entry.pausedBy],
    oneWayAudio: entry.oneWayAudio ?? null,
    levelDbfs: [level(0), channels === 2 ? level(1) : null],
    speech: [speech(0), channels === 2 ? speech(1) : null],
    silenceKind: [kind(0), channels === 2 ? kind(1) : null],
    packetsReceived: counts.packetsReceived,
    packetsLost: counts.packetsLost,
    packetsRepaired: counts.packetsRepaired,
    lossRatio: rounded(lossRatio(counts), 6),
    lateRatio: rounded(lateRatio(counts), 6),
    jitterMs: toMs(counts.jitterUs),
    playoutDelayMs: delaysUs === undefined || delaysUs.length === 0 ? null : toMs(Math.max(...delaysUs)),
    latencyMs: isLive ? toMs(view.latencyUs(stream)) : null,
  };
}

export function interactionDetail(entry: InteractionEntry, dependencies: RowDependencies): InteractionDetail {
  const { view } = dependencies;
  const { info, ended } = entry;
  const channels = info.channels === 2 ? ([0, 1] as const) : ([0] as const);
  const logs = channels.map((channel) => ({ channel, ...view.spans(entry, channel) }));
  const reception = ended === undefined ? (dependencies.reception(entry.id) ?? []) : [];
  return {
    ...interactionRow(entry, dependencies),
    organizationId: info.organizationId ?? null,
    attributes: info.attributes ?? {},
    segment: info.segment?.number ?? 1,
    reception: reception.map(receptionRow),
    spans: logs.flatMap(({ channel, spans }) => spans.map((span) => ({ channel, ...span }))),
    spansComplete: logs.every(({ isCut }) => !isCut),
  };
}

/** An interaction of which no packet has come yet. */
export function pendingRow(id: string, source: string): Interaction {
  return {
    ...{ id, source, codec: null, sampleRate: null, channels: null, state: 'subscribing' },
    ...{
      startedAt: null,
      endedAt: null,
      endReason: null,
      ageSeconds: null,
      paused: false,
      pausedBy: [],
      oneWayAudio: null,
    },
    ...{ levelDbfs: [LEAST_DBFS, null], speech: [false, null], silenceKind: [null, null] },
    ...{ packetsReceived: 0, packetsLost: 0, packetsRepaired: 0, lossRatio: 0, lateRatio: 0, jitterMs: 0 },
    ...{ playoutDelayMs: null, latencyMs: null },
  };
}

function receptionRow(
  { jitterUs, playoutDelayUs, ...counts }: ChannelReception,
  channel: number,
): InteractionReception {
  const quality = roundedQuality(counts);
  return { channel, ...counts, ...quality, jitterMs: toMs(jitterUs), playoutDelayMs: toMs(playoutDelayUs) };
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

function toMs(us: number): number {
  return rounded(us / US_PER_MS, 3);
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

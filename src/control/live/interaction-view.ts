import type { Clock } from '../../core/clock.js';
import { addCounts } from '../../core/counts.js';
import type {
  FrameView,
  MarkedSpan,
  PauseEvent,
  ReceptionCounts,
  SilenceEdge,
  SilenceKind,
  StreamInfo,
  StreamSummary,
} from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../core/units.js';
import type { Sink } from '../../sinks/sink.js';
import { CHANNEL_STATE, type ChannelState, type LiveSpan, SpanLog } from './span-log.js';

export type PausedBy = PauseEvent['by'];

/** An interaction that is captured, or was until a short time ago. */
export interface InteractionEntry {
  readonly id: string;
  /** Of the newest stream; the format may change during a call. */
  readonly info: StreamInfo;
  /** Of the first stream, wall clock in milliseconds. */
  readonly startedAtMs: number;
  /** Who withholds its audio at the moment. */
  readonly pausedBy: readonly PausedBy[];
  /** Undefined while it is captured. All of its streams together. */
  readonly ended: StreamSummary | undefined;
  /** Of its streams before the newest one. */
  readonly earlier: ReceptionCounts | undefined;
}

interface Entry extends InteractionEntry {
  info: StreamInfo;
  startedAtMs: number;
  /** By channel; made when its first span begins. */
  readonly spans: [SpanLog | undefined, SpanLog | undefined];
  pausedBy: readonly PausedBy[];
  ended: StreamSummary | undefined;
  earlier: ReceptionCounts | undefined;
  /** Where each channel's time line ends, once the stream has ended. */
  endsMs: readonly [number, number];
}

/** Level below which nothing is told apart: digital silence. */
export const LEAST_DBFS = -96;
/** What is kept of each channel, side by side: a frame touches one cache line. */
const ROW = 8;
const AT = {
  /** Mean square, smoothed; 1 is full scale. */
  MEAN_SQUARE: 0,
  /** When the newest frame was delivered, microseconds of the clock. */
  LAST_US: 1,
  /** From arrival to delivery, playout delay included, smoothed; microseconds. */
  LATENCY_US: 2,
  /** End of the time line, in samples of the stream. */
  END: 3,
  /** A CHANNEL_STATE. */
  STATE: 4,
} as const;
/** Weight of one frame in the level and the latency shown: a time constant of some 80 ms with frames of 20 ms. */
const WEIGHT = 0.25;
/** Without a frame for this long, a channel has no level. */
const STALE_US = US_PER_SECOND;
/** Ended interactions that are kept, and for how long. */
const ENDED_KEPT = 1_000;
const ENDED_KEPT_MS = 600 * MS_PER_SECOND;
/** Pauses that are known of interactions without a stream. */
const PAUSES_KEPT = LIMITS.maxStreams;

/**
 * What is known of each interaction at the moment: level, speech and latency by channel, the newest spans, who has paused
 * it. Interactions that have ended are kept for ten minutes, at most a thousand. A frame costs some writes into
 * columns and no allocation.
 */
export class InteractionView implements Sink {
  readonly name = 'interactions';
  /** By channel (stream · 2 + channel), ROW values each. */
  readonly #rows = new Float64Array(LIMITS.maxStreams * 2 * ROW);
  readonly #byStream = new Array<Entry | undefined>(LIMITS.maxStreams).fill(undefined);
  readonly #live = new Map<string, Entry>();
  /** In the order in which they ended. */
  readonly #ended = new Set<Entry>();
  /** Between two streams of one interaction, whose format has changed. */
  readonly #between = new Map<string, Entry>();
  readonly #pauses = new Map<string, readonly PausedBy[]>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Interactions that are captured at the moment. */
  get size(): number {
    return this.#live.size;
  }

  /** Those that are captured. */
  live(): IterableIterator<InteractionEntry> {
    return this.#live.values();
  }

  /** Those that have ended and are still known, in the order in which they ended. */
  ended(): IterableIterator<InteractionEntry> {
    this.#forgetOld();
    return this.#ended.values();
  }

  isLive(interactionId: string): boolean {
    return this.#live.has(interactionId);
  }

  /** The interaction of that id; the newest when several are known. */
  find(interactionId: string): InteractionEntry | undefined {
    const live = this.#live.get(interactionId);
    if (live !== undefined) return live;
    this.#forgetOld();
    let newest: Entry | undefined;
    for (const entry of this.#ended) if (entry.id === interactionId) newest = entry;
    return newest;
  }

  /** Level of a channel of a stream in dBFS, from LEAST_DBFS on; that when no frames come. */
  levelDbfs(stream: number, channel: number, nowUs: number): number {
    const meanSquare = this.#isFresh(stream, channel, nowUs) ? this.#at(stream, channel, AT.MEAN_SQUARE) : 0;
    if (meanSquare <= 0) return LEAST_DBFS;
    return Math.max(LEAST_DBFS, Math.round(100 * Math.log10(meanSquare)) / 10);
  }

  isSpeech(stream: number, channel: number, nowUs: number): boolean {
    return this.#at(stream, channel, AT.STATE) === CHANNEL_STATE.SPEECH && this.#isFresh(stream, channel, nowUs);
  }

  /** From the arrival of a packet to the delivery of its frame, in microseconds; of the slower channel. */
  latencyUs(stream: number): number {
    return Math.max(this.#at(stream, 0, AT.LATENCY_US), this.#at(stream, 1, AT.LATENCY_US));
  }

  /** The newest spans of a channel, and whether there were more before them. */
  spans(entry: InteractionEntry, channel: 0 | 1): { readonly spans: LiveSpan[]; readonly isCut: boolean } {
    const { spans, endsMs, ended, info } = entry as Entry;
    const log = spans[channel];
    const endMs = ended === undefined ? this.#endMs(info, channel) : endsMs[channel];
    return { spans: log?.read(endMs) ?? [], isCut: log?.isCut ?? false };
  }

  /** Pass it the node's `paused` events. */
  paused({ interactionId, paused, by }: PauseEvent): void {
    const others = (this.#pauses.get(interactionId) ?? []).filter((one) => one !== by);
    const pausedBy = paused ? [...others, by] : others;
    const entry = this.#live.get(interactionId);
    if (entry !== undefined) entry.pausedBy = pausedBy;
    this.#pauses.delete(interactionId);
    if (pausedBy.length === 0) return;
    this.#pauses.set(interactionId, pausedBy);
    dropOldest(this.#pauses, PAUSES_KEPT);
  }

  // ---- What the engine delivers

  streamOpened(info: StreamInfo): void {
    const { stream, interactionId } = info;
    const between = this.#between.get(interactionId);
    this.#between.delete(interactionId);
    const entry = info.segment === undefined ? undefined : between;
    const opened: Entry = entry ?? {
      id: interactionId,
      info,
      startedAtMs: info.segment?.firstStartedAtMs ?? info.startedAtMs,
      spans: [undefined, undefined],
      pausedBy: this.#pauses.get(interactionId) ?? [],
      ended: undefined,
      earlier: undefined,
      endsMs: [0, 0],
    };
    opened.info = info;
    this.#byStream[stream] = opened;
    this.#live.set(interactionId, opened);
    this.#rows.fill(0, stream * 2 * ROW, (stream + 1) * 2 * ROW);
  }

  frame(frame: FrameView): void {
    const rows = this.#rows;
    const channel = frame.info.stream * 2 + frame.channel;
    const row = channel * ROW;
    const start = frame.positionSamples;
    const { deliveredUs } = frame;
    const before = rows[row + AT.MEAN_SQUARE] as number;
    rows[row + AT.MEAN_SQUARE] = before + (frame.meanSquare - before) * WEIGHT;
    rows[row + AT.LAST_US] = deliveredUs;
    rows[row + AT.END] = start + frame.sampleCount;
    let state: ChannelState = CHANNEL_STATE.LOST;
    if (!frame.lost) {
      state = frame.isSilent ? CHANNEL_STATE.SILENCE : CHANNEL_STATE.SPEECH;
      const latencyUs = rows[row + AT.LATENCY_US] as number;
      const us = deliveredUs - frame.arrivalUs;
      rows[row + AT.LATENCY_US] = latencyUs === 0 ? us : latencyUs + (us - latencyUs) * WEIGHT;
    }
    const last = rows[row + AT.STATE] as number;
    // Kinds of silence are told by edges.
    const goesOn = state === last || (state === CHANNEL_STATE.SILENCE && last >= CHANNEL_STATE.DIGITAL);
    if (!goesOn) this.#begin(channel, state, start);
  }

  silenceEdge({ info, channel, silent, kind, positionSamples }: SilenceEdge): void {
    const at = info.stream * 2 + channel;
    const state = this.#at(info.stream, channel, AT.STATE);
    const isKind = state >= CHANNEL_STATE.DIGITAL;
    if (!silent || (kind === undefined && !isKind) || (state !== CHANNEL_STATE.SILENCE && !isKind)) return;
    this.#begin(at, kind === undefined ? CHANNEL_STATE.SILENCE : KINDS[kind], positionSamples);
  }

  markedSpan({ info, channel, state, startSamples, lengthSamples }: MarkedSpan): void {
    const at = info.stream * 2 + channel;
    this.#begin(at, MARKED[state], startSamples);
    this.#rows[at * ROW + AT.END] = Math.max(this.#at(info.stream, channel, AT.END), startSamples + lengthSamples);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    const entry = this.#byStream[info.stream];
    if (entry === undefined) return;
    this.#byStream[info.stream] = undefined;
    // The interaction may be open again: events of different shards come in any order.
    const isNewest = this.#live.get(entry.id) === entry;
    if (isNewest) this.#live.delete(entry.id);
    const counts = { ...summary };
    if (entry.earlier !== undefined) addCounts(counts, entry.earlier);
    if (summary.endReason === 'formatChanged') {
      entry.earlier = counts;
      this.#between.set(entry.id, entry);
      dropOldest(this.#between, ENDED_KEPT);
      return;
    }
    if (isNewest) this.#pauses.delete(entry.id);
    entry.pausedBy = [];
    entry.ended = counts;
    entry.endsMs = [this.#endMs(info, 0), this.#endMs(info, 1)];
    this.#ended.add(entry);
    this.#forgetOld();
  }

  // ----

  #begin(at: number, state: ChannelState, positionSamples: number): void {
    const entry = this.#byStream[at >> 1];
    if (entry === undefined) return;
    this.#rows[at * ROW + AT.STATE] = state;
    const channel = (at & 1) === 0 ? 0 : 1;
    entry.spans[channel] ??= new SpanLog();
    entry.spans[channel].begin(state, toMs(entry.info, positionSamples));
  }

  #endMs(info: StreamInfo, channel: number): number {
    return toMs(info, this.#at(info.stream, channel, AT.END));
  }

  #isFresh(stream: number, channel: number, nowUs: number): boolean {
    return nowUs - this.#at(stream, channel, AT.LAST_US) < STALE_US;
  }

  #at(stream: number, channel: number, field: number): number {
    return this.#rows[(stream * 2 + channel) * ROW + field] as number;
  }

  #forgetOld(): void {
    const oldestMs = this.#clock.wallMs() - ENDED_KEPT_MS;
    for (const entry of this.#ended) {
      const isOld = (entry.ended?.endedAtMs ?? 0) < oldestMs;
      if (this.#ended.size <= ENDED_KEPT && !isOld) return;
      this.#ended.delete(entry);
    }
  }
}

const KINDS: Readonly<Record<SilenceKind, ChannelState>> = {
  digital: CHANNEL_STATE.DIGITAL,
  comfortNoise: CHANNEL_STATE.COMFORT_NOISE,
};

const MARKED: Readonly<Record<MarkedSpan['state'], ChannelState>> = {
  lost: CHANNEL_STATE.LOST,
  paused: CHANNEL_STATE.PAUSED,
  discarded: CHANNEL_STATE.DISCARDED,
};

function dropOldest(map: Map<string, unknown>, kept: number): void {
  const [oldest] = map.keys();
  if (map.size > kept && oldest !== undefined) map.delete(oldest);
}

/** On the time line of the interaction, which begins with its first stream. */
function toMs({ sampleRate, segment }: StreamInfo, samples: number): number {
  return (segment?.startMs ?? 0) + (samples * MS_PER_SECOND) / sampleRate;
}

import type { Clock } from '../../core/clock.js';
import { addCounts } from '../../core/counts.js';
import type {
  FrameView,
  MarkedSpan,
  OneWayAudio,
  OneWayAudioEnded,
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
import { LEAST_GAP_MS, type LiveSpan, SpanLog } from './span-log.js';

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
  /** The side that has no signal while the other one speaks. */
  readonly oneWayAudio: Pick<OneWayAudio, 'channel' | 'cause'> | undefined;
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
  oneWayAudio: Pick<OneWayAudio, 'channel' | 'cause'> | undefined;
  ended: StreamSummary | undefined;
  earlier: ReceptionCounts | undefined;
  /** Where each channel's time line ends, once the stream has ended. */
  endsMs: readonly [number, number];
}

/** What a channel's newest frame was. NONE: the next one may begin another span, whatever it is. */
const FRAME = { NONE: 0, SPEECH: 1, SILENCE: 2, LOST: 3 } as const;

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
  /** A FRAME. */
  FRAME: 4,
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
  #oneWayNow = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Interactions that are captured at the moment. */
  get size(): number {
    return this.#live.size;
  }

  /** Those of which one side has no signal while the other one speaks. */
  get oneWayAudioNow(): number {
    return this.#oneWayNow;
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
    return this.#at(stream, channel, AT.FRAME) === FRAME.SPEECH && this.#isFresh(stream, channel, nowUs);
  }

  /** What kind of silence a channel of an interaction has at the moment; undefined for speech and background noise. */
  silenceKind({ info, ended }: InteractionEntry, channel: 0 | 1, nowUs: number): SilenceKind | undefined {
    if (ended !== undefined || !this.#isFresh(info.stream, channel, nowUs)) return undefined;
    const signal = this.#byStream[info.stream]?.spans[channel]?.signal;
    return signal === 'digital' || signal === 'comfortNoise' ? signal : undefined;
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

  /** Pass it the node's `oneWayAudio` and `oneWayAudioEnded` events. */
  oneWayAudio(event: OneWayAudio | OneWayAudioEnded): void {
    const entry = this.#byStream[event.info.stream];
    if (entry === undefined) return;
    const { channel, cause } = event;
    const wasOneWay = entry.oneWayAudio !== undefined;
    if (!('reason' in event)) entry.oneWayAudio = { channel, cause };
    else if (entry.oneWayAudio?.channel === channel) entry.oneWayAudio = undefined;
    this.#oneWayNow += Number(entry.oneWayAudio !== undefined) - Number(wasOneWay);
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
      oneWayAudio: undefined,
      ended: undefined,
      earlier: undefined,
      endsMs: [0, 0],
    };
    opened.info = info;
    this.#byStream[stream] = opened;
    this.#live.set(interactionId, opened);
    this.#rows.fill(0, stream * 2 * ROW, (stream + 1) * 2 * ROW);
    // A stream begins silent, also one that continues another.
    for (const spans of opened.spans) spans?.edge('silence', toMs(info, 0));
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
    const end = rows[row + AT.END] as number;
    rows[row + AT.END] = start + frame.sampleCount;
    let kind: number = FRAME.LOST;
    if (!frame.lost) {
      kind = frame.isSilent ? FRAME.SILENCE : FRAME.SPEECH;
      const latencyUs = rows[row + AT.LATENCY_US] as number;
      const us = deliveredUs - frame.arrivalUs;
      rows[row + AT.LATENCY_US] = latencyUs === 0 ? us : latencyUs + (us - latencyUs) * WEIGHT;
    }
    const last = rows[row + AT.FRAME] as number;
    rows[row + AT.FRAME] = kind;
    const isGap = (start - end) * MS_PER_SECOND > LEAST_GAP_MS * frame.info.sampleRate;
    // Speech and silence are told by edges.
    if (isGap || last === FRAME.NONE || (kind === FRAME.LOST) !== (last === FRAME.LOST)) {
      this.#frames(frame, isGap ? end : start);
    }
  }

  silenceEdge({ info, channel, silent, kind, positionSamples }: SilenceEdge): void {
    // As recordings do: positions may lie between two samples.
    const startMs = toMs(info, Math.floor(positionSamples));
    this.#spansOf(info, channel)?.edge(silent ? (kind ?? 'silence') : 'speech', startMs);
  }

  markedSpan({ info, channel, state, startSamples, lengthSamples }: MarkedSpan): void {
    const row = (info.stream * 2 + channel) * ROW;
    const spans = this.#spansOf(info, channel);
    const endMs = toMs(info, this.#rows[row + AT.END] as number);
    const startMs = toMs(info, startSamples);
    if (startMs - endMs > LEAST_GAP_MS) spans?.begin('gap', endMs);
    spans?.hide(state, startMs, toMs(info, startSamples + lengthSamples));
    this.#rows[row + AT.END] = Math.max(this.#rows[row + AT.END] as number, startSamples + lengthSamples);
    this.#rows[row + AT.FRAME] = FRAME.NONE;
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    const entry = this.#byStream[info.stream];
    if (entry === undefined) return;
    this.#fillEnd(info);
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

  /** Frames begin that are lost or are not, behind a gap from `gapAt` on. */
  #frames({ info, channel, positionSamples, lost }: FrameView, gapAt: number): void {
    const spans = this.#spansOf(info, channel);
    if (gapAt < positionSamples) spans?.begin('gap', toMs(info, gapAt));
    spans?.begin(lost ? 'lost' : 'signal', toMs(info, positionSamples));
  }

  #spansOf(info: StreamInfo, channel: 0 | 1): SpanLog | undefined {
    const entry = this.#byStream[info.stream];
    if (entry === undefined) return undefined;
    let spans = entry.spans[channel];
    if (spans === undefined) {
      spans = entry.spans[channel] = new SpanLog();
      spans.begin('signal', toMs(info, 0));
    }
    return spans;
  }

  /** Both sides of a recording are as long as the longer one. */
  #fillEnd(info: StreamInfo): void {
    const row = info.stream * 2 * ROW;
    const rows = this.#rows;
    const end = Math.max(rows[row + AT.END] as number, rows[row + ROW + AT.END] as number);
    for (const channel of info.channels === 2 ? ([0, 1] as const) : ([0] as const)) {
      const at = row + channel * ROW + AT.END;
      if ((rows[at] as number) < end) this.#spansOf(info, channel)?.begin('gap', toMs(info, rows[at] as number));
      rows[at] = end;
    }
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

function dropOldest(map: Map<string, unknown>, kept: number): void {
  const [oldest] = map.keys();
  if (map.size > kept && oldest !== undefined) map.delete(oldest);
}

/** On the time line of the interaction, which begins with its first stream. */
function toMs({ sampleRate, segment }: StreamInfo, samples: number): number {
  return (segment?.startMs ?? 0) + (samples * MS_PER_SECOND) / sampleRate;
}

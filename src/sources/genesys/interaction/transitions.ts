import type { StreamFormat } from '../../../core/codec.js';
import { TrunklineError } from '../../../core/errors.js';
import type { EndReason } from '../../../core/events.js';
import { US_PER_MS } from '../../../core/units.js';
import type { UndecidedPacket } from '../interaction-table.js';
import { announcedFormat, type FormatPreferences, guessFormat } from '../protocol/formats.js';
import type { SubscribedInteraction } from '../protocol/wire.js';
import type { Availability } from '../rest/conversations.js';
import { backoffUs, type Random, type RetryPolicy } from '../rest/retry.js';
import type { EngineStream } from './engine-stream.js';
import { FirstPackets } from './first-packets.js';

/**
 *                  available              packet                  pause
 *     (new) ─► WANTED ─► SUBSCRIBING ─────────────────► FLOWING ⇄ PAUSED
 *                ▲             │  ▲ refused: back to WANTED │ disconnected │
 *                │             │                            ▼              │
 *                └─ refused ───┼──────────────────── INTERRUPTED ◄─────────┘   (packet: FLOWING or PAUSED again)
 *                              │ unsubscribe                │
 *                              └──────► LEAVING ◄───────────┘
 *                                          │ confirmed, or after a second
 *     every state ── ended, lost ──────► ENDED
 */
export type InteractionState =
  /** REST is asked whether there is media, at once or, after a refusal, when `dueUs` comes. */
  | 'wanted'
  /** Subscribed to as soon as its connection is open; no packet has come yet. */
  | 'subscribing'
  /** Packets come. */
  | 'flowing'
  /** Packets come and are withheld. */
  | 'paused'
  /** Its connection was lost; subscribed to again as soon as that is back. */
  | 'interrupted'
  /** Unsubscribed; its packets are still taken until the server confirms it or `dueUs` comes. */
  | 'leaving'
  /** Final. */
  | 'ended';

/** Who may pause an interaction. Its audio is let through when neither does. */
export type PausedBy = 'operator' | 'platform';

/** What can happen to an interaction, and what is known about it then. */
export interface Inputs {
  /** REST's answer; `unknown` when it could not be asked. */
  readonly answered: Availability | 'unknown';
  /** The server says which format it will send. */
  readonly announced: SubscribedInteraction;
  /** A packet that its row in the table does not settle. */
  readonly packet: UndecidedPacket;
  /** The server has no media of it. */
  readonly refused: undefined;
  readonly disconnected: undefined;
  readonly pause: PausedBy;
  readonly resume: PausedBy;
  /** Wanted again, after it was unsubscribed. */
  readonly subscribe: undefined;
  /** `confirmByUs`: how long the server may take to confirm it; undefined when there is no open connection. */
  readonly unsubscribe: { readonly reason: EndReason; readonly confirmByUs: number | undefined };
  /** The server says that it is over. */
  readonly ended: { readonly reason: EndReason; readonly detail: string };
  /** Its connection gave up. */
  readonly lost: string;
  /** `dueUs` has come. */
  readonly due: undefined;
}

export type Handler<Input extends keyof Inputs> = (
  data: InteractionData,
  argument: Inputs[Input],
  nowUs: number,
) => InteractionState;

type Row = { readonly [Input in keyof Inputs]: Handler<Input> };

/** What is common to all interactions of a source. */
export interface InteractionSettings {
  readonly formats: FormatPreferences;
  readonly mediaRetry: RetryPolicy;
  readonly random: Random;
  /** Hands a packet that was kept to the engine. */
  deliver(stream: number, packet: UndecidedPacket): void;
}

/** What an interaction consists of. Only the handlers of the table change it. */
export interface InteractionData {
  readonly id: string;
  readonly settings: InteractionSettings;
  readonly stream: EngineStream;
  state: InteractionState;
  dueUs: number;
  /** Subscriptions that the server refused since media last came. */
  refusals: number;
  /** The packet path may take its packets by codec and channels alone. */
  isSettled: boolean;
  /** While its format is a guess. */
  firstPackets: FirstPackets | undefined;
  /** The codec and channels before the last change of format, whose last packets may still be under way. */
  previous: { readonly codec: number; readonly channels: number; readonly untilUs: number } | undefined;
  readonly pausedBy: Set<PausedBy>;
  isWantedAgain: boolean;
  endReason: EndReason;
  endDetail: string;
  /** Set by a handler that cannot go on; acted upon when the transition is complete. */
  failure: TrunklineError | undefined;
  /** What became of the last packet. `kept`: it goes to the engine later, or has gone there already. */
  outcome: 'taken' | 'kept' | 'refused' | 'wrongFormat';
}

export const NEVER = Number.POSITIVE_INFINITY;
// Each change makes a stream and a file of its recording: a server must not cause them without limit.
const MAX_FORMAT_CHANGES = 20;
/** How long packets of the format before a change are taken for late ones, rather than for a change back. */
const LATE_FORMAT_US = 200 * US_PER_MS;
/** How long the first packets are kept when they do not show their codec. */
const KEEP_FIRST_US = 300 * US_PER_MS;
// Notifications and media come over different connections: the end of a pause may overtake the last of its packets.
const PLATFORM_RESUME_GUARD_US = 500 * US_PER_MS;

/** Why an interaction that REST knows to be over is not subscribed to. */
const WHY_NOT = {
  expired: 'media availability window expired',
  notFound: 'interaction not found or ended',
} as const;

function stay(data: InteractionData): InteractionState {
  return data.state;
}

function end(data: InteractionData, reason: EndReason, detail: string): InteractionState {
  data.endReason = reason;
  data.endDetail = detail;
  return 'ended';
}

function endAsDecided(data: InteractionData): InteractionState {
  return end(data, data.endReason, data.endDetail);
}

/** The state of an interaction whose packets come. */
function streaming(data: InteractionData): InteractionState {
  return data.pausedBy.size > 0 ? 'paused' : 'flowing';
}

function checked(data: InteractionData, answer: Availability | 'unknown'): InteractionState {
  if (answer === 'notFound' || answer === 'expired') return end(data, 'mediaNotAvailable', WHY_NOT[answer]);
  return 'subscribing';
}

function retryLater(data: InteractionData, _: undefined, nowUs: number): InteractionState {
  const { mediaRetry, random } = data.settings;
  if (data.refusals >= mediaRetry.maxAttempts) {
    return end(data, 'mediaNotAvailable', `no media after ${data.refusals + 1} subscriptions`);
  }
  data.isSettled = false;
  data.dueUs = nowUs + backoffUs(mediaRetry, data.refusals, random);
  data.refusals++;
  return 'wanted';
}

function openAsAnnounced(data: InteractionData, announced: SubscribedInteraction, nowUs: number): InteractionState {
  const format = announcedFormat(announced, data.settings.formats);
  if (format === undefined) return data.state;
  if (!ensureStream(data, format, nowUs)) {
    data.isSettled = false;
    return data.state;
  }
  const state = deliverKept(data);
  data.firstPackets = undefined;
  return state;
}

/** Media has come: all is well. */
function takePacket(data: InteractionData, packet: UndecidedPacket, nowUs: number): InteractionState {
  const { stream } = data;
  if (!stream.isOpen && packet.codec < 0) return keepFirst(data, packet, nowUs);
  if (stream.isOpen && data.firstPackets !== undefined && !revise(data, data.firstPackets, packet, nowUs)) {
    return data.state;
  }
  if (!stream.isOpen || !stream.fits(packet)) {
    if (isLate(data, packet, nowUs)) {
      data.outcome = 'wrongFormat';
      return data.state;
    }
    if (!ensureStream(data, formatOf(data, packet), nowUs)) return data.state;
    deliverKept(data);
    data.firstPackets = undefined;
  }
  data.outcome = 'taken';
  return nowStreaming(data);
}

/** Keeps packets until they show their codec. */
function keepFirst(data: InteractionData, packet: UndecidedPacket, nowUs: number): InteractionState {
  data.firstPackets ??= new FirstPackets(data.settings.formats);
  if (data.firstPackets.size === 0) data.dueUs = nowUs + KEEP_FIRST_US;
  data.outcome = 'kept';
  const format = data.firstPackets.add(packet);
  if (format !== undefined) return openGuessed(data, format, nowUs);
  // Media comes, so that no answer of REST is waited for.
  return data.state === 'wanted' ? 'subscribing' : data.state;
}

/** Enough evidence, or no more time: the kept packets go on in a stream of this format. */
function openGuessed(data: InteractionData, format: StreamFormat, nowUs: number): InteractionState {
  return ensureStream(data, format, nowUs) ? deliverKept(data) : data.state;
}

function deliverKept(data: InteractionData): InteractionState {
  const { firstPackets, settings, stream } = data;
  if (firstPackets === undefined) return data.state;
  const kept = firstPackets.release();
  if (firstPackets.isCertain) data.firstPackets = undefined;
  for (const packet of kept) if (stream.fits(packet)) settings.deliver(stream.index, packet);
  return kept.length > 0 ? nowStreaming(data) : data.state;
}

function nowStreaming(data: InteractionData): InteractionState {
  data.isSettled = data.firstPackets === undefined;
  data.refusals = 0;
  data.dueUs = NEVER;
  return streaming(data);
}

/** Goes on with the format that the evidence shows, when that was guessed wrongly. False when there can be no stream. */
function revise(data: InteractionData, first: FirstPackets, packet: UndecidedPacket, nowUs: number): boolean {
  const format = first.observe(packet);
  if (format === undefined) return true;
  data.firstPackets = undefined;
  const { channels = format.channels } = data.stream.format ?? {};
  return ensureStream(data, { ...format, channels: channels === 2 ? 2 : format.channels }, nowUs);
}

/** A change of format lets late packets of the format before it come behind it. */
function isLate({ previous }: InteractionData, { codec, channel }: UndecidedPacket, nowUs: number): boolean {
  return previous !== undefined && nowUs < previous.untilUs && codec === previous.codec && channel < previous.channels;
}

/** The format of a stream for a packet that the open one does not fit. */
function formatOf(data: InteractionData, { codec, channel, payload }: UndecidedPacket): StreamFormat {
  const { format } = data.stream;
  // A packet that names its channel is taken for one of two.
  const channels = format === undefined ? channel >= 0 : format.channels === 2 || channel === 1;
  if (format !== undefined && (codec < 0 || codec === data.stream.codec)) return { ...format, channels: 2 };
  return guessFormat(payload, codec, channels ? 2 : 1, data.settings.formats);
}

/** Between the unsubscription and its confirmation, the packets of an open stream still count. */
function takeLast(data: InteractionData, packet: UndecidedPacket): InteractionState {
  data.outcome = data.stream.isOpen && data.stream.fits(packet) ? 'taken' : 'refused';
  return 'leaving';
}

/** False when there can be no stream of this format; then `failure` says why. */
function ensureStream(data: InteractionData, format: StreamFormat, nowUs: number): boolean {
  const { stream } = data;
  if (stream.has(format)) return true;
  if (stream.isOpen) {
    const changes = ++stream.changes;
    if (changes > MAX_FORMAT_CHANGES) {
      stream.end('error');
      const sentence = `The media server changed the format of ${data.id} ${changes} times; it is given up.`;
      data.failure = new TrunklineError('PROTOCOL_ERROR', sentence);
      return false;
    }
    data.previous = { codec: stream.codec, channels: stream.channels, untilUs: nowUs + LATE_FORMAT_US };
  }
  try {
    stream.open(format);
  } catch (error) {
    data.failure = error as TrunklineError;
    return false;
  }
  if (data.pausedBy.size > 0) stream.pause();
  return true;
}

function refusePacket(data: InteractionData): InteractionState {
  data.outcome = 'refused';
  return data.state;
}

/** No more evidence comes in time: the most likely format has to do. */
function guess(data: InteractionData, _: unknown, nowUs: number): InteractionState {
  const { firstPackets } = data;
  if (firstPackets === undefined || firstPackets.size === 0) return data.state;
  return openGuessed(data, firstPackets.likely(), nowUs);
}

function interrupt(data: InteractionData, _: undefined, nowUs: number): InteractionState {
  data.state = guess(data, undefined, nowUs);
  data.stream.interrupted();
  data.isSettled = false;
  return data.state === 'flowing' || data.state === 'paused' ? 'interrupted' : data.state;
}

function pause(data: InteractionData, by: PausedBy): InteractionState {
  if (data.pausedBy.size === 0) data.stream.pause();
  data.pausedBy.add(by);
  return data.state === 'flowing' ? 'paused' : data.state;
}

function resume(data: InteractionData, by: PausedBy, nowUs: number): InteractionState {
  if (!data.pausedBy.delete(by) || data.pausedBy.size > 0) return data.state;
  data.stream.resume(by === 'platform' ? nowUs + PLATFORM_RESUME_GUARD_US : nowUs);
  return data.state === 'paused' ? 'flowing' : data.state;
}

function unsubscribe(
  data: InteractionData,
  { reason, confirmByUs }: Inputs['unsubscribe'],
  nowUs: number,
): InteractionState {
  guess(data, undefined, nowUs);
  if (confirmByUs === undefined) return end(data, reason, '');
  data.endReason = reason;
  data.dueUs = confirmByUs;
  return 'leaving';
}

function endedByServer(data: InteractionData, { reason, detail }: Inputs['ended'], nowUs: number): InteractionState {
  guess(data, undefined, nowUs);
  return end(data, reason, detail);
}

const LIVE = {
  answered: stay,
  announced: openAsAnnounced,
  packet: takePacket,
  refused: retryLater,
  disconnected: interrupt,
  pause,
  resume,
  subscribe: stay,
  unsubscribe,
  ended: endedByServer,
  lost: (data, detail) => end(data, 'lost', detail),
  due: guess,
} satisfies Row;

/** Total: the compiler wants a handler for every pair, and nothing else decides what happens when. */
export const TRANSITIONS: { readonly [State in InteractionState]: Row } = {
  wanted: {
    ...LIVE,
    answered: checked,
    refused: stay,
    unsubscribe: (data, { reason }) => end(data, reason, ''),
    due: stay,
  },
  subscribing: LIVE,
  flowing: LIVE,
  paused: LIVE,
  interrupted: LIVE,
  leaving: {
    ...LIVE,
    announced: stay,
    packet: takeLast,
    refused: endAsDecided,
    disconnected: endAsDecided,
    subscribe: (data) => {
      data.isWantedAgain = true;
      return 'leaving';
    },
    unsubscribe: (data) => {
      data.isWantedAgain = false;
      return 'leaving';
    },
    ended: (data, { detail }) => end(data, data.endReason, detail),
    due: endAsDecided,
  },
  ended: {
    answered: stay,
    announced: stay,
    packet: refusePacket,
    refused: stay,
    disconnected: stay,
    pause: stay,
    resume: stay,
    subscribe: stay,
    unsubscribe: stay,
    ended: stay,
    lost: stay,
    due: stay,
  },
};

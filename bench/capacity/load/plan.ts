import { createHash } from 'node:crypto';
import { US_PER_MS } from '../../../src/core/units.js';

/** How the load comes to the node. */
export const SOURCE_NAMES = ['subscription', 'audiohook'] as const;
export type SourceName = (typeof SOURCE_NAMES)[number];

/** `opus` is mono at 16 kHz; `mixed` deals out PCMU and Opus in turn. AudioHook is stereo PCMU. */
export const LOAD_CODECS = ['pcmu', 'opus', 'mixed'] as const;
export type LoadCodec = (typeof LOAD_CODECS)[number];

/** What the generator writes at a time: a connection's packets of one tick, or a single packet. */
export const WRITE_UNITS = ['connection', 'packet'] as const;
export type WriteUnit = (typeof WRITE_UNITS)[number];

/**
 * What is offered and to whom, the same for every process of one run. A *packet* here is what the source sends of one
 * stream at a time: a media packet of a subscription, a binary message of AudioHook with both channels in it.
 */
export interface Load {
  readonly source: SourceName;
  readonly streams: number;
  readonly codec: LoadCodec;
  /** One packet of each stream in every tick. */
  readonly tickUs: number;
  /** Sessions opened a second, where the load is what connects. */
  readonly openRate: number;
  /** Of a subscription. An AudioHook connection has one packet at a time anyway. */
  readonly writes: WriteUnit;
}

/** The load goes on this long after the steady window, so that its end is measured under the same conditions. */
export const TAIL_US = 500 * US_PER_MS;
/** What is still under way when the load ends has this long to come through: the widest hold, and a stall. */
export const DRAIN_US = 1_000 * US_PER_MS;
/** From the moment that everybody is there to the first packet or, where there have been packets before, the warm-up. */
export const LEAD_US = 1_500 * US_PER_MS;

/** Random-looking, as the platform's are, and the same in every process. */
export function interactionId(index: number): string {
  return uuid(`trunkline bench ${index}`);
}

export function interactionIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => interactionId(index));
}

/** A UUID that follows from the text. */
export function uuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** When everything happens, in microseconds of core/clock, which is one clock for all processes of a machine. */
export interface Timetable {
  /** Of each stream, by index: when its packet of tick 0 is due on the wire. Whole microseconds, as is all of this. */
  readonly zeroUs: Float64Array;
  readonly tickUs: number;
  /** The steady window: packets that are due from then, and before then. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** When a stream's packet of that tick is due on the wire. */
export function dueUs({ zeroUs, tickUs }: Timetable, index: number, tick: number): number {
  return (zeroUs[index] as number) + tick * tickUs;
}

export function isInWindow({ fromUs, toUs }: Timetable, us: number): boolean {
  return us >= fromUs && us < toUs;
}

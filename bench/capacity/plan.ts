import { createHash } from 'node:crypto';
import type { Codec, StreamFormat } from '../../src/core/codec.js';
import { US_PER_SECOND } from '../../src/core/units.js';

/** What is offered and to whom, the same for every process of one run. */
export interface Load {
  readonly streams: number;
  readonly codec: LoadCodec;
  readonly warmupTicks: number;
  readonly steadyTicks: number;
}

/** `opus` is mono at 16 kHz; `mixed` deals out PCMU and Opus in turn. */
export const LOAD_CODECS = ['pcmu', 'opus', 'mixed'] as const;
export type LoadCodec = (typeof LOAD_CODECS)[number];

/** One packet of each interaction a tick. */
export const TICK_US = 20_000;
export const TICKS_PER_SECOND = US_PER_SECOND / TICK_US;
/** The load goes on this long after the steady window, so that its end is measured under the same conditions. */
export const TAIL_TICKS = 25;

export const OPUS_SAMPLE_RATE = 16_000;

// Numbers keep their count of digits for as long as a run can last, so that a frame keeps its length when they are
// patched: six digits have room for 4.4 hours of ticks above the largest base, ten for 19 hours of Opus timestamps.
const SEQUENCE_BASE = 100_000;
export const SEQUENCE_DIGITS = 6;
const TIMESTAMP_BASE = 1_000_000_000;
export const TIMESTAMP_DIGITS = 10;
export const MAX_TICKS = 700_000;

export function codecOf(codec: LoadCodec, index: number): Extract<Codec, 'pcmu' | 'opus'> {
  if (codec === 'mixed') return index % 2 === 0 ? 'pcmu' : 'opus';
  return codec;
}

export function formatOf(codec: LoadCodec, index: number): StreamFormat {
  return codecOf(codec, index) === 'opus'
    ? { codec: 'opus', clockRate: 48_000, sampleRate: OPUS_SAMPLE_RATE, channels: 1 }
    : { codec: 'pcmu', clockRate: 8_000, sampleRate: 8_000, channels: 1 };
}

/** Random-looking, as the platform's are, and the same in every process. */
export function interactionId(index: number): string {
  const hex = createHash('sha256').update(`trunkline bench ${index}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function interactionIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => interactionId(index));
}

/** Sequence number of an interaction's packet at tick 0. */
export function sequenceBase(index: number): number {
  return SEQUENCE_BASE + (index % 1000) * 100;
}

/** RTP timestamp of an interaction's packet at tick 0. */
export function timestampBase(index: number): number {
  return TIMESTAMP_BASE + (index % 1000) * 100_000;
}

/** When everything happens, in microseconds of core/clock, which is one clock for all processes of a machine. */
export interface Timetable {
  readonly startUs: number;
  /** Of each interaction, by index: how much later than `startUs` its packet of tick 0 is due. */
  readonly phaseUs: Float64Array;
}

/** When an interaction's packet with this sequence number is due on the wire. */
export function dueUs(timetable: Timetable, index: number, sequence: number): number {
  return timetable.startUs + (timetable.phaseUs[index] as number) + (sequence - sequenceBase(index)) * TICK_US;
}

/** The steady window on the clock. */
export function windowUs(load: Load, timetable: Timetable): { readonly fromUs: number; readonly toUs: number } {
  const fromUs = timetable.startUs + load.warmupTicks * TICK_US;
  return { fromUs, toUs: fromUs + load.steadyTicks * TICK_US };
}

export function isInWindow(load: Load, tick: number): boolean {
  return tick >= load.warmupTicks && tick < load.warmupTicks + load.steadyTicks;
}

import { TrunklineError } from '../core/errors.js';
import type { PacketDuration } from './reception.js';

export interface JitterOptions {
  readonly channels: number;
  /** Packets that may be held at the same time, of all channels; a power of two. */
  readonly packets: number;
  /** With `adaptive`, packets wait only behind gaps, and each channel learns how long; with `fixed`, all packets wait. */
  readonly playoutDelay: 'adaptive' | 'fixed';
  /** `fixed`: how long each packet is held. `adaptive`: what a channel begins with. */
  readonly playoutDelayUs: number;
  /** `adaptive`: the shortest delay of a channel, not above `playoutDelayUs`; default 0. */
  readonly minPlayoutDelayUs?: number;
  /** `fixed`: how long it is held while more than 5 % of the channel's packets miss their time. `adaptive`: the longest. */
  readonly maxPlayoutDelayUs: number;
  /** Durations of packets, to tell lost packets from numbers that were never sent. Without it, by the bytes of G.711 and L16. */
  readonly durationOf?: PacketDuration;
  /** Where the channels' records are: those of channel-state.ts, for all that takes part in the way of a packet. */
  readonly states?: Float64Array;
}

/** @throws TrunklineError CONFIG_INVALID */
export function checkJitterOptions(options: JitterOptions): void {
  const { packets, playoutDelayUs, minPlayoutDelayUs = 0, maxPlayoutDelayUs } = options;
  if (packets < 2 || packets > 2 ** 30 || (packets & (packets - 1)) !== 0) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The number of packets in a jitter buffer must be a power of two from 2 to 2^30; got ${packets}.`,
    );
  }
  if (!(playoutDelayUs >= 0 && maxPlayoutDelayUs >= playoutDelayUs && maxPlayoutDelayUs < Number.POSITIVE_INFINITY)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The playout delay must be 0 or more and not above its maximum; got ${playoutDelayUs} and ${maxPlayoutDelayUs} µs.`,
    );
  }
  if (!(minPlayoutDelayUs >= 0 && minPlayoutDelayUs <= playoutDelayUs)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The shortest playout delay must be 0 or more and not above the one to begin with; got ${minPlayoutDelayUs} µs.`,
    );
  }
}

import { z } from 'zod';
import { SILENCE_DETECTORS } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { availableProcessors } from '../core/processors.js';
import { milliseconds, setting } from './setting.js';

/** Settings of the engine: threads, jitter buffer, silence detection. These are the options of `createEngine`. */
export const engineSettings = {
  shards: setting(
    z
      .int()
      .min(1)
      .max(LIMITS.maxShards)
      .default(Math.min(LIMITS.maxShards, Math.max(1, availableProcessors() - 1))),
    {
      description: 'Decoding threads.',
      value: 'n',
      defaultText: 'one less than the processors or the CPU quota of the container, at least 1',
    },
  ),
  maxStreams: setting(z.int().min(1).max(LIMITS.maxStreams).default(4096), {
    description: 'Maximum number of streams open at one time.',
    value: 'n',
  }),
  playoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(50), {
    description: 'How long the jitter buffer holds a packet before it releases it.',
    value: 'ms',
    former: { key: 'holdMs', flag: '--hold-ms', env: 'TRUNKLINE_HOLD_MS' },
  }),
  maxPlayoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(100), {
    description: 'The playout delay while more than 5 % of packets are lost; never shorter than the usual one.',
    value: 'ms',
    former: { key: 'holdWideMs', flag: '--hold-wide-ms', env: 'TRUNKLINE_HOLD_WIDE_MS' },
  }),
  silenceDetector: setting(z.enum(SILENCE_DETECTORS).default('fixed'), {
    description:
      'How speech is told from silence: against a noise floor that follows each channel, or by a fixed threshold.',
    value: 'mode',
  }),
  silenceThreshold: setting(z.number().positive().max(1).default(0.01), {
    description:
      'RMS level, as a share of full scale, below which a channel is silent for the detector `fixed`; see `trunkline calibrate`.',
    value: 'level',
  }),
  silenceWindowMs: setting(z.int().multipleOf(5).min(5).max(200).default(20), {
    description: 'Length of the sliding window that the detector `fixed` measures the level over.',
    value: 'ms',
  }),
  native: setting(z.enum(['off', 'auto', 'require']).default('auto'), {
    description: 'The native addon: never use it, use it when it loads, or refuse to start without it.',
    value: 'mode',
  }),
};

/** Settings of the delivery of frames to the listeners of a node. */
export const deliverySettings = {
  includeSilent: setting(z.boolean().default(false), {
    description: 'Deliver silent frames to listeners too; otherwise they are only counted and recorded.',
  }),
  preRollMs: setting(z.number().min(0).max(2_000).default(200), {
    description: 'Deliver the silent frames of this time before speech begins to listeners too, 0 to 2000.',
    value: 'ms',
  }),
  postRollMs: setting(z.number().min(0).max(2_000).default(0), {
    description: 'Deliver the silent frames of this time after speech has ended to listeners too, 0 to 2000.',
    value: 'ms',
  }),
};

/** The maximum playout delay is at least the usual one. */
export function withPlayoutDelays<Delays extends { playoutDelayMs: number; maxPlayoutDelayMs: number }>(
  settings: Delays,
): Delays {
  return { ...settings, maxPlayoutDelayMs: Math.max(settings.playoutDelayMs, settings.maxPlayoutDelayMs) };
}

import { z } from 'zod';
import { SILENCE_DETECTORS } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { availableProcessors } from '../core/processors.js';
import { milliseconds, setting } from './setting.js';

/**
 * The longest playout delay by default. An adaptive one is long only where packets come as late as that, and only behind
 * gaps.
 */
const MAX_PLAYOUT_DELAY_MS = { adaptive: 400, fixed: 100 } as const;

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
  playoutDelay: setting(z.enum(['adaptive', 'fixed']).default('adaptive'), {
    description:
      'Which packets the jitter buffer holds. `adaptive`: only those behind a gap, for as long as packets arrive late on ' +
      'their channel. `fixed`: every packet, for the playout delay.',
    value: 'mode',
  }),
  playoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(50), {
    description: 'How long the jitter buffer holds a packet; when that is adaptive, what a channel begins with.',
    value: 'ms',
    former: { key: 'holdMs', flag: '--hold-ms', env: 'TRUNKLINE_HOLD_MS' },
  }),
  minPlayoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).default(0), {
    description: 'The shortest playout delay of a channel, when it is adaptive.',
    value: 'ms',
  }),
  maxPlayoutDelayMs: setting(milliseconds(LIMITS.maxPlayoutDelayMs).optional(), {
    description:
      'The longest playout delay of a channel; when it is fixed, the one while more than 5 % of packets are lost. Never ' +
      'shorter than the playout delay.',
    value: 'ms',
    defaultText: `${MAX_PLAYOUT_DELAY_MS.adaptive}; with \`fixed\` ${MAX_PLAYOUT_DELAY_MS.fixed}`,
    former: { key: 'holdWideMs', flag: '--hold-wide-ms', env: 'TRUNKLINE_HOLD_WIDE_MS' },
  }),
  silenceDetector: setting(z.enum(SILENCE_DETECTORS).default('adaptive'), {
    description:
      'How speech is told from silence: `adaptive`, against a noise floor that follows each channel; `neural`, the same with Silero VAD where that leaves doubt (src/audio/neural); or `fixed`, by a threshold.',
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
  oneWaySeconds: setting(z.number().min(0).max(600).default(10), {
    description:
      'Report one-way audio when a channel has had no packets, or digital silence, while the other one spoke for this long; ' +
      '0 for never.',
    value: 's',
  }),
  postRollMs: setting(z.number().min(0).max(2_000).default(0), {
    description: 'Deliver the silent frames of this time after speech has ended to listeners too, 0 to 2000.',
    value: 'ms',
  }),
};

/** A shortest playout delay above the longest one would have to change one of them, and nobody knows which was meant. */
export const checkPlayoutDelays: z.core.CheckFn<PlayoutDelays> = ({ value, issues }) => {
  const { playoutDelay, playoutDelayMs, minPlayoutDelayMs: minMs } = value;
  const maxMs = Math.max(playoutDelayMs, value.maxPlayoutDelayMs ?? MAX_PLAYOUT_DELAY_MS[playoutDelay]);
  if (playoutDelay === 'fixed' || minMs <= maxMs) return;
  const isDefault = value.maxPlayoutDelayMs === undefined && maxMs > playoutDelayMs;
  const message = `The setting "minPlayoutDelayMs" is ${minMs}, but must not be above "maxPlayoutDelayMs", which is ${maxMs}`;
  issues.push({ code: 'custom', input: minMs, path: [], message: `${message}${isDefault ? ' by default' : ''}` });
};

/** The playout delay is at least its minimum, and its maximum, which depends on the mode, at least as long as both. */
export function withPlayoutDelays<Delays extends PlayoutDelays>(settings: Delays): Delays {
  const { playoutDelay, maxPlayoutDelayMs = MAX_PLAYOUT_DELAY_MS[playoutDelay] } = settings;
  const playoutDelayMs = Math.max(settings.playoutDelayMs, playoutDelay === 'fixed' ? 0 : settings.minPlayoutDelayMs);
  return { ...settings, playoutDelayMs, maxPlayoutDelayMs: Math.max(playoutDelayMs, maxPlayoutDelayMs) };
}

/** What the schema alone does not say: this setting always has a value. */
export interface EffectiveDelays {
  readonly maxPlayoutDelayMs: number;
}

interface PlayoutDelays {
  readonly playoutDelay: keyof typeof MAX_PLAYOUT_DELAY_MS;
  readonly playoutDelayMs: number;
  readonly minPlayoutDelayMs: number;
  readonly maxPlayoutDelayMs?: number | undefined;
}

import type { StreamFormat } from '../../../core/codec.js';
import { SAMPLE_RATES } from '../../../core/codec.js';
import type { Channel } from '../../../core/events.js';

export type MediaChannel = 'external' | 'internal';

/** One medium of the client's offer that the engine can decode. */
export interface SelectedMedia {
  readonly format: 'PCMU' | 'L16';
  readonly rate: number;
  /** In the order in which their samples are interleaved. */
  readonly channels: readonly MediaChannel[];
  /** The offer's own JSON with all its fields: `opened` repeats it verbatim. */
  readonly json: string;
}

/** The engine's channel for each interleaved channel: external is 0, internal is 1; a single channel is always 0. */
export function channelMap(media: SelectedMedia): readonly Channel[] {
  if (media.channels.length === 1) return [0];
  return media.channels.map((name) => (name === 'external' ? 0 : 1));
}

/** Bytes of one sample of one channel. */
export function sampleBytes(media: SelectedMedia): 1 | 2 {
  return media.format === 'PCMU' ? 1 : 2;
}

/** The format for the engine: L16 is little-endian, as in the reference implementation. */
export function streamFormat(media: SelectedMedia): StreamFormat {
  const channels = media.channels.length === 2 ? 2 : 1;
  const { rate } = media;
  return media.format === 'PCMU'
    ? { codec: 'pcmu', clockRate: rate, sampleRate: rate, channels }
    : { codec: 'l16', l16Order: 'little', clockRate: rate, sampleRate: rate, channels };
}

/**
 * The medium to use: the first with the most channels among those that can be decoded, because both sides of a call
 * matter more than the client's order of preference. Undefined when none is acceptable.
 */
export function selectMedia(offered: readonly unknown[]): SelectedMedia | undefined {
  let best: SelectedMedia | undefined;
  for (const offer of offered) {
    const media = acceptable(offer);
    if (media !== undefined && media.channels.length > (best?.channels.length ?? 0)) best = media;
  }
  return best;
}

function acceptable(offer: unknown): SelectedMedia | undefined {
  if (typeof offer !== 'object' || offer === null) return undefined;
  const { type, format, rate, channels } = offer as Record<string, unknown>;
  if (type !== 'audio' || (format !== 'PCMU' && format !== 'L16') || typeof rate !== 'number') return undefined;
  const rates: readonly number[] = format === 'PCMU' ? [8000] : SAMPLE_RATES;
  if (!rates.includes(rate) || !Array.isArray(channels) || channels.length < 1 || channels.length > 2) return undefined;
  if (!channels.every(isMediaChannel) || (channels.length === 2 && channels[0] === channels[1])) return undefined;
  let json: string;
  try {
    json = JSON.stringify(offer);
  } catch {
    // JSON that nests too deeply for the stack can be parsed but not serialised.
    return undefined;
  }
  return { format, rate, channels, json };
}

function isMediaChannel(name: unknown): name is MediaChannel {
  return name === 'external' || name === 'internal';
}

import type { AddonFlacEncoder } from '#addon';
import { loadAddon } from './addon.js';

/**
 * The native encoder of FLAC frames, which makes the bytes that FlacFrameEncoder of src/audio/flac makes, or undefined when
 * the addon cannot be used. Whether JavaScript may replace it is decided, and reported, where the engine starts its shards.
 */
export function nativeFlacEncoder(
  { sampleRate, channels }: { readonly sampleRate: number; readonly channels: number },
  blockSamples: number,
  source: Int16Array,
  out: Uint8Array,
): AddonFlacEncoder | undefined {
  try {
    return new (loadAddon().NativeFlacEncoder)(sampleRate, channels, blockSamples, source, out);
  } catch {
    return undefined;
  }
}

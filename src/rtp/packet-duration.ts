import { CODEC_ID, type CodecId } from '../core/codec.js';
import { MAX_PACKET_SECONDS } from './reception.js';

/** Length of an Opus frame in units of 2.5 ms, by configuration number (RFC 6716 §3.1, table 2). */
const OPUS_UNITS_A_SECOND = 400;
const OPUS_FRAME_UNITS = Uint8Array.from({ length: 32 }, (_, config) => {
  if (config < 12) return [4, 8, 16, 24][config & 3] as number;
  if (config < 16) return config & 1 ? 8 : 4;
  return 1 << (config & 3);
});

/**
 * How long the audio of a packet lasts, in ticks of its RTP clock, by its payload alone; 0 when the payload does not
 * say. G.711 has one byte per sample and L16 two (RFC 3551 §4.5); Opus says it in its first two bytes (RFC 6716 §3.1,
 * §3.2). Example: 160 bytes of PCMU at 8 kHz are 160 ticks, 20 ms.
 * @param ticksPerSample clock rate divided by sample rate.
 */
export function packetTicks(
  codec: CodecId,
  clockRate: number,
  ticksPerSample: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): number {
  if (codec !== CODEC_ID.OPUS) {
    const isWide = codec === CODEC_ID.L16 || codec === CODEC_ID.L16_LE;
    return Math.round((isWide ? length >> 1 : length) * ticksPerSample);
  }
  if (length < 1) return 0;
  const toc = bytes[at] as number;
  const code = toc & 3;
  let frames = code === 0 ? 1 : 2;
  if (code === 3) frames = length < 2 ? 0 : (bytes[at + 1] as number) & 0x3f;
  const seconds = (frames * (OPUS_FRAME_UNITS[toc >> 3] as number)) / OPUS_UNITS_A_SECOND;
  return seconds <= MAX_PACKET_SECONDS ? Math.round(seconds * clockRate) : 0;
}

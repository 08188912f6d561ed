/** Codecs by the names that the wire protocols use. */
export type Codec = 'pcmu' | 'pcma' | 'l16' | 'opus';

/**
 * Codec ids as they stand in ring records and the stream table; the Rust side has the same numbers.
 * L16 is big-endian as in RFC 3551; `L16_LE` is the little-endian form that AudioHook sends.
 */
export const CODEC_ID = { PCMU: 0, PCMA: 1, L16: 2, OPUS: 3, L16_LE: 4 } as const;
export type CodecId = (typeof CODEC_ID)[keyof typeof CODEC_ID];

const ID_OF: Record<Codec, CodecId> = {
  pcmu: CODEC_ID.PCMU,
  pcma: CODEC_ID.PCMA,
  l16: CODEC_ID.L16,
  opus: CODEC_ID.OPUS,
};

export function codecId(codec: Codec): CodecId {
  return ID_OF[codec];
}

export function isCodec(name: unknown): name is Codec {
  return typeof name === 'string' && Object.hasOwn(ID_OF, name);
}

/** How a stream's packets are coded and what they decode to. */
export interface StreamFormat {
  readonly codec: Codec;
  /** Byte order of L16 samples; `big` (RFC 3551) when absent. */
  readonly l16Order?: 'big' | 'little';
  /** RTP timestamp units a second: 8000 for G.711, 48000 for Opus (RFC 7587), the sample rate for L16. */
  readonly clockRate: number;
  /** Samples a second of the decoded PCM: 8000, 12000, 16000, 24000 or 48000. */
  readonly sampleRate: number;
  /** 1, or 2 when channel 0 (external) and channel 1 (internal) arrive as packets of their own. */
  readonly channels: 1 | 2;
}

/** Sample rates that a stream may decode to, those of libopus. */
export const SAMPLE_RATES = [8000, 12000, 16000, 24000, 48000] as const;

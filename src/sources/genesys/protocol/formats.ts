import { CODEC_ID, type Codec, type CodecId, SAMPLE_RATES, type StreamFormat } from '../../../core/codec.js';
import { isSurelyG711, isSurelyOpus } from './codec-evidence.js';
import type { SubscribedInteraction } from './wire.js';

export interface FormatPreferences {
  readonly codecPreferences: readonly Codec[];
  /** What Opus decodes to: its packets do to any rate, whatever the sender's was. */
  readonly opusSampleRate: number;
}

const NAME_OF: Readonly<Record<CodecId, Codec>> = {
  [CODEC_ID.PCMU]: 'pcmu',
  [CODEC_ID.PCMA]: 'pcma',
  [CODEC_ID.L16]: 'l16',
  [CODEC_ID.OPUS]: 'opus',
  [CODEC_ID.L16_LE]: 'l16',
};

/** The format that a server announced, or undefined when it left the codec open. */
export function announcedFormat(
  announced: SubscribedInteraction,
  preferences: FormatPreferences,
): StreamFormat | undefined {
  const { codec, clockRate, sampleRate, channels = 1 } = announced;
  if (codec === undefined) return undefined;
  switch (codec) {
    case 'pcmu':
    case 'pcma':
      return { codec, clockRate: 8_000, sampleRate: 8_000, channels };
    case 'opus':
      // RFC 7587 section 4.1: the clock is 48 kHz whatever the audio's bandwidth.
      return { codec, clockRate: 48_000, sampleRate: preferences.opusSampleRate, channels };
    case 'l16': {
      const rate = clockRate ?? sampleRate ?? 8_000;
      return { codec, clockRate: rate, sampleRate: rate, channels };
    }
  }
}

/**
 * The format of a stream whose server announces none, from the form of a payload alone: for when nothing better is
 * known (see FormatEvidence). A codec that the packet names decides.
 *
 * @param codec CodecId, or −1 when the packet does not name it.
 */
export function guessFormat(
  payload: Uint8Array,
  codec: number,
  channels: 1 | 2,
  preferences: FormatPreferences,
): StreamFormat {
  const known = NAME_OF[codec as CodecId] ?? guessCodec(payload, preferences.codecPreferences);
  const sampleRate = known === 'l16' ? guessL16Rate(payload.length) : undefined;
  const format = announcedFormat({ interactionId: '', codec: known, sampleRate, channels }, preferences);
  return format as StreamFormat;
}

/**
 * G.711 comes in whole multiples of 10 ms, which are 80 bytes, and looks like sound; Opus at a variable rate hardly
 * ever has such a length, and its bytes are spread evenly (see codec-evidence.ts).
 */
export function guessCodec(payload: Uint8Array, preferences: readonly Codec[]): Codec {
  const laws = preferences.filter((codec) => codec === 'pcmu' || codec === 'pcma');
  const first = preferences.find((codec) => codec === 'opus' || codec === 'l16');
  const hasG711Length = isG711Length(payload.length);
  const looksLikeG711 =
    first === 'opus' ? (hasG711Length ? !isSurelyOpus(payload) : isSurelyG711(payload)) : hasG711Length;
  if (first !== undefined && (!looksLikeG711 || (laws.length === 0 && preferences.length > 0))) return first;
  return guessLaw(payload, preferences);
}

/**
 * Both laws write a quiet signal near their code for zero, 0xff or 0x7f in PCMU and 0xd5 or 0x55 in PCMA; without a
 * clear majority the preferences decide. A request for one law may still be answered with the other.
 */
export function guessLaw(payload: Uint8Array, preferences: readonly Codec[]): 'pcmu' | 'pcma' {
  let tally = 0;
  for (const code of payload) {
    const step = code & 0x70;
    if (step === 0x70) tally++;
    else if (step === 0x50) tally--;
  }
  if (tally > payload.length / 2) return 'pcmu';
  if (tally < -payload.length / 2) return 'pcma';
  return preferences.find((codec) => codec === 'pcmu' || codec === 'pcma') ?? 'pcmu';
}

/** Up to 60 ms of G.711, in steps of 10 ms. */
export function isG711Length(lengthBytes: number): boolean {
  return lengthBytes > 0 && lengthBytes % 80 === 0 && lengthBytes <= 480;
}

// Taken for 20 ms of 16-bit samples; 8 kHz when that fits no rate.
function guessL16Rate(lengthBytes: number): number {
  return SAMPLE_RATES.find((rate) => rate / 25 === lengthBytes) ?? 8_000;
}

export function sameFormat(a: StreamFormat, b: StreamFormat): boolean {
  return (
    a.codec === b.codec && a.clockRate === b.clockRate && a.sampleRate === b.sampleRate && a.channels === b.channels
  );
}

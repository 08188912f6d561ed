import { Buffer } from 'node:buffer';
import { CODEC_ID, type StreamFormat } from '../../../core/codec.js';
import { type FormatPreferences, guessFormat, guessLaw, isG711Length } from './formats.js';

/** Of the packets of a stream whose codec is not announced. */
export interface EvidencePacket {
  /** A CodecId, or −1 when the packet does not name it. */
  readonly codec: number;
  /** 0 or 1, or −1 when the packet does not name it. */
  readonly channel: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: Uint8Array;
}

type Family = 'g711' | 'opus' | 'l16';

const TIMESTAMP_MODULUS = 2 ** 32;
// Sequence numbers further apart than this are no steps of one numbering.
const MOST_STEPS = 8;
/** The shortest Opus frame is 2.5 ms, 120 ticks of its 48 kHz clock (RFC 6716 section 2.1.4, RFC 7587 section 4.1). */
const OPUS_TICKS = 120;
/** 120 ms, the longest packet. */
const OPUS_MOST_TICKS = 5_760;
// Opus may use 510 kbit/s, 1.33 bytes a tick; speech uses a tenth of it.
const OPUS_MOST_BYTES_PER_TICK = 0.5;
/** Enough to tell the two laws of G.711 apart. */
const LAW_BYTES = 2_048;

/**
 * What the packets of a stream show about its codec. The payload alone can mislead: Opus that is padded to 160 bytes
 * looks like G.711. The step of the timestamp between two packets does not: G.711 has one tick a byte, L16 half a tick,
 * and Opus 960 for 20 ms, however many bytes that takes.
 */
export class FormatEvidence {
  readonly #preferences: FormatPreferences;
  readonly #votes: Record<Family, number> = { g711: 0, opus: 0, l16: 0 };
  /** By channel. */
  readonly #last = new Map<number, EvidencePacket>();
  readonly #payloads: Uint8Array[] = [];
  #payloadBytes = 0;
  #named = -1;
  #hasChannel = false;
  /** An Opus packet of a length that G.711 does not have. */
  #hasOpusLength = false;

  constructor(preferences: FormatPreferences) {
    this.#preferences = preferences;
  }

  /** The packet is copied. */
  add(packet: EvidencePacket): void {
    if (packet.codec >= 0) this.#named = packet.codec;
    if (packet.channel >= 0) this.#hasChannel = true;
    const last = this.#last.get(packet.channel);
    if (last !== undefined) this.#compare(last, packet);
    const kept = { ...packet, payload: Uint8Array.from(packet.payload) };
    this.#last.set(packet.channel, kept);
    if (this.#payloadBytes >= LAW_BYTES) return;
    this.#payloads.push(kept.payload);
    this.#payloadBytes += kept.payload.length;
  }

  /** The format, once it is certain. */
  certain(): StreamFormat | undefined {
    if (this.#named >= 0) return this.#format(this.#named);
    const { g711, opus, l16 } = this.#votes;
    if (g711 > 0) return this.#g711();
    if (l16 > 0) return this.#format(CODEC_ID.L16);
    // A pause of G.711 with silence suppression can have the same step once, but not twice.
    return opus > 1 || (opus > 0 && this.#hasOpusLength) ? this.#format(CODEC_ID.OPUS) : undefined;
  }

  /** The most likely format. */
  likely(): StreamFormat {
    if (this.#votes.opus > 0) return this.certain() ?? this.#format(CODEC_ID.OPUS);
    return this.certain() ?? this.#format(-1);
  }

  #compare(before: EvidencePacket, after: EvidencePacket): void {
    const steps = after.sequence - before.sequence;
    if (steps < 1 || steps > MOST_STEPS) return;
    const ticks = (((after.timestamp - before.timestamp) % TIMESTAMP_MODULUS) + TIMESTAMP_MODULUS) % TIMESTAMP_MODULUS;
    const step = ticks / steps;
    const { length } = before.payload;
    if (step === length) this.#votes.g711++;
    else if (step === length / 2) this.#votes.l16++;
    else if (
      step > 0 &&
      step % OPUS_TICKS === 0 &&
      step <= OPUS_MOST_TICKS &&
      length < step * OPUS_MOST_BYTES_PER_TICK
    ) {
      this.#votes.opus++;
      if (!isG711Length(length)) this.#hasOpusLength = true;
    }
  }

  #g711(): StreamFormat {
    const law = guessLaw(Buffer.concat(this.#payloads), this.#preferences.codecPreferences);
    return this.#format(law === 'pcma' ? CODEC_ID.PCMA : CODEC_ID.PCMU);
  }

  /** @param codec −1 to guess it from a payload. */
  #format(codec: number): StreamFormat {
    const payload = this.#payloads.at(-1) ?? new Uint8Array(0);
    return guessFormat(payload, codec, this.#hasChannel ? 2 : 1, this.#preferences);
  }
}

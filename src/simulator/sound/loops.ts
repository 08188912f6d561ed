import { encodePcma, encodePcmu } from '../../audio/codecs/g711.js';
import { encodeL16 } from '../../audio/codecs/l16.js';
import { OpusEncoder } from '../../audio/codecs/opus.js';
import type { StreamFormat } from '../../core/codec.js';
import { resampleCircular } from './resample.js';
import type { Clip } from './speech.js';

/** How an interaction's speech is coded. */
export interface Coding {
  readonly codec: StreamFormat['codec'];
  /** Samples a second of the sound that is coded. */
  readonly sampleRate: number;
  /** Opus only: discontinuous transmission. In pauses no packets are sent, and only the timestamps go on. */
  readonly dtx: boolean;
}

/** A clip as packets of 20 ms, played over and over. */
export interface PacketLoop {
  /** Base64; empty where nothing is sent. */
  readonly payloads: readonly string[];
}

/** Of the signal that marks a secure pause. */
export const MARK_AMPLITUDE = 31_000;

/** `mixed` deals these out in turn. */
const MIXED: readonly Omit<Coding, 'dtx'>[] = [
  { codec: 'pcmu', sampleRate: 8000 },
  { codec: 'pcma', sampleRate: 8000 },
  { codec: 'l16', sampleRate: 8000 },
  { codec: 'opus', sampleRate: 16_000 },
  { codec: 'opus', sampleRate: 48_000 },
];

export const CODEC_CHOICES = ['pcmu', 'pcma', 'l16', 'opus', 'mixed'] as const;
export type CodecChoice = (typeof CODEC_CHOICES)[number];

/** The coding of interaction number `index`. Every second L16 interaction has 16 kHz, every second Opus one DTX. */
export function codingOf(choice: CodecChoice, index: number): Coding {
  const turn = choice === 'mixed' ? MIXED : MIXED.filter(({ codec }) => codec === choice);
  const { codec, sampleRate } = turn[index % turn.length] as (typeof MIXED)[number];
  const isSecond = Math.floor(index / turn.length) % 2 === 1;
  return { codec, sampleRate: codec === 'l16' && isSecond ? 16_000 : sampleRate, dtx: codec === 'opus' && isSecond };
}

/** RTP clock: 8000 for G.711, the sample rate for L16 (RFC 3551), always 48000 for Opus (RFC 7587). */
export function formatOf({ codec, sampleRate }: Coding, channels: 1 | 2): StreamFormat {
  return { codec, clockRate: codec === 'opus' ? 48_000 : sampleRate, sampleRate, channels };
}

/**
 * The clips, coded. Each combination is encoded once, when it is first asked for, and then shared: a packet costs the
 * simulator no more than the text around it. An Opus stream that begins in the middle, or goes from the last packet to
 * the first, is an ordinary stream to its decoder: every decoder that gets the same packets gives the same sound.
 */
export class LoopLibrary {
  readonly #clips: readonly Clip[];
  readonly #sounds = new Map<string, Int16Array>();
  readonly #loops = new Map<string, PacketLoop>();

  constructor(clips: readonly Clip[]) {
    this.#clips = clips;
  }

  get clipCount(): number {
    return this.#clips.length;
  }

  loop(clip: number, coding: Coding): PacketLoop {
    const key = `${clip} ${coding.codec} ${coding.sampleRate} ${coding.dtx}`;
    let loop = this.#loops.get(key);
    if (loop === undefined) {
      loop = { payloads: encode(this.#sound(clip, coding.sampleRate), coding) };
      this.#loops.set(key, loop);
    }
    return loop;
  }

  /** What is sent in a secure pause: a square wave of 400 Hz, louder than any voice here. */
  marking(coding: Coding): PacketLoop {
    const key = `marking ${coding.codec} ${coding.sampleRate}`;
    let loop = this.#loops.get(key);
    if (loop === undefined) {
      const half = coding.sampleRate / 800;
      const pcm = Int16Array.from({ length: coding.sampleRate }, (_, i) =>
        Math.floor(i / half) % 2 === 0 ? MARK_AMPLITUDE : -MARK_AMPLITUDE,
      );
      loop = { payloads: encode(pcm, { ...coding, dtx: false }) };
      this.#loops.set(key, loop);
    }
    return loop;
  }

  #sound(clip: number, sampleRate: number): Int16Array {
    const key = `${clip} ${sampleRate}`;
    let sound = this.#sounds.get(key);
    if (sound === undefined) {
      const { pcm, sampleRate: fromRate } = this.#clips[clip % this.#clips.length] as Clip;
      sound = resampleCircular(pcm, fromRate, sampleRate);
      this.#sounds.set(key, sound);
    }
    return sound;
  }
}

function encode(pcm: Int16Array, { codec, sampleRate, dtx }: Coding): string[] {
  const samples = sampleRate / 50;
  const frames = Array.from({ length: pcm.length / samples }, (_, i) => pcm.subarray(i * samples, (i + 1) * samples));
  if (codec !== 'opus') {
    const encodeFrame = { pcmu: encodePcmu, pcma: encodePcma, l16: encodeL16 }[codec];
    return frames.map((frame) => toBase64(encodeFrame(frame)));
  }
  // Low complexity: the demo starts seconds sooner.
  const encoder = new OpusEncoder({ sampleRate, dtx, complexity: 1 });
  try {
    return frames.map((frame) => {
      const packet = encoder.encode(frame);
      // opus_encode(): a packet of at most two bytes need not be transmitted.
      return dtx && packet.length <= 2 ? '' : toBase64(packet);
    });
  } finally {
    encoder.free();
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

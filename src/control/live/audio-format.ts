import { Resampler } from '../../audio/resample.js';
import type { StreamInfo } from '../../core/events.js';

/** Rates that live audio is offered at. */
export const AUDIO_RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] as const;

/** What a client asks for; what is absent is as the stream has it. */
export interface AudioRequest {
  readonly channels?: 'mono' | 'stereo' | undefined;
  /** One of AUDIO_RATES. */
  readonly rate?: number | undefined;
}

/** Brings a stream's PCM into the form that a client has asked for. Where it asks for nothing the bytes stay as they are. */
export class AudioFormat {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
  readonly #convert: (pcm: Int16Array) => Int16Array;
  readonly #resampler: Resampler | undefined;

  constructor({ sampleRate, channels }: StreamInfo, request: AudioRequest) {
    this.sampleRate = request.rate ?? sampleRate;
    this.channels = { mono: 1, stereo: 2, same: channels }[request.channels ?? 'same'] as 1 | 2;
    this.#convert = conversion(channels, this.channels);
    this.#resampler =
      this.sampleRate === sampleRate ? undefined : new Resampler(sampleRate, this.sampleRate, this.channels);
  }

  /** Of one second. */
  get bytesPerSecond(): number {
    return this.sampleRate * this.channels * 2;
  }

  /** 16-bit little-endian PCM; whole samples of all channels. */
  convert(bytes: Buffer): Buffer {
    if (this.#convert === unchanged && this.#resampler === undefined) return bytes;
    const pcm = this.#convert(samplesOf(bytes));
    return bytesOf(this.#resampler?.resample(pcm) ?? pcm);
  }
}

function conversion(from: number, to: number): (pcm: Int16Array) => Int16Array {
  if (from === to) return unchanged;
  return to === 1 ? mixed : doubled;
}

function unchanged(pcm: Int16Array): Int16Array {
  return pcm;
}

/** Both sides at their own level; only what exceeds full scale is clipped. */
function mixed(pcm: Int16Array): Int16Array {
  const out = new Int16Array(pcm.length / 2);
  for (let i = 0; i < out.length; i++) {
    const sum = (pcm[2 * i] as number) + (pcm[2 * i + 1] as number);
    out[i] = Math.max(-32_768, Math.min(32_767, sum));
  }
  return out;
}

function doubled(pcm: Int16Array): Int16Array {
  const out = new Int16Array(pcm.length * 2);
  for (let i = 0; i < out.length; i++) out[i] = pcm[i >> 1] as number;
  return out;
}

function samplesOf(bytes: Buffer): Int16Array {
  const isAligned = bytes.byteOffset % 2 === 0;
  const { buffer, byteOffset, length } = isAligned ? bytes : Buffer.from(new Uint8Array(bytes).buffer);
  return new Int16Array(buffer, byteOffset, length / 2);
}

function bytesOf(pcm: Int16Array): Buffer {
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

import { readFileSync } from 'node:fs';
import { decodePcmu, encodePcmu } from '../../audio/codecs/g711.js';
import { encodeL16Le } from '../../audio/codecs/l16.js';
import { SampleMemory } from '../../audio/sample-memory.js';
import { parseWav } from '../../audio/wav.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { SeededRandom } from '../network/random.js';

export type HookFormat = 'PCMU' | 'L16';
export type HookChannel = 'external' | 'internal';

/** AudioHook's rate. */
export const HOOK_RATE = 8000;

const GENERATED_SECONDS = 10;

/**
 * What the calls sound like: both sides of one conversation, played over and over, every call from another place. Coded
 * once for all calls, so that sending costs no more than the copy into the socket.
 */
export class AudioHookSound {
  /** 16-bit PCM of external and internal, before coding. */
  readonly pcm: readonly [Int16Array, Int16Array];
  readonly lengthSamples: number;
  readonly #coded = new Map<string, Uint8Array>();

  constructor(external: Int16Array, internal: Int16Array) {
    this.pcm = [external, internal];
    this.lengthSamples = Math.min(external.length, internal.length);
  }

  /** Tones that come and go over noise, no two samples in a row predictable: what is out of place shows. */
  static generated(seed: number): AudioHookSound {
    const side = (channel: number): Int16Array => {
      const random = new SeededRandom(seed, channel);
      const hz = 200 + 150 * channel;
      return Int16Array.from({ length: GENERATED_SECONDS * HOOK_RATE }, (_, i) => {
        const speaking = Math.floor(i / HOOK_RATE) % 2 === channel;
        return (speaking ? 9000 * Math.sin((2 * Math.PI * hz * i) / HOOK_RATE) : 0) + (random.unit() - 0.5) * 800;
      });
    };
    return new AudioHookSound(side(0), side(1));
  }

  /**
   * A WAV of 8 kHz and 16 bits: stereo as external and internal; of a mono file the internal side is an echo of it.
   * @throws TrunklineError FILE_INVALID
   */
  static fromWav(path: string): AudioHookSound {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (thrown) {
      throw new TrunklineError('FILE_INVALID', `Cannot read ${path}: ${messageOf(thrown)}.`, { cause: thrown });
    }
    const wav = parseWav(bytes);
    if (wav.sampleRate !== HOOK_RATE || wav.bitsPerSample !== 16 || wav.channels > 2 || wav.dataLength === 0) {
      throw new TrunklineError('FILE_INVALID', `${path} must be 16-bit PCM of 8000 Hz with one or two channels.`);
    }
    const length = wav.dataLength / 2 / wav.channels;
    const side = (channel: number): Int16Array =>
      Int16Array.from({ length }, (_, i) => bytes.readInt16LE(wav.dataOffset + (i * wav.channels + channel) * 2));
    const external = side(0);
    if (wav.channels === 2) return new AudioHookSound(external, side(1));
    return new AudioHookSound(
      external,
      Int16Array.from(external, (_, i) => external[((i + length / 2) % length) | 0] ?? 0),
    );
  }

  /** One turn of the loop, coded and interleaved. */
  coded(format: HookFormat, channels: readonly HookChannel[]): Uint8Array {
    const key = `${format} ${channels.join(' ')}`;
    let coded = this.#coded.get(key);
    if (coded === undefined) {
      const sides = channels.map((name) => this.pcm[name === 'external' ? 0 : 1]);
      const mixed = Int16Array.from({ length: this.lengthSamples * sides.length }, (_, i) => {
        return sides[i % sides.length]?.[Math.floor(i / sides.length)] ?? 0;
      });
      coded = format === 'PCMU' ? encodePcmu(mixed) : encodeL16Le(mixed);
      this.#coded.set(key, coded);
    }
    return coded;
  }

  /** One turn of one side as a decoder gives it back. */
  decoded(format: HookFormat, channel: HookChannel): Int16Array {
    const pcm = this.pcm[channel === 'external' ? 0 : 1].subarray(0, this.lengthSamples);
    if (format === 'L16') return pcm;
    const out = new SampleMemory(new ArrayBuffer(pcm.byteLength));
    decodePcmu(SampleMemory.copyOf(encodePcmu(pcm)), 0, pcm.length, out, 0);
    return out.samples;
  }
}

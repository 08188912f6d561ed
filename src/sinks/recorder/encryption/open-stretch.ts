import type { ByteSource } from '../../../audio/files/byte-source.js';
import type { PcmReader } from '../../../audio/files/pcm-reader.js';
import { readPcm } from '../../../audio/files/read-pcm.js';
import { wavHeader } from '../../../audio/wav.js';
import { TrunklineError } from '../../../core/errors.js';
import type { Damage, EncryptedReader } from './encrypted-reader.js';

/** Of each channel; what is damaged ends the output at such a block. */
const BLOCK_SAMPLES = 4_096;

/** The content of an encrypted file for a decoder: it ends in front of the first chunk that is not as it was written. */
export class DecryptedSource implements ByteSource {
  readonly #reader: EncryptedReader;
  /** Why it ended. */
  damage: Damage | undefined;

  constructor(reader: EncryptedReader) {
    this.#reader = reader;
  }

  get size(): number {
    return this.#reader.size;
  }

  read(into: Uint8Array, at: number, length: number, position: number): number {
    for (let left = length; left > 0; ) {
      const got = this.#reader.read(position, left);
      if (got instanceof Uint8Array) {
        into.set(got, at);
        return got.length;
      }
      this.damage = got;
      // A chunk that was written later may begin before the one that is damaged.
      left = Math.min(left - 1, got.position - position);
    }
    return 0;
  }

  /** The file belongs to others. */
  close(): void {}
}

/** Why a stretch ended early. */
export interface Undecoded {
  /** Of the recording, up to which it was decoded. */
  readonly second: number;
  readonly message: string;
}

/** A stretch of an audio file, in seconds, decoded to a WAV file, block by block; behind the end it is an empty one. */
export function* decodedStretch(
  source: ByteSource,
  fromSeconds = 0,
  toSeconds = Number.POSITIVE_INFINITY,
): Generator<Buffer, Undecoded | undefined> {
  let reader: PcmReader | undefined;
  let second = fromSeconds;
  try {
    reader = readPcm(source);
    const { sampleRate, channels, samples } = reader;
    const at = (seconds: number) => Math.min(samples, Math.round(seconds * sampleRate));
    const start = at(fromSeconds);
    const end = Math.max(start, at(toSeconds));
    reader.seek(start);
    yield Buffer.from(wavHeader({ sampleRate, channels }, 2 * channels * (end - start)));
    for (let done = start; done < end; ) {
      const pcm = new Int16Array(channels * Math.min(BLOCK_SAMPLES, end - done));
      const got = reader.read(pcm);
      if (got === 0) return { second, message: 'it ends early' };
      yield Buffer.from(pcm.buffer, 0, 2 * channels * got);
      done += got;
      second = done / sampleRate;
    }
    return undefined;
  } catch (thrown) {
    if (thrown instanceof TrunklineError) return { second, message: thrown.message };
    throw thrown;
  } finally {
    reader?.close();
  }
}

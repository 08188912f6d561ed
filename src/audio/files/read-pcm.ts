import { TrunklineError } from '../../core/errors.js';
import type { ByteSource } from './byte-source.js';
import { FlacReader } from './flac-reader.js';
import { OpusReader } from './opus-reader.js';
import type { PcmReader } from './pcm-reader.js';
import { WavReader } from './wav-reader.js';

const HEAD_BYTES = 5;
/** How each format begins. The last one is what `sinks/recorder/encryption` writes. */
const BEGINS: readonly (readonly [string, (source: ByteSource) => PcmReader])[] = [
  ['RIFF', (source) => new WavReader(source)],
  ['fLaC', (source) => new FlacReader(source)],
  ['OggS', (source) => new OpusReader(source)],
  [
    'tlenc',
    () => {
      throw new TrunklineError(
        'FILE_INVALID',
        'It is encrypted. Open it first: trunkline open --identity key.txt --out FOLDER RECORDING',
      );
    },
  ],
];

/**
 * Reads a WAV file of 16-bit PCM, a FLAC file, or an Ogg Opus file of one channel, at the rate that it was recorded with.
 * @throws TrunklineError FILE_INVALID, and then the source is closed.
 */
export function readPcm(source: ByteSource): PcmReader {
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const text = head.toString('latin1', 0, source.read(head, 0, HEAD_BYTES, 0));
    const open = BEGINS.find(([begin]) => text.startsWith(begin))?.[1];
    if (open === undefined) throw new TrunklineError('FILE_INVALID', 'It is none of WAV, FLAC and Ogg Opus.');
    return open(source);
  } catch (thrown) {
    source.close();
    throw thrown;
  }
}

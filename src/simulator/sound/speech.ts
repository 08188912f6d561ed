import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, TrunklineError } from '../../core/errors.js';

/** A stretch of speech that can be played in a circle: a whole number of 20 ms packets, beginning and ending quietly. */
export interface Clip {
  readonly name: string;
  readonly sampleRate: number;
  readonly pcm: Int16Array;
}

const PACKETS_PER_SECOND = 50;
const HEADER_BYTES = 44;

/** The clips of `speech/`, by name. @throws TrunklineError FILE_FAILED when they are missing. */
export function loadClips(): Clip[] {
  const folder = speechFolder();
  const files = readdirSync(folder).filter((file) => file.endsWith('.wav'));
  return files.sort().map((file) => readClip(join(folder, file), file.slice(0, -'.wav'.length)));
}

/** tsc does not copy the clips: compiled code, in dist/src/simulator/sound, finds them in the package's own src. */
function speechFolder(): string {
  const places = ['./speech/', '../../../../src/simulator/sound/speech/'];
  const folder = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));
  if (folder === undefined) {
    throw new TrunklineError(
      'FILE_FAILED',
      'The speech clips of the simulator are missing; install trunkline again, or restore src/simulator/sound/speech.',
    );
  }
  return folder;
}

/** Reads only what make.sh writes: mono 16-bit PCM behind the shortest possible WAV header. */
function readClip(path: string, name: string): Clip {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `The speech clip ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const isPlain =
    file.length > HEADER_BYTES &&
    file.toString('latin1', 0, 4) === 'RIFF' &&
    file.toString('latin1', 36, 40) === 'data' &&
    file.readUInt16LE(20) === 1 &&
    file.readUInt16LE(22) === 1 &&
    file.readUInt16LE(34) === 16;
  if (!isPlain)
    throw new TrunklineError(
      'FILE_INVALID',
      `${path} is not a plain mono WAV of 16 bits; make it with src/simulator/sound/speech/make.sh.`,
    );
  const sampleRate = file.readUInt32LE(24);
  const packetSamples = sampleRate / PACKETS_PER_SECOND;
  const samples = Math.floor((file.length - HEADER_BYTES) / 2 / packetSamples) * packetSamples;
  const pcm = Int16Array.from({ length: samples }, (_, i) => file.readInt16LE(HEADER_BYTES + 2 * i));
  return { name, sampleRate, pcm };
}

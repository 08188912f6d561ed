import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { parseWav } from '../../audio/wav.js';
import { audioFileName } from '../../sinks/recorder/files/manifest.js';
import { isRecordingFolder } from '../../sinks/recorder/folders/recording-folders.js';

/** The extremes of the audio in equal stretches of its time, for drawing. */
export interface Waveform {
  readonly sampleRate: number;
  readonly durationSeconds: number;
  /** By channel, from −1 to 1. */
  readonly channels: readonly { readonly min: readonly number[]; readonly max: readonly number[] }[];
}

const READ_BYTES = 256 << 10;
const HEADER_BYTES = 4_096;
const CACHED = 100;
/** A symbolic link in place of the file is refused. */
const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW;

interface Cached {
  readonly size: number;
  readonly mtimeMs: number;
  readonly waveform: Waveform;
}

/** Computes waveforms, and keeps the newest. Reads with blocking calls in short slices. */
export class Waveforms {
  readonly #directory: string;
  readonly #cached = new Map<string, Cached>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Of at most `points` stretches; undefined when there is no such audio. */
  async of(id: string, segment: number, points: number): Promise<Waveform | undefined> {
    if (!isRecordingFolder(this.#directory, id)) return undefined;
    const file = openFile(join(this.#directory, id, audioFileName(segment)));
    if (file < 0) return undefined;
    try {
      const { size, mtimeMs } = fstatSync(file);
      const key = `${id}/${segment}/${points}`;
      const known = this.#cached.get(key);
      this.#cached.delete(key);
      const isSame = known?.size === size && known.mtimeMs === mtimeMs;
      const waveform = isSame ? known.waveform : await read(file, size, points);
      if (waveform === undefined) return undefined;
      this.#cached.set(key, { size, mtimeMs, waveform });
      const [oldest] = this.#cached.keys();
      if (this.#cached.size > CACHED && oldest !== undefined) this.#cached.delete(oldest);
      return waveform;
    } finally {
      closeSync(file);
    }
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, READ_FILE);
  } catch {
    return -1;
  }
}

async function read(file: number, size: number, points: number): Promise<Waveform | undefined> {
  const layout = layoutOf(file, size);
  if (layout === undefined || layout.bitsPerSample !== 16) return undefined;
  const { sampleRate, channels, dataOffset, dataLength } = layout;
  const blockBytes = channels * 2;
  const samples = dataLength / blockBytes;
  const stretches = Math.min(points, samples);
  const extremes = Array.from({ length: channels }, () => ({
    min: new Int16Array(stretches).fill(32_767),
    max: new Int16Array(stretches).fill(-32_768),
  }));
  const bytes = new Uint8Array(READ_BYTES - (READ_BYTES % blockBytes));
  const values = new Int16Array(bytes.buffer);
  for (let sample = 0; sample < samples; ) {
    const length = Math.min(bytes.length, (samples - sample) * blockBytes);
    const got = readSync(file, bytes, 0, length, dataOffset + sample * blockBytes);
    const blocks = Math.floor(got / blockBytes);
    if (blocks === 0) break;
    for (const [channel, { min, max }] of extremes.entries()) {
      take(values, channel, channels, blocks, sample, samples, min, max);
    }
    sample += blocks;
    // Others have their turn.
    await setImmediate();
  }
  return {
    sampleRate,
    durationSeconds: samples / sampleRate,
    channels: extremes.map(({ min, max }) => ({ min: shares(min), max: shares(max) })),
  };
}

function layoutOf(file: number, size: number) {
  const head = new Uint8Array(HEADER_BYTES);
  const length = readSync(file, head, 0, HEADER_BYTES, 0);
  try {
    return parseWav(head.subarray(0, length), size);
  } catch {
    return undefined;
  }
}

/** Takes `blocks` samples of one channel, of which the first is number `first` of `samples`, into their stretches. */
function take(
  values: Int16Array,
  channel: number,
  channels: number,
  blocks: number,
  first: number,
  samples: number,
  min: Int16Array,
  max: Int16Array,
): void {
  const stretches = min.length;
  let stretch = Math.floor((first * stretches) / samples);
  for (let n = 0; n < blocks; ) {
    const end = Math.min(blocks, Math.ceil(((stretch + 1) * samples) / stretches) - first);
    let low = min[stretch] as number;
    let high = max[stretch] as number;
    for (; n < end; n++) {
      const value = values[n * channels + channel] as number;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    min[stretch] = low;
    max[stretch] = high;
    stretch++;
  }
}

function shares(values: Int16Array): number[] {
  return Array.from(values, (value) => Math.round((value / 32_768) * 10_000) / 10_000);
}

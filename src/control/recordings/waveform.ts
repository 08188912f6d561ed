import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { readRecordedAudio } from '../../sinks/recorder/files/recorded-audio.js';
import { isRecordingFolder } from '../../sinks/recorder/folders/recording-folders.js';
import { audioVersion } from './decoded-audio.js';

/** The extremes of the audio in equal stretches of its time, for drawing. */
export interface Waveform {
  readonly sampleRate: number;
  readonly durationSeconds: number;
  /** By channel, from −1 to 1. */
  readonly channels: readonly { readonly min: readonly number[]; readonly max: readonly number[] }[];
}

/** Of each channel, between two turns of others. */
const BLOCK_SAMPLES = 64 << 10;
const CACHED = 100;

interface Cached {
  readonly version: string;
  readonly waveform: Waveform;
}

/** Computes waveforms, and keeps the newest. Reads with blocking calls in short slices. */
export class Waveforms {
  readonly #directory: string;
  readonly #cached = new Map<string, Cached>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Of at most `points` stretches; undefined when there is no such audio.
   * @throws TrunklineError FILE_INVALID when it is damaged.
   */
  async of(id: string, segment: number, points: number): Promise<Waveform | undefined> {
    if (!isRecordingFolder(this.#directory, id)) return undefined;
    const folder = join(this.#directory, id);
    const version = audioVersion(folder, segment);
    if (version === undefined) return undefined;
    const key = `${id}/${segment}/${points}`;
    const known = this.#cached.get(key);
    this.#cached.delete(key);
    const waveform = known?.version === version ? known.waveform : await read(folder, segment, points);
    this.#cached.set(key, { version, waveform });
    const [oldest] = this.#cached.keys();
    if (this.#cached.size > CACHED && oldest !== undefined) this.#cached.delete(oldest);
    return waveform;
  }
}

async function read(folder: string, segment: number, points: number): Promise<Waveform> {
  const reader = readRecordedAudio(folder, segment);
  try {
    const { sampleRate, channels, samples } = reader;
    const stretches = Math.min(points, samples);
    const extremes = Array.from({ length: channels }, () => ({
      min: new Int16Array(stretches).fill(32_767),
      max: new Int16Array(stretches).fill(-32_768),
    }));
    const values = new Int16Array(BLOCK_SAMPLES * channels);
    for (let sample = 0; sample < samples; ) {
      const blocks = Math.min(reader.read(values), samples - sample);
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
  } finally {
    reader.close();
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

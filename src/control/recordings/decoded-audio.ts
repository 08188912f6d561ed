import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { PcmReader } from '../../audio/files/pcm-reader.js';
import { audioFilesOf, readRecordedAudio } from '../../sinks/recorder/files/recorded-audio.js';
import { isRecordingFolder } from '../../sinks/recorder/folders/recording-folders.js';

/** An audio file of a recording, or one channel of it. */
export interface AudioChoice {
  readonly id: string;
  readonly segment: number;
  /** All channels when absent. */
  readonly channel: number | undefined;
}

export interface PcmFormat {
  readonly sampleRate: number;
  readonly channels: number;
  /** Of each channel. */
  readonly samples: number;
}

/** Files that are open between two requests: a download asks for one block after another. */
const MAX_OPEN = 8;
/** After this time without a request all are closed: an open file takes space on the disk even when it was deleted. */
const IDLE_MS = 30_000;

interface Open {
  readonly reader: PcmReader;
  position: number;
}

/** Decodes the audio of recordings block by block, on the thread that reads them. */
export class DecodedAudio {
  readonly #directory: string;
  readonly #open = new Map<string, Open>();
  #idle: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Undefined when there is no such audio. @throws TrunklineError FILE_INVALID when it cannot be decoded. */
  format(choice: AudioChoice): PcmFormat | undefined {
    const open = this.#take(choice);
    if (open === undefined) return undefined;
    const { sampleRate, channels, samples } = open.reader;
    return { sampleRate, channels, samples };
  }

  /** Samples from `from` on, interleaved, `count` of each channel or as many as there are. */
  pcm(choice: AudioChoice, from: number, count: number): Int16Array | undefined {
    const open = this.#take(choice);
    if (open === undefined) return undefined;
    const { reader } = open;
    const pcm = new Int16Array(count * reader.channels);
    if (open.position !== from) reader.seek(from);
    let done = 0;
    for (let got = 1; done < count && got > 0; done += got) got = reader.read(pcm.subarray(done * reader.channels));
    open.position = from + done;
    return pcm.subarray(0, done * reader.channels);
  }

  close(): void {
    clearTimeout(this.#idle);
    for (const { reader } of this.#open.values()) reader.close();
    this.#open.clear();
  }

  #take({ id, segment, channel }: AudioChoice): Open | undefined {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
    if (!isRecordingFolder(this.#directory, id)) return undefined;
    const folder = join(this.#directory, id);
    const version = audioVersion(folder, segment);
    if (version === undefined) return undefined;
    const key = `${channel}\n${version}`;
    const known = this.#open.get(key);
    const open = known ?? { reader: readRecordedAudio(folder, segment, channel), position: 0 };
    this.#open.delete(key);
    this.#open.set(key, open);
    const [oldest] = this.#open;
    if (this.#open.size > MAX_OPEN && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      oldest[1].reader.close();
    }
    return open;
  }
}

/** What changes when the audio does; undefined when there is none. */
export function audioVersion(folder: string, segment: number): string | undefined {
  try {
    const files = audioFilesOf(folder, segment).map((path) => ({ path, status: lstatSync(path) }));
    // A symbolic link, or a pipe, in its place is none.
    if (!files.every(({ status }) => status.isFile())) return undefined;
    return files.map(({ path, status: { ino, size, mtimeMs } }) => `${path} ${ino} ${size} ${mtimeMs}`).join('\n');
  } catch {
    return undefined;
  }
}

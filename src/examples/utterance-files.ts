import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Channel, FrameView, PcmSelection, SilenceEdge, Sink, SinkContext, StreamInfo } from '../index.js';

/** Longest utterance that is kept in memory: 60 s of 16 kHz. A longer one is continued in another file. */
const MAX_BYTES = 60 * 16_000 * 2;

interface Utterance {
  readonly startMs: number;
  readonly parts: Buffer[];
  bytes: number;
}

/**
 * A sink that writes a WAV file for every utterance: what one speaker says between two silences. Files are
 * `<directory>/<interaction>-<channel>-<start in ms>.wav`.
 */
export class UtteranceFiles implements Sink {
  readonly name = 'utterances';
  readonly #directory: string;
  readonly #open = new Map<string, Utterance>();
  readonly #writes = new Set<Promise<void>>();
  #report: SinkContext['report'] = () => {};
  #written = 0;
  #failed = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async start({ report }: SinkContext): Promise<void> {
    this.#report = report;
    await mkdir(this.#directory, { recursive: true });
  }

  /** The samples of speech are enough. */
  pcmSelection(): PcmSelection {
    return 'speech';
  }

  frame(frame: FrameView): void {
    if (frame.isSilent || !frame.hasPcm) return;
    const { info, channel } = frame;
    const key = `${info.interactionId}-${channel}`;
    const startMs = Math.round((frame.positionSamples * 1000) / info.sampleRate);
    const utterance = this.#open.get(key) ?? { startMs, parts: [], bytes: 0 };
    // A copy: the frame is valid only until this returns.
    const part = frame.copyPcmBytes();
    utterance.parts.push(part);
    utterance.bytes += part.length;
    this.#open.set(key, utterance);
    if (utterance.bytes >= MAX_BYTES) this.#end(info, channel);
  }

  silenceEdge({ info, channel, silent }: SilenceEdge): void {
    if (silent) this.#end(info, channel);
  }

  streamEnded(info: StreamInfo): void {
    this.#end(info, 0);
    this.#end(info, 1);
  }

  /** Resolves when every file has been written. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
  }

  close(): Promise<void> {
    return this.flush();
  }

  stats(): { readonly dropped: number; readonly written: number } {
    return { dropped: this.#failed, written: this.#written };
  }

  #end(info: StreamInfo, channel: Channel): void {
    const key = `${info.interactionId}-${channel}`;
    const utterance = this.#open.get(key);
    if (utterance === undefined) return;
    this.#open.delete(key);
    const file = join(this.#directory, `${key}-${utterance.startMs}.wav`);
    const write = writeFile(file, Buffer.concat([wavHeader(info.sampleRate, utterance.bytes), ...utterance.parts]))
      .then(() => void this.#written++)
      .catch((error: unknown) => {
        this.#failed++;
        this.#report(error);
      })
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }
}

/** The header of a WAV file of 16-bit mono PCM. */
function wavHeader(sampleRate: number, dataBytes: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}

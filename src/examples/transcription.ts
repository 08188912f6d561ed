import { setTimeout as sleep } from 'node:timers/promises';
import type { AudioNode, MediaChunk } from '../index.js';

/** Takes the audio of one channel of a call, named `<interaction>/<channel>`; resolves when it can take more. */
export type Transcriber = (channel: string, audio: Buffer) => Promise<void>;

export interface TranscriptionOptions {
  /** Ends the transcription; without it, the end of the node does. */
  readonly signal?: AbortSignal;
  /** Chunks that may wait for the transcriber, for all calls together; default 2,000, 40 s of one call. */
  readonly capacity?: number;
}

export interface TranscriptionResult {
  readonly chunks: number;
  /** Chunks that the transcriber was too slow for. */
  readonly dropped: number;
}

const SEND_BYTES = 3_200;

/**
 * Sends the speech of every call to a transcriber, 200 ms at a time. Backpressure: while the transcriber is busy, chunks
 * wait in a queue that is bounded; when it is full, chunks are dropped and counted, and the capture goes on.
 */
export async function transcribe(
  node: AudioNode,
  send: Transcriber,
  { signal, capacity = 2_000 }: TranscriptionOptions = {},
): Promise<TranscriptionResult> {
  const pending = new Map<string, Buffer[]>();
  const chunks = node.chunks({ capacity, ...(signal && { signal }) });
  let count = 0;
  for await (const chunk of chunks) {
    count++;
    await take(chunk);
  }
  for (const [key, buffers] of pending) await send(key, Buffer.concat(buffers));
  return { chunks: count, dropped: chunks.droppedFrames };

  async function take({ payload, metadata }: MediaChunk): Promise<void> {
    const key = `${metadata.interactionId}/${metadata.channel}`;
    const buffers = pending.get(key) ?? [];
    buffers.push(payload);
    const bytes = buffers.reduce((sum, { length }) => sum + length, 0);
    if (bytes < SEND_BYTES) {
      pending.set(key, buffers);
    } else {
      pending.delete(key);
      await send(key, Buffer.concat(buffers));
    }
  }
}

/** Stands for a real transcriber: it takes as long for each request as told. */
export function slowTranscriber(millisecondsPerRequest: number, log: (line: string) => void): Transcriber {
  return async (channel, audio) => {
    await sleep(millisecondsPerRequest);
    log(`${channel}: ${audio.length / 2} samples`);
  };
}

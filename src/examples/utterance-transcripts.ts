import type { AudioNode, Utterance } from '../index.js';

/** Makes text of an utterance. */
export type Recogniser = (utterance: Utterance) => Promise<string>;

/** One line of a transcript. */
export interface TranscriptLine {
  readonly interactionId: string;
  readonly speaker: 'customer' | 'agent';
  readonly startMs: number;
  readonly text: string;
}

/**
 * A transcript of every call, line by line: what each speaker said between two silences goes to a recogniser as a whole,
 * with 200 ms before it, so that its first syllable is complete. While the recogniser is busy, up to `capacity` utterances
 * wait; more are dropped and counted.
 */
export async function transcripts(
  node: AudioNode,
  recognise: Recogniser,
  print: (line: TranscriptLine) => void,
  { capacity = 64, signal }: { readonly capacity?: number; readonly signal?: AbortSignal } = {},
): Promise<{ readonly lines: number; readonly dropped: number }> {
  const utterances = node.utterances({ capacity, minMs: 200, maxMs: 20_000, ...(signal && { signal }) });
  let lines = 0;
  for await (const utterance of utterances) {
    const { interactionId, channel, startMs } = utterance;
    const text = await recognise(utterance);
    print({ interactionId, speaker: channel === 0 ? 'customer' : 'agent', startMs, text });
    lines++;
  }
  return { lines, dropped: utterances.droppedFrames };
}

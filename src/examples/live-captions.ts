import type { AudioNode, LiveUtterance } from '../index.js';

/** A recogniser that takes audio as it comes, as most speech services do. */
export interface StreamingRecogniser {
  /** PCM of 16 bit, little-endian. Resolves when it may be given more. */
  write(pcm: Uint8Array): Promise<void>;
  /** The text of all that was written. */
  finish(): Promise<string>;
}

/** One line of captions, first while it is spoken and then as it stays. */
export interface Caption {
  readonly interactionId: string;
  readonly speaker: 'customer' | 'agent';
  readonly startMs: number;
  /** Absent while it is spoken. */
  readonly text?: string;
  /** Audio that a slow recogniser has not had, in milliseconds. */
  readonly droppedMs: number;
}

/**
 * Captions of every call: each utterance goes to a recogniser of its own while it is spoken, so that the text is there
 * when the speaker stops and not some seconds later.
 */
export async function captions(
  node: AudioNode,
  recogniserFor: (utterance: LiveUtterance) => StreamingRecogniser,
  show: (caption: Caption) => void,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const open = new Set<Promise<void>>();
  for await (const utterance of node.liveUtterances({ minMs: 200, ...(signal && { signal }) })) {
    const done = caption(utterance, recogniserFor(utterance), show).finally(() => open.delete(done));
    open.add(done);
  }
  await Promise.all(open);
}

async function caption(utterance: LiveUtterance, recogniser: StreamingRecogniser, show: (caption: Caption) => void) {
  const { interactionId, channel, startMs } = utterance;
  const speaker = channel === 0 ? 'customer' : 'agent';
  show({ interactionId, speaker, startMs, droppedMs: 0 });
  for await (const pcm of utterance.audio) await recogniser.write(pcm);
  const text = await recogniser.finish();
  // Undefined: it was too short to be speech, such as a click.
  if ((await utterance.ended) === undefined) return;
  show({ interactionId, speaker, startMs, text, droppedMs: utterance.droppedMs });
}

import type { FrameView, Sink, StreamInfo, StreamSummary } from '../index.js';

/** How long each side of a call has spoken. */
export interface TalkTime {
  readonly interactionId: string;
  readonly seconds: readonly [external: number, internal: number];
  readonly lost: number;
}

/**
 * A sink of one's own: the talk time of each side of every call. It wants no samples, so that it costs next to nothing a
 * frame; the silence detection has been done on a worker thread.
 */
export class TalkTimes implements Sink {
  readonly name = 'talk-times';
  readonly #speaking = new Map<string, [number, number]>();
  readonly #onEnd: (talk: TalkTime) => void;
  #calls = 0;

  constructor(onEnd: (talk: TalkTime) => void) {
    this.#onEnd = onEnd;
  }

  streamOpened({ interactionId }: StreamInfo): void {
    this.#speaking.set(interactionId, [0, 0]);
  }

  frame({ info, channel, isSilent, lost, sampleCount }: FrameView): void {
    const seconds = this.#speaking.get(info.interactionId);
    if (seconds !== undefined && !isSilent && !lost) seconds[channel] += sampleCount / info.sampleRate;
  }

  streamEnded({ interactionId }: StreamInfo, { packetsLost }: StreamSummary): void {
    const seconds = this.#speaking.get(interactionId) ?? [0, 0];
    this.#speaking.delete(interactionId);
    this.#calls++;
    this.#onEnd({ interactionId, seconds, lost: packetsLost });
  }

  stats(): { readonly dropped: number; readonly calls: number } {
    return { dropped: 0, calls: this.#calls };
  }
}

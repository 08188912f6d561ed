import type { FrameSink, StreamInfo } from '../../core/events.js';

/** Lets a source wait until the last frame of a stream has been delivered. */
export class StreamEnds implements FrameSink {
  // An interaction may be back, and over again, before the end of its first stream has been delivered.
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Call it in the turn of the event loop in which the stream was ended. */
  of(interactionId: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(interactionId, [...(this.#waiting.get(interactionId) ?? []), resolve]);
    });
  }

  streamEnded({ interactionId }: StreamInfo): void {
    const [first, ...others] = this.#waiting.get(interactionId) ?? [];
    if (others.length > 0) this.#waiting.set(interactionId, others);
    else this.#waiting.delete(interactionId);
    first?.();
  }
}

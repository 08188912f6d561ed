import type { Channel, StreamInfo } from '../events.js';
import type { UtteranceEvent } from './utterance.js';
import type { TapeBudget } from './utterance-tape.js';

/** A speaker has begun. Times count from the start of the stream. */
export interface UtteranceStart {
  readonly interactionId: string;
  readonly channel: Channel;
  /** As in the `utterance` that follows when it has ended; none follows when it turns out to be shorter than `minMs`. */
  readonly startMs: number;
  /** 1, and counting up in the parts of what is split at `maxMs`. */
  readonly part: number;
}

/** An utterance while it is spoken. */
export interface LiveUtterance extends UtteranceStart {
  /** The stream that it is of. */
  readonly info: StreamInfo;
  readonly sampleRate: number;
  /** Where `audio` begins: `startMs` less the pre-roll. */
  readonly audioStartMs: number;
  /**
   * PCM, 16 bit, little-endian, at `sampleRate`, as it is spoken: the pre-roll and what has been said first, then each
   * frame. It ends when silence has lasted so long that the utterance is over, about half a second behind its last sound,
   * or as `UtteranceEnd` says. Leaving the loop stops it; the utterance goes on.
   */
  readonly audio: AsyncIterableIterator<Buffer, undefined>;
  /** Audio that was dropped because more than `bufferMs` waited for the reader, in milliseconds. */
  readonly droppedMs: number;
  /**
   * Resolves when the utterance is over: with times, levels and the reason, or with undefined when it was shorter than
   * `minMs`, or nobody reads utterances any more.
   */
  readonly ended: Promise<UtteranceEvent | undefined>;
}

/** What SpokenUtterance needs besides its beginning. */
interface SpokenUtteranceDependencies {
  readonly info: StreamInfo;
  readonly audioStartMs: number;
  /** Audio that may wait for the reader. */
  readonly maxBytes: number;
  /** Shared by all that is spoken. */
  readonly budget: TapeBudget;
  onDropped(): void;
  onEnd(utterance: SpokenUtterance): void;
}

/** The audio of an utterance on its way to a reader, who may be slow: then it loses what comes, and the engine never waits. */
export class SpokenUtterance implements LiveUtterance {
  readonly info: StreamInfo;
  readonly interactionId: string;
  readonly channel: Channel;
  readonly startMs: number;
  readonly part: number;
  readonly sampleRate: number;
  readonly audioStartMs: number;
  readonly audio: AsyncIterableIterator<Buffer, undefined>;
  readonly ended: Promise<UtteranceEvent | undefined>;
  readonly #dependencies: SpokenUtteranceDependencies;
  readonly #waiting: Buffer[] = [];
  readonly #readers: ((result: IteratorResult<Buffer, undefined>) => void)[] = [];
  #waitingBytes = 0;
  #droppedBytes = 0;
  #isOver = false;
  #resolve: (event: UtteranceEvent | undefined) => void = () => {};

  constructor({ interactionId, channel, startMs, part }: UtteranceStart, dependencies: SpokenUtteranceDependencies) {
    this.info = dependencies.info;
    this.interactionId = interactionId;
    this.channel = channel;
    this.startMs = startMs;
    this.part = part;
    this.sampleRate = this.info.sampleRate;
    this.audioStartMs = dependencies.audioStartMs;
    this.#dependencies = dependencies;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const audio: AsyncIterableIterator<Buffer, undefined> = {
      next: () => this.#next(),
      return: () => {
        this.discard();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => audio,
    };
    this.audio = audio;
  }

  get droppedMs(): number {
    return (this.#droppedBytes * 1000) / (2 * this.sampleRate);
  }

  append(pcm: Buffer): void {
    if (this.#isOver || pcm.length === 0) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader({ done: false, value: pcm });
      return;
    }
    const { maxBytes, budget, onDropped } = this.#dependencies;
    if (this.#waitingBytes + pcm.length > maxBytes || !budget.take(pcm.length)) {
      this.#droppedBytes += pcm.length;
      onDropped();
      return;
    }
    this.#waiting.push(pcm);
    this.#waitingBytes += pcm.length;
  }

  /** No more comes; what waits can still be read. */
  end(event: UtteranceEvent | undefined): void {
    this.#stop();
    this.#resolve(event);
    this.#dependencies.onEnd(this);
  }

  /** What waits is thrown away, and no more is taken. */
  discard(): void {
    this.#stop();
    this.#dependencies.budget.take(-this.#waitingBytes);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  #stop(): void {
    this.#isOver = true;
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  #next(): Promise<IteratorResult<Buffer, undefined>> {
    const pcm = this.#waiting.shift();
    if (pcm !== undefined) {
      this.#waitingBytes -= pcm.length;
      this.#dependencies.budget.take(-pcm.length);
      return Promise.resolve({ done: false, value: pcm });
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }
}

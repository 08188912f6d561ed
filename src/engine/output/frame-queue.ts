import type {
  Channel,
  FrameSink,
  FrameView,
  MarkedSpan,
  PcmSelection,
  SilenceEdge,
  SpeechRoll,
  StreamInfo,
} from '../../core/events.js';
import { chunkOf, type MediaChunk } from '../../core/media/media-chunk.js';
import { type RollOptions, SpeechChunks } from '../../core/media/speech-chunks.js';
import type { Utterance, UtteranceAudioOptions } from '../../core/media/utterance.js';
import { Utterances } from '../../core/media/utterances.js';

/** A frame with a copy of its samples, to keep. The fields are those of FrameView. */
export interface AudioFrame {
  readonly info: StreamInfo;
  readonly channel: Channel;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly positionSamples: number;
  readonly sampleCount: number;
  readonly meanSquare: number;
  readonly peak: number;
  readonly isSilent: boolean;
  readonly concealed: boolean;
  readonly lost: boolean;
  readonly decodeError: boolean;
  readonly arrivalUs: number;
  readonly processedUs: number;
  readonly deliveredUs: number;
  /** 16-bit signed samples; empty when the selection left them out. */
  readonly pcm: Int16Array;
}

export interface QueueOptions {
  /** Ends the iteration when aborted, without an error; what is queued is discarded. */
  readonly signal?: AbortSignal;
  /** Only this interaction; all of them when absent. */
  readonly interactionId?: string;
  /**
   * Items that may wait for the reader, 1 to 1,000,000; default 1,024, which is 20 s of one channel of 20 ms packets.
   * What finds the queue full is dropped and counted in `droppedFrames`.
   */
  readonly capacity?: number;
}

export interface ChunkOptions extends QueueOptions, RollOptions {
  /** All silent chunks as well, so that there is no roll; default false. */
  readonly includeSilent?: boolean;
}

export interface UtteranceOptions extends Omit<QueueOptions, 'capacity'>, UtteranceAudioOptions {
  /**
   * Utterances that may wait for the reader, 1 to 1,000,000; default 64. One that finds the queue full is dropped and
   * counted in `droppedFrames`.
   */
  readonly capacity?: number;
}

export interface FrameOptions extends QueueOptions {
  /** Which frames carry samples; default `speech`. All frames come, those left out with an empty `pcm`. */
  readonly pcm?: PcmSelection;
}

const DEFAULT_CAPACITY = 1_024;
const DEFAULT_UTTERANCES = 64;
const MAX_CAPACITY = 1_000_000;

/** Items for a `for await` loop. Leaving the loop detaches the queue. */
export interface FrameQueue<Item> extends AsyncIterableIterator<Item, undefined> {
  /** Items dropped because the reader was too slow. */
  readonly droppedFrames: number;
  /** Items that wait for the reader. */
  readonly length: number;
  /**
   * All items that wait, at once, for a loop that takes many at a time: one turn and one promise for each batch instead of
   * each item. Leaving the loop detaches the queue.
   * @example
   * for await (const batch of node.chunks({ signal }).batches()) socket.write(Buffer.concat(batch.map((c) => c.payload)));
   */
  batches(): AsyncIterableIterator<Item[], undefined>;
  /** No more frames come; what is queued can still be read. */
  end(): void;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A queue and the sink that fills it. */
export type AttachedQueue<Item> = FrameQueue<Item> & FrameSink;

interface QueueParts<Item> {
  readonly selection: PcmSelection;
  readonly roll?: SpeechRoll;
  /** Puts the items for a frame into the queue. */
  readonly take: (frame: FrameView) => void;
  readonly takePreRoll?: (frame: FrameView, speechSamples: number) => void;
  readonly silenceEdge?: (edge: SilenceEdge) => void;
  readonly markedSpan?: (span: MarkedSpan) => void;
  readonly streamEnded?: (info: StreamInfo) => void;
  /** Detaches the queue from the engine. */
  readonly onEnd: (queue: AttachedQueue<Item>) => void;
}

/**
 * Frames for a `for await` loop. It is bounded: a reader that is too slow loses frames, and the engine never waits for
 * it. Leaving the loop detaches the queue. The loop ends when the engine closes, after the queued items, or when the
 * signal aborts.
 */
export class BoundedQueue<Item> implements FrameQueue<Item>, FrameSink {
  /** Items dropped because the reader was too slow. */
  droppedFrames = 0;
  readonly #parts: QueueParts<Item>;
  readonly #interactionId: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #capacity: number;
  readonly #items: (Item | undefined)[] = [];
  #first = 0;
  #count = 0;
  #isEnded = false;
  readonly #readers: ((result: IteratorResult<Item, undefined>) => void)[] = [];

  /** @throws RangeError for a capacity out of range. */
  constructor(options: QueueOptions, parts: QueueParts<Item>) {
    const { capacity = DEFAULT_CAPACITY, interactionId, signal } = options;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_CAPACITY) {
      throw new RangeError(`The capacity of a queue is a whole number from 1 to ${MAX_CAPACITY}; it is ${capacity}.`);
    }
    this.#parts = parts;
    this.#capacity = capacity;
    this.#interactionId = interactionId;
    this.#signal = signal;
    if (signal?.aborted === true) this.#isEnded = true;
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Items that wait for the reader. */
  get length(): number {
    return this.#count;
  }

  pcmSelection(info: StreamInfo): PcmSelection {
    return this.#isEnded || !this.#follows(info) ? 'none' : this.#parts.selection;
  }

  pcmRoll(info: StreamInfo): SpeechRoll | undefined {
    return this.#isEnded || !this.#follows(info) ? undefined : this.#parts.roll;
  }

  frame(frame: FrameView): void {
    if (!this.#isEnded && this.#follows(frame.info)) this.#parts.take(frame);
  }

  preRoll(frame: FrameView, speechSamples: number): void {
    if (!this.#isEnded && this.#follows(frame.info)) this.#parts.takePreRoll?.(frame, speechSamples);
  }

  silenceEdge(edge: SilenceEdge): void {
    if (!this.#isEnded && this.#follows(edge.info)) this.#parts.silenceEdge?.(edge);
  }

  markedSpan(span: MarkedSpan): void {
    if (!this.#isEnded && this.#follows(span.info)) this.#parts.markedSpan?.(span);
  }

  streamEnded(info: StreamInfo): void {
    if (!this.#isEnded && this.#follows(info)) this.#parts.streamEnded?.(info);
  }

  /** Whether another item has space; counts one that was dropped otherwise. Asked before an item is made. */
  hasSpace(): boolean {
    if (this.#count < this.#capacity) return true;
    this.droppedFrames++;
    return false;
  }

  put(item: Item): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader({ done: false, value: item });
      return;
    }
    this.#items[(this.#first + this.#count) % this.#capacity] = item;
    this.#count++;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#count > 0) return Promise.resolve({ done: false, value: this.#shift() });
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  async *batches(): AsyncGenerator<Item[], undefined> {
    try {
      for (;;) {
        // What is delivered together with it is in the queue by the time that this goes on.
        const first = await this.next();
        if (first.done === true) return;
        const batch = [first.value];
        while (this.#count > 0) batch.push(this.#shift());
        yield batch;
      }
    } finally {
      await this.return();
    }
  }

  #shift(): Item {
    const item = this.#items[this.#first] as Item;
    this.#items[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#capacity;
    this.#count--;
    return item;
  }

  /** Called when the loop is left. */
  return(): Promise<IteratorResult<Item, undefined>> {
    this.#discard();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** No more frames come; what is queued can still be read. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
    this.#parts.onEnd(this);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  readonly #onAbort = (): void => {
    this.#discard();
    this.end();
  };

  #discard(): void {
    this.#items.length = 0;
    this.#first = 0;
    this.#count = 0;
  }

  #follows(info: StreamInfo): boolean {
    return this.#interactionId === undefined || this.#interactionId === info.interactionId;
  }
}

/** Frames as chunks: those with speech and the roll around it, or all of them. */
export function chunkQueue(
  options: ChunkOptions,
  onEnd: (queue: AttachedQueue<MediaChunk>) => void,
): AttachedQueue<MediaChunk> {
  const speech = new SpeechChunks(options, (frame, roll) => {
    if (queue.hasSpace()) queue.put(chunkOf(frame, roll));
  });
  const queue = new BoundedQueue<MediaChunk>(options, {
    selection: speech.selection,
    roll: speech.roll,
    take: (frame) => speech.take(frame),
    takePreRoll: (frame, speechSamples) => speech.takePreRoll(frame, speechSamples),
    streamEnded: (info) => speech.streamEnded(info),
    onEnd,
  });
  return queue;
}

/** Utterances of every stream, each when it has ended. */
export function utteranceQueue(
  options: UtteranceOptions,
  onEnd: (queue: AttachedQueue<Utterance>) => void,
): AttachedQueue<Utterance> {
  const utterances = new Utterances(options, true, (utterance) => {
    if (queue.hasSpace()) queue.put(utterance);
  });
  const queue = new BoundedQueue<Utterance>(
    { capacity: DEFAULT_UTTERANCES, ...options },
    {
      selection: 'all',
      take: (frame) => utterances.frame(frame),
      silenceEdge: (edge) => utterances.silenceEdge(edge),
      markedSpan: (span) => utterances.markedSpan(span),
      streamEnded: (info) => utterances.streamEnded(info),
      onEnd,
    },
  );
  return queue;
}

/** Every frame, with the samples that were selected. */
export function frameQueue(
  options: FrameOptions,
  onEnd: (queue: AttachedQueue<AudioFrame>) => void,
): AttachedQueue<AudioFrame> {
  const { pcm = 'speech' } = options;
  const queue = new BoundedQueue<AudioFrame>(options, {
    selection: pcm,
    take: (frame) => {
      if (queue.hasSpace()) queue.put(copyOf(frame, pcm));
    },
    onEnd,
  });
  return queue;
}

const NO_SAMPLES = new Int16Array(0);

function copyOf(frame: FrameView, pcm: PcmSelection): AudioFrame {
  const isWanted = frame.hasPcm && (pcm === 'all' || (pcm === 'speech' && !frame.isSilent));
  return {
    info: frame.info,
    channel: frame.channel,
    sequenceNumber: frame.sequenceNumber,
    timestamp: frame.timestamp,
    positionSamples: frame.positionSamples,
    sampleCount: frame.sampleCount,
    meanSquare: frame.meanSquare,
    peak: frame.peak,
    isSilent: frame.isSilent,
    concealed: frame.concealed,
    lost: frame.lost,
    decodeError: frame.decodeError,
    arrivalUs: frame.arrivalUs,
    processedUs: frame.processedUs,
    deliveredUs: frame.deliveredUs,
    pcm: isWanted ? frame.copyPcm() : NO_SAMPLES,
  };
}

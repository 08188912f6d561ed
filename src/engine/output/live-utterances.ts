import type { LiveUtterance } from '../../core/media/live-utterance.js';
import { SpokenUtterance } from '../../core/media/live-utterance.js';
import { TapeBudget } from '../../core/media/utterance-tape.js';
import { Utterances } from '../../core/media/utterances.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { type AttachedQueue, BoundedQueue, type UtteranceOptions } from './frame-queue.js';

export interface LiveUtteranceOptions extends UtteranceOptions {
  /** Audio of one utterance that may wait for its reader, in milliseconds; 100 to 600,000; default 5,000. What comes then is dropped. */
  readonly bufferMs?: number;
}

const DEFAULTS = { capacity: 64, bufferMs: 5_000, maxBufferedMegabytes: 256 } as const;
const BYTES_PER_MEGABYTE = 1_000_000;

/** Utterances of every stream, each when it begins. @throws RangeError */
export function liveUtteranceQueue(
  options: LiveUtteranceOptions,
  onEnd: (queue: AttachedQueue<LiveUtterance>) => void,
): AttachedQueue<LiveUtterance> {
  const { bufferMs, maxBufferedMegabytes, ...rest } = { ...DEFAULTS, ...options };
  if (!(bufferMs >= 100 && bufferMs <= 600_000)) {
    throw new RangeError(`bufferMs is a number from 100 to 600000; it is ${bufferMs}.`);
  }
  const spoken = new Set<SpokenUtterance>();
  const discard = (): void => {
    for (const utterance of [...spoken]) utterance.discard();
  };
  const utterances = new Utterances(
    { ...rest, maxBufferedMegabytes },
    true,
    () => {},
    (start, { info, audioStartMs }) => {
      if (!queue.hasSpace()) return undefined;
      const utterance = new SpokenUtterance(start, {
        ...{ info, audioStartMs, budget },
        maxBytes: (2 * info.sampleRate * bufferMs) / MS_PER_SECOND,
        onDropped: () => {
          queue.droppedFrames++;
        },
        onEnd: (one) => spoken.delete(one),
      });
      spoken.add(utterance);
      queue.put(utterance);
      return utterance;
    },
  );
  const budget = new TapeBudget(maxBufferedMegabytes * BYTES_PER_MEGABYTE);
  // Before the queue's own listener, which ends everything: what waits is not to be read any more.
  options.signal?.addEventListener('abort', discard, { once: true });
  const queue = new BoundedQueue<LiveUtterance>(rest, {
    selection: 'all',
    take: (frame) => utterances.frame(frame),
    silenceEdge: (edge) => utterances.silenceEdge(edge),
    markedSpan: (span) => utterances.markedSpan(span),
    streamEnded: (info) => utterances.streamEnded(info),
    onEnd: (ended) => {
      options.signal?.removeEventListener('abort', discard);
      for (const utterance of [...spoken]) utterance.end(undefined);
      onEnd(ended);
    },
  });
  return queue;
}

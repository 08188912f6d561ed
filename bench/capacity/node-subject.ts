import type { FrameSink } from '../../src/core/events.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import type { SubjectSettings } from './messages.js';
import { interactionIds, OPUS_SAMPLE_RATE } from './plan.js';

/** The hold of the jitter buffer, the node's default. */
export const HOLD_US = 50_000;

/** The node under test, as the benchmark sees it. */
export interface NodeSubject {
  addSink(sink: FrameSink): void;
  /** Resolves when everything has been subscribed to. */
  start(): Promise<void>;
  backend(): string;
  /** Every counter of the node that stands for packets which did not come through, or came through damaged. */
  losses(): Record<string, number>;
  stop(): Promise<void>;
}

/**
 * A capture node as people run it: events, audit of spans, metrics; recordings when asked for. Somebody listens for
 * mediaChunk and looks at the sound, since an event that nobody listens to is never made.
 */
export function makeNodeSubject(settings: SubjectSettings): NodeSubject {
  const { load, apiUrl, mediaUrl, native, record, out } = settings;
  const node = new CaptureNode({
    apiUrl,
    mediaUrl,
    clientId: 'bench',
    clientSecret: 'bench',
    interactions: interactionIds(load.streams),
    opusSampleRate: OPUS_SAMPLE_RATE,
    maxStreams: load.streams,
    out,
    record,
    native,
  });
  const seen = { chunks: 0, loudest: 0, errors: 0 };
  node.on('mediaChunk', ({ payload }) => {
    seen.chunks++;
    seen.loudest = Math.max(seen.loudest, payload.readInt16LE(0));
  });
  node.on('error', () => {
    seen.errors++;
  });
  return {
    addSink: (sink) => node.engine.addSink(sink),
    async start() {
      await node.start();
    },
    backend: () => node.engine.backend,
    losses() {
      const { packetsLost, packetsLate, packetsDuplicate, packetsDropped } = node.summary();
      // Frames are what there should be; the decoder's own concealment shows among the lost.
      const { framesDecoded: _frames, ...engine } = node.engine.counters();
      const { messages: _messages, ...source } = node.sourceCounters();
      return {
        lost: packetsLost,
        late: packetsLate,
        duplicate: packetsDuplicate,
        ringFull: packetsDropped,
        ...engine,
        ...source,
        ...recorderLosses(node),
        errors: seen.errors,
      };
    },
    stop: () => node.stop(),
  };
}

function recorderLosses(node: CaptureNode): Record<string, number> {
  const counters = node.recorderCounters();
  if (counters === undefined) return {};
  const { recordingsOpened, recordingsFinished, framesRecorded, bytesWritten, ...losses } = counters;
  return losses;
}

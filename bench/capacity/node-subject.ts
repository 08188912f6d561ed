import { EventEmitter } from 'node:events';
import type { FrameSink } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { SubscriptionSource } from '../../src/genesys/source.js';
import { type CaptureNodeEvents, EventSink } from '../../src/node/event-sink.js';
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

export function makeNodeSubject(settings: SubjectSettings): NodeSubject {
  const { load, apiUrl, mediaUrl, native } = settings;
  const engine = new Engine({ native, maxStreams: Math.max(load.streams, 16) });
  const source = new SubscriptionSource(engine, {
    apiUrl,
    mediaUrl,
    clientId: 'bench',
    clientSecret: 'bench',
    opusSampleRate: OPUS_SAMPLE_RATE,
  });
  const events = new EventEmitter<CaptureNodeEvents>();
  const sink = new EventSink(events, false);
  let samples = 0;
  events.on('mediaChunk', (chunk) => {
    samples += chunk.payload.readInt16LE(0);
  });
  sink.refresh();
  engine.addSink(sink);
  return {
    addSink: (one) => engine.addSink(one),
    async start() {
      await engine.ready();
      await source.start();
      await source.subscribe(interactionIds(load.streams));
    },
    backend: () => engine.backend,
    losses() {
      const counts = engine.streams().map((info) => engine.counts(info.stream));
      const sum = (field: 'packetsLost' | 'packetsLate' | 'packetsDropped' | 'packetsDuplicate'): number =>
        counts.reduce((total, one) => total + (one?.[field] ?? 0), 0);
      const { framesDecoded: _, ...engineCounters } = engine.counters();
      const { messages: _all, ...sourceCounters } = source.counters();
      return {
        lost: sum('packetsLost'),
        late: sum('packetsLate'),
        duplicate: sum('packetsDuplicate'),
        ringFull: sum('packetsDropped'),
        ...engineCounters,
        ...sourceCounters,
        noSound: samples === 0 ? 1 : 0,
      };
    },
    async stop() {
      await source.stop();
      await engine.close();
    },
  };
}

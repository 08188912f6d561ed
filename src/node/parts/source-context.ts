import type { EventEmitter } from 'node:events';
import type { Clock } from '../../core/clock.js';
import type { GuardedEmitter } from '../../core/emitter.js';
import type { AuditFields } from '../../core/events.js';
import type { Logger } from '../../core/logger.js';
import type { Engine } from '../../engine/engine.js';
import type { NodeEvents } from '../../sinks/events/event-sink.js';
import type { SourceContext } from '../../sources/source.js';
import { SourceIngest } from '../source-ingest.js';
import type { StreamEnds } from '../streams/stream-ends.js';
import type { NodeWatch } from '../watch/node-watch.js';
import type { NodeAttributes } from './node-attributes.js';
import type { NodeSinks } from './node-sinks.js';
import type { SinkHealth } from './sink-health.js';

/** What a source gets to do with the node that it belongs to. */
interface SourceContextDependencies {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly native: 'off' | 'auto' | 'require';
  readonly attributes: NodeAttributes;
  readonly sinks: NodeSinks;
  readonly sinkHealth: SinkHealth;
  readonly ends: StreamEnds;
  readonly watch: NodeWatch;
  audit(action: string, fields: AuditFields, interactionId?: string): void;
  report(error: unknown): void;
}

/** The context of the source `name` of `node`. */
export function sourceContext(
  node: GuardedEmitter<NodeEvents>,
  name: string,
  dependencies: SourceContextDependencies,
): SourceContext {
  const { engine, clock, logger, native, attributes, sinks, sinkHealth, ends, watch, audit, report } = dependencies;
  // Events of every source, which a map of events cannot name.
  const emitter = node as EventEmitter;
  return {
    ...{ ingest: new SourceIngest(engine, name, attributes), clock, logger, native, audit, report },
    emit: (event: string, ...values: unknown[]) => {
      emitter.emit(event, ...values);
      node.emit('sourceEvent', { source: name, name: event, values });
    },
    attributes: (interactionId, known) => void attributes.bySource(interactionId, known),
    paused: (event) => {
      const { interactionId, paused, by } = event;
      audit(paused ? 'paused' : 'resumed', { reason: by }, interactionId);
      watch.paused(interactionId, paused);
      node.emit('paused', event);
    },
    problems: () => sinkHealth.allProblems(sinks, clock.nowUs()),
    addSink: (sink) => engine.addSink(sink),
    streamFinished: async (interactionId) => {
      await ends.of(interactionId);
      await sinks.flush();
    },
  };
}

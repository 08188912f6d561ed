import { TrunklineError } from '../../core/errors.js';
import type { AuditEntry } from '../../core/events.js';
import type { HealthCheck } from '../../core/health.js';
import type { Engine } from '../../engine/engine.js';
import type { RecorderAgent } from '../../engine/options.js';
import type { Sink, SinkAgent, SinkContext, SinkStats } from '../../sinks/sink.js';
import { OutputLocks } from './output-locks.js';

/**
 * The thread that one of the sinks wants of the engine.
 * @throws TrunklineError CONFIG_INVALID when several do, or when it was not made by recorder().
 */
export function agentOf(sinks: readonly Sink[]): (SinkAgent & RecorderAgent) | undefined {
  const [agent, ...others] = sinks.flatMap(({ agent: one }) => one ?? []);
  if (agent === undefined) return undefined;
  if (others.length > 0) throw new TrunklineError('CONFIG_INVALID', 'A node has at most one recorder.');
  if (isRecorderAgent(agent)) return agent;
  throw new TrunklineError('CONFIG_INVALID', 'Only recorder() makes a sink with an agent; take frames by frame().');
}

function isRecorderAgent(agent: SinkAgent): agent is SinkAgent & RecorderAgent {
  return 'data' in agent && typeof agent.data === 'function';
}

/** The sinks of a node: those that it was made with, and those that come and go while it runs. */
export class NodeSinks {
  readonly #engine: Engine;
  readonly #context: SinkContext;
  readonly #sinks: Set<Sink>;
  readonly #locks: OutputLocks;
  #isStarted = false;

  constructor(engine: Engine, context: SinkContext, sinks: readonly Sink[]) {
    this.#engine = engine;
    this.#context = context;
    this.#locks = new OutputLocks(context);
    this.#sinks = new Set(sinks);
  }

  /** Opens one after the other, and attaches each that is open. */
  async start(): Promise<void> {
    this.#isStarted = true;
    for (const sink of [...this.#sinks]) {
      await this.#locks.acquire(sink.output);
      await sink.start?.(this.#context);
      this.#attach(sink);
    }
  }

  async add(sink: Sink): Promise<void> {
    if (this.#sinks.has(sink)) return;
    if (sink.agent !== undefined) {
      throw new TrunklineError('CONFIG_INVALID', 'A recorder is named when the node is made, in its option "sinks".');
    }
    this.#sinks.add(sink);
    if (!this.#isStarted) return;
    try {
      await this.#locks.acquire(sink.output);
      if (sink.start !== undefined) await sink.start(this.#context);
    } catch (error) {
      this.#sinks.delete(sink);
      throw error;
    }
    this.#attach(sink);
  }

  async remove(sink: Sink): Promise<void> {
    if (sink.agent !== undefined && this.#sinks.has(sink)) {
      throw new TrunklineError('CONFIG_INVALID', 'A recorder stays until the node closes.');
    }
    if (!this.#sinks.delete(sink)) return;
    this.#engine.removeSink(sink);
    await sink.close?.();
  }

  /** Opens the files of every sink again. Returns what failed, which has been reported. */
  async reopen(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const sink of this.#sinks) {
      try {
        await sink.reopen?.();
      } catch (error) {
        failures.push(error);
        this.#context.report(error);
      }
    }
    return failures;
  }

  /** Resolves when every sink has kept what has been delivered until now. */
  async flush(): Promise<void> {
    await Promise.all([...this.#sinks].map((sink) => sink.flush?.()));
  }

  audit(entry: AuditEntry): void {
    for (const sink of this.#sinks) sink.auditEntry?.(entry);
  }

  auditCheckpoint(): string | undefined {
    for (const { auditKeeper } of this.#sinks) if (auditKeeper !== undefined) return auditKeeper.checkpoint();
    return undefined;
  }

  /** By name; the second of a name is called `name-2`. */
  stats(): Record<string, SinkStats> {
    const all: Record<string, SinkStats> = {};
    const taken = new Map<string, number>();
    for (const sink of this.#sinks) {
      const stats = sink.stats?.();
      if (stats === undefined) continue;
      const { name = 'sink' } = sink;
      const times = (taken.get(name) ?? 0) + 1;
      taken.set(name, times);
      all[times === 1 ? name : `${name}-${times}`] = stats;
    }
    return all;
  }

  health(): HealthCheck[] {
    return [...this.#sinks].flatMap((sink) => sink.health?.() ?? []);
  }

  async settle(): Promise<void> {
    await Promise.all([...this.#sinks].map((sink) => sink.settle?.()));
  }

  async close(): Promise<void> {
    for (const sink of this.#sinks) {
      try {
        await sink.close?.();
      } catch (error) {
        this.#context.report(error);
      }
    }
    await this.#locks.release();
  }

  #attach(sink: Sink): void {
    // It may have been removed while it was opened.
    if (this.#sinks.has(sink)) this.#engine.addSink(sink);
  }
}

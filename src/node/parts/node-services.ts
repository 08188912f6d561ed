import type { Clock } from '../../core/clock.js';
import type { HealthCheck } from '../../core/health.js';
import type { Engine } from '../../engine/engine.js';
import type { RunningNode, Service, ServiceContext } from '../service.js';
import type { WarningLog } from '../watch/warning-log.js';
import { checkNames } from './node-sources.js';

/** What one service gets of its node. */
export function serviceContext(
  node: RunningNode,
  engine: Engine,
  clock: Clock,
  logger: WarningLog,
  own: Pick<ServiceContext, 'report' | 'audit' | 'auditCheckpoint'>,
): ServiceContext {
  return {
    ...{ node, clock, logger, ...own },
    addSink: (sink) => engine.addSink(sink),
    engineState: () => engine.state(),
  };
}

/** The services of a node. */
export class NodeServices {
  readonly list: readonly Service[];
  readonly #report: (error: unknown) => void;

  /** @throws TrunklineError CONFIG_INVALID when two have the same name. */
  constructor(services: readonly Service[], report: (error: unknown) => void) {
    checkNames('services', services);
    this.list = services;
    this.#report = report;
  }

  /** Starts one after the other, in the order in which they were given. */
  async start(contextOf: (service: Service) => ServiceContext): Promise<void> {
    for (const service of this.list) await service.start(contextOf(service));
  }

  stats(): Record<string, object> {
    return Object.fromEntries(
      this.list.flatMap((service) => (service.stats === undefined ? [] : [[service.name, service.stats()]])),
    );
  }

  health(): HealthCheck[] {
    return this.list.flatMap((service) => service.health?.() ?? []);
  }

  stopping(): void {
    for (const service of this.list) {
      try {
        service.stopping?.();
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** Returns what failed, which has been reported. */
  async reopen(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const service of this.list) {
      const failure = await this.#attempt(() => service.reopen?.());
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  /** Closes one after the other, the last one that was started first. */
  async close(): Promise<void> {
    for (const service of this.list.toReversed()) await this.#attempt(() => service.close());
  }

  /** Returns what it threw, which has been reported. */
  async #attempt(work: () => Promise<void> | void): Promise<unknown> {
    try {
      await work();
      return undefined;
    } catch (error) {
      this.#report(error);
      return error ?? new Error('failed without a reason');
    }
  }
}

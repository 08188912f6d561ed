import { TrunklineError } from '../../core/errors.js';
import type { HealthCheck } from '../../core/health.js';
import type { Source, SourceContext } from '../../sources/source.js';

/** The sources of a node. */
export class NodeSources {
  readonly list: readonly Source[];
  readonly #report: (error: unknown) => void;

  /**
   * @param report Takes what a source throws while it is drained or closed.
   * @throws TrunklineError CONFIG_INVALID when two have the same name.
   */
  constructor(sources: readonly Source[], report: (error: unknown) => void) {
    checkNames('sources', sources);
    this.list = sources;
    this.#report = report;
  }

  async start(contextOf: (source: Source) => SourceContext): Promise<void> {
    await Promise.all(this.list.map((source) => source.start(contextOf(source))));
  }

  /** @throws TrunklineError STREAM_UNKNOWN when `act` is true of no source. */
  act(interactionId: string, act: (source: Source) => boolean): void {
    // No short cut: a call may come by two sources.
    if (this.list.map(act).includes(true)) return;
    throw new TrunklineError(
      'STREAM_UNKNOWN',
      `Interaction ${interactionId} is not being captured. A call can be paused and resumed while it is.`,
    );
  }

  status(): Record<string, object> {
    return Object.fromEntries(this.list.map((source) => [source.name, source.status()]));
  }

  health(): HealthCheck[] {
    return this.list.flatMap((source) => source.health?.() ?? []);
  }

  /** Resolves when every source has captured all that it was asked for; never when one of them is never done. */
  async untilIdle(): Promise<void> {
    await Promise.all(this.list.map((source) => source.untilIdle?.() ?? new Promise<void>(() => {})));
  }

  async drain(deadlineMs?: number): Promise<void> {
    await Promise.all(this.list.map((source) => this.#attempt(() => source.drain(deadlineMs))));
  }

  async close(): Promise<void> {
    await Promise.all(this.list.map((source) => this.#attempt(() => source.close())));
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#report(error);
    }
  }
}

/** @throws TrunklineError CONFIG_INVALID when two parts of the same kind have the same name. */
export function checkNames(kind: 'sources' | 'services', parts: readonly { readonly name: string }[]): void {
  const names = parts.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `Two ${kind} are called "${twice}"; give one of them another "name" in its options.`,
  );
}

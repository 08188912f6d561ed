import type { Logger } from '../../core/logger.js';
import type { EngineCounters } from '../../engine/engine.js';
import type { SinkStats } from '../../sinks/sink.js';

/** Counters of packets, messages and requests that were refused or dropped, by `part.reason`; only those above 0. */
export type Refusals = Readonly<Record<string, number>>;

/** A source or a service, which counts what it refuses. */
interface Refusing {
  readonly name: string;
  refusals?(): Readonly<Record<string, number>>;
}

/** Counters of the engine that are refusals. */
const ENGINE_REFUSALS = [
  ...(['arenaFull', 'recorderRefused', 'windowsPassed', 'poisoned', 'rejected', 'unknownStream'] as const),
  ...(['lateOpusUnrepaired', 'opusGapsGivenUp', 'latePacketsRefused', 'latePacketsUnplaced'] as const),
] satisfies readonly (keyof EngineCounters)[];

/** Everything that the parts of a node have refused or dropped. */
export function collectRefusals(
  parts: readonly Refusing[],
  sinks: Readonly<Record<string, SinkStats>>,
  engine: EngineCounters,
  packetsDropped: number,
): Refusals {
  const refused: Record<string, number> = {};
  const add = (part: string, reasons: Readonly<Record<string, number>>): void => {
    for (const [reason, count] of Object.entries(reasons)) if (count > 0) refused[`${part}.${reason}`] = count;
  };
  for (const part of parts) add(part.name, part.refusals?.() ?? {});
  for (const reason of ENGINE_REFUSALS) add('engine', { [reason]: engine[reason] });
  add('engine', { packetsDropped });
  for (const [name, { dropped }] of Object.entries(sinks)) add(name, { dropped });
  return refused;
}

/** Logs the first occurrence of each refusal. Their numbers are in stats(), the metrics line and the summary. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #seen = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  look(refused: Refusals): void {
    for (const [reason, count] of Object.entries(refused)) {
      if (this.#seen.has(reason)) continue;
      this.#seen.add(reason);
      this.#logger.warn({ reason, count }, 'refused or dropped for the first time; it is only counted from now on');
    }
  }
}

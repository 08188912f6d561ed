import type { Engine } from '../../engine/engine.js';
import type { Metrics } from '../../sinks/metrics/metrics.js';

/** What a node consists of, for the control server, benchmarks, tests and drills; not part of the public API. */
export interface NodeParts {
  readonly engine: Engine;
  readonly metrics: Metrics;
}

const PARTS = new WeakMap<object, NodeParts>();

/** Called by the node itself. */
export function keepParts(node: object, parts: NodeParts): void {
  PARTS.set(node, parts);
}

export function nodeParts(node: object): NodeParts {
  const parts = PARTS.get(node);
  if (parts === undefined) throw new TypeError('This is not a node.');
  return parts;
}

/** The engine of a node, for tests and drills; not part of the public API. */
export function engineOf(node: object): Engine {
  return nodeParts(node).engine;
}

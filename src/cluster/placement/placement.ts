/** A node that calls can be placed on. */
export interface PlacementNode {
  readonly instance: string;
  readonly capacity: number;
  /** Cost of what it carries. */
  readonly load: number;
}

export interface PlacedCost {
  readonly interactionId: string;
  readonly instance: string;
  readonly cost: number;
}

export interface Movement {
  readonly interactionId: string;
  readonly from: string;
  readonly to: string;
}

/** Loads that differ by less than this share of a capacity are equal. */
const EQUAL_SHARE = 0.01;
/** rebalance() leaves a node that is this share above the mean as it is. */
const BALANCED_SHARE = 0.05;

/**
 * The node for a call: one of the least loaded by share of its capacity; of equal ones, that with the greatest rendezvous
 * hash, so that two leaders decide alike. Undefined when it fits nowhere. A call that has a node stays there, so that a
 * node that joins moves nothing, and one that leaves moves its own calls only, which is the least possible.
 */
export function placeCall(interactionId: string, cost: number, nodes: readonly PlacementNode[]): string | undefined {
  const fitting = nodes.filter(({ capacity, load }) => load + cost <= capacity);
  const least = Math.min(...fitting.map(share));
  const candidates = fitting.filter((node) => share(node) <= least + EQUAL_SHARE);
  const [first, ...others] = candidates;
  if (first === undefined || others.length === 0) return first?.instance;
  let best = first.instance;
  let bestWeight = -1;
  for (const { instance } of candidates) {
    const weight = rendezvousWeight(interactionId, instance);
    if (weight > bestWeight || (weight === bestWeight && instance < best)) {
      best = instance;
      bestWeight = weight;
    }
  }
  return best;
}

/** The fewest movements that bring each node to the mean share of its capacity, or nearly. */
export function rebalance(calls: readonly PlacedCost[], nodes: readonly PlacementNode[]): Movement[] {
  const capacity = nodes.reduce((sum, node) => sum + node.capacity, 0);
  const load = nodes.reduce((sum, node) => sum + node.load, 0);
  if (capacity === 0) return [];
  const mean = load / capacity;
  const loads = new Map(nodes.map((node) => [node.instance, node.load]));
  const movements: Movement[] = [];
  for (const from of nodes.filter((node) => share(node) > mean + BALANCED_SHARE)) {
    // The dearest first: fewer have to move.
    const own = calls.filter(({ instance }) => instance === from.instance).toSorted((a, b) => b.cost - a.cost);
    for (const { interactionId, cost } of own) {
      const left = (loads.get(from.instance) ?? 0) - cost;
      if (left / from.capacity < mean) continue;
      const others = nodes
        .filter((node) => node.instance !== from.instance)
        .map((node) => ({ ...node, load: loads.get(node.instance) ?? 0 }))
        .filter((node) => share(node) < mean);
      const to = placeCall(interactionId, cost, others);
      if (to === undefined) continue;
      loads.set(from.instance, left);
      loads.set(to, (loads.get(to) ?? 0) + cost);
      movements.push({ interactionId, from: from.instance, to });
    }
  }
  return movements;
}

/** The same number on each machine for a pair (Thaler and Ravishankar, 1998), by FNV-1a and the mixer of MurmurHash3. */
export function rendezvousWeight(interactionId: string, instance: string): number {
  let mixed = Math.imul(fnv1a(interactionId) ^ Math.imul(fnv1a(instance), 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

function share({ load, capacity }: PlacementNode): number {
  return capacity === 0 ? Number.POSITIVE_INFINITY : load / capacity;
}

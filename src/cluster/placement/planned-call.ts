import type { PlacementEntry } from '../entries.js';

/** A placement in the store. */
export interface SeenPlacement {
  readonly entry: PlacementEntry;
  readonly revision: number;
}

/** What the leader knows of a call. */
export interface PlannedCall {
  readonly interactionId: string;
  cost: number;
  pausedBy: PlacementEntry['pausedBy'];
  attributes: PlacementEntry['attributes'];
  /** It is to be captured. */
  isWanted: boolean;
  /** Of its request, when it was asked for by its id. */
  requestRevision: number;
  /** By instance. */
  readonly placements: Map<string, SeenPlacement>;
  /** Who owns it. */
  claim: { readonly instance: string; readonly revision: number } | undefined;
  /** The instance that it is to move to since an operator asked for it. */
  moveTo: string | undefined;
  /** Since when two instances have it. */
  movingSinceUs: number;
  /** Writes under way. */
  pending: number;
}

export function plannedCall(interactionId: string, cost: number): PlannedCall {
  return {
    ...{ interactionId, cost, pausedBy: [], attributes: undefined, isWanted: false, requestRevision: 0 },
    ...{ placements: new Map(), claim: undefined, moveTo: undefined, movingSinceUs: 0, pending: 0 },
  };
}

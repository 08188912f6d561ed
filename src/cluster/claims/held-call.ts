import type { PlacementEntry } from '../entries.js';
import type { Watch } from '../key-value-store.js';

/**
 *                        written                      placement removed, or hand-over
 *     (placed) ─► CLAIMING ─────────────────► OWNED ─────────────────► RELEASING ─► (gone)
 *                  │    ▲                       │
 *                  │    │ its claim has ended   │ the capture ends by itself
 *                  ▼    │                       ▼
 *                 WAITING                     ENDED ── placement removed ─► (gone)
 */
export type HeldState =
  /** The claim is written, or is to be as soon as `dueUs` comes. */
  | 'claiming'
  /** Another instance owns the call. The capture is prepared: its media comes and is withheld. */
  | 'waiting'
  | 'owned'
  /** Nothing is written any more; the claim is being removed. */
  | 'releasing'
  /** The call is over or its media cannot be had; the leader decides what follows. */
  | 'ended';

/** A call that is placed on this instance. */
export interface HeldCall {
  readonly interactionId: string;
  placement: PlacementEntry;
  /** Of the placement. */
  revision: number;
  isPlaced: boolean;
  state: HeldState;
  /** The fencing token; 0: none. */
  token: number;
  /** An attempt to write the claim got no answer, and may take effect until then. */
  inDoubtUntilUs: number;
  dueUs: number;
  isBusy: boolean;
  isPrepared: boolean;
  /** Of the claim, while another instance has it. */
  watch: Watch | undefined;
}

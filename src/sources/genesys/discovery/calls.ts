import { z } from 'zod';
import { LIMITS } from '../../../core/limits.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { PausedBy } from '../interaction/transitions.js';
import { idKey } from '../interaction-table.js';
import { bodyOf } from '../rest/conversations.js';

/** A call at one moment. `waiting`: no agent is connected, not yet or not at present. */
export interface CallView {
  readonly id: string;
  readonly phase: 'waiting' | 'connected' | 'over';
  readonly securePause: boolean;
}

const text = z.string().nullish().catch(undefined);
const leg = z.object({
  purpose: text,
  state: text,
  endTime: text,
  disconnectedTime: text,
  securePause: z.unknown().optional(),
  recordingState: z.unknown().optional(),
});
type Leg = z.infer<typeof leg>;
const NO_LEG = {};
const participant = leg.extend({ calls: z.array(leg.catch(NO_LEG)).nullish().catch(undefined) }).catch(NO_LEG);
const call = z.object({
  id: z.string().min(1).max(LIMITS.maxNameBytes),
  endTime: text,
  securePause: z.unknown().optional(),
  recordingState: z.unknown().optional(),
  participants: z.array(participant).max(1_000),
});

const CALLERS = new Set(['customer', 'external']);
const TAKERS = new Set(['agent', 'user']);

/**
 * Reads the body of a `conversations.calls` notification, where participants are the legs, or a conversation resource,
 * where each has its calls. Undefined for anything else.
 */
export function readCall(value: unknown): CallView | undefined {
  const read = call.safeParse(bodyOf(value));
  if (!read.success) return undefined;
  const { id, participants } = read.data;
  const legs = participants.flatMap((one): Leg[] => {
    if (one.calls === undefined || one.calls === null) return [one];
    return one.calls.map((own) => ({ ...own, purpose: one.purpose, endTime: own.endTime ?? one.endTime }));
  });
  const callers = legs.filter(({ purpose }) => CALLERS.has(purpose ?? ''));
  const isOver = isText(read.data.endTime) || legs.every(hasEnded) || (callers.length > 0 && callers.every(hasEnded));
  const isTaken = legs.some((one) => TAKERS.has(one.purpose ?? '') && one.state === 'connected' && !hasEnded(one));
  return {
    id,
    phase: isOver ? 'over' : isTaken ? 'connected' : 'waiting',
    securePause: isProtected(read.data) || legs.some((one) => isProtected(one) && !hasEnded(one)),
  };
}

/**
 * In doubt, audio is withheld: a recording that is paused counts as a secure pause unless the platform says that it is
 * none, and so does any value of `securePause` that is not a plain no.
 */
function isProtected({ securePause, recordingState }: { securePause?: unknown; recordingState?: unknown }): boolean {
  if (securePause === false) return false;
  if (securePause !== undefined && securePause !== null) return true;
  return typeof recordingState === 'string' && recordingState.toLowerCase() === 'paused';
}

function hasEnded({ state, endTime, disconnectedTime }: Leg): boolean {
  return state === 'terminated' || state === 'disconnected' || isText(endTime) || isText(disconnectedTime);
}

function isText(value: string | null | undefined): boolean {
  return value !== undefined && value !== null;
}

/** What is to be done about calls. */
export interface CallDependencies {
  /** @param pausedBy who has paused it; in force before its first packet. */
  begin(id: string, pausedBy: readonly PausedBy[]): void;
  end(id: string): void;
  /** The platform's secure pause of a call that has begun. */
  pause(id: string): void;
  resume(id: string): void;
}

/** How long after a call is over the media server may take to say so itself, with the last of its packets. */
const END_GRACE_US = 2 * US_PER_SECOND;
/** For so long, older news do not make a call that is over begin again. */
const OVER_US = 60 * US_PER_SECOND;
/** A call whose media could not be had is looked at again after this. */
const RETRY_US = 15 * US_PER_SECOND;
/** And again after this, until REST says that it goes on or is over. */
const RETRY_AGAIN_US = 60 * US_PER_SECOND;
const NEVER = Number.POSITIVE_INFINITY;

interface Call {
  /**
   * `captured`: until `dueUs`, once it is over. `retrying`: its capture ended although it goes on; REST is asked about
   * it at `dueUs`. `over`: until it is forgotten at `dueUs`.
   */
  phase: 'captured' | 'retrying' | 'over';
  dueUs: number;
  securePause: boolean;
  /** Of the last notification. */
  notifiedUs: number;
  /** Paused by the operator when its capture ended. */
  isPausedByOperator: boolean;
}

/** The calls that are being followed; without I/O. Notifications and answers of REST may come in any order. */
export class Calls {
  readonly #dependencies: CallDependencies;
  readonly #calls = new Map<string, Call>();

  constructor(dependencies: CallDependencies) {
    this.#dependencies = dependencies;
  }

  /** Calls that are being captured. */
  get size(): number {
    return this.ids().length;
  }

  /** Of the calls that are being captured. */
  ids(): string[] {
    return [...this.#calls].filter(([, { phase }]) => phase === 'captured').map(([id]) => id);
  }

  /** Whether it is being captured. */
  has(id: string): boolean {
    return this.#calls.get(idKey(id))?.phase === 'captured';
  }

  notifiedSince(id: string, us: number): boolean {
    return (this.#calls.get(idKey(id))?.notifiedUs ?? Number.NEGATIVE_INFINITY) >= us;
  }

  /** @param askedUs Of an answer of REST: when it was asked. A notification since then is newer. */
  observe(view: CallView, nowUs: number, askedUs?: number): void {
    const { phase, securePause } = view;
    const id = idKey(view.id);
    const call = this.#calls.get(id);
    if (askedUs !== undefined && this.notifiedSince(id, askedUs)) return;
    if (phase === 'over') {
      if (call?.phase === 'captured') call.dueUs = Math.min(call.dueUs, nowUs + END_GRACE_US);
      else this.#setOver(id, nowUs);
      return;
    }
    if (call?.phase !== 'captured') {
      if (phase === 'connected' && call?.phase !== 'over') this.#begin(id, securePause, askedUs ?? nowUs);
      return;
    }
    if (askedUs === undefined) call.notifiedUs = nowUs;
    if (securePause === call.securePause) return;
    call.securePause = securePause;
    if (securePause) this.#dependencies.pause(id);
    else this.#dependencies.resume(id);
  }

  /**
   * The capture of a call has ended by itself. `final` when the call is over as well; otherwise it is looked at again
   * later, and begins with the operator's pause that it ended with.
   */
  captureEnded(id: string, nowUs: number, { final, pausedBy }: CaptureEnd): void {
    const call = this.#calls.get(idKey(id));
    if (call?.phase !== 'captured') return;
    if (final) {
      this.#setOver(idKey(id), nowUs);
      return;
    }
    call.phase = 'retrying';
    call.dueUs = nowUs + RETRY_US;
    call.notifiedUs = Number.NEGATIVE_INFINITY;
    call.isPausedByOperator = pausedBy.includes('operator');
  }

  get deadlineUs(): number {
    let dueUs = NEVER;
    for (const call of this.#calls.values()) if (call.phase === 'captured') dueUs = Math.min(dueUs, call.dueUs);
    return dueUs;
  }

  /** Returns the ids of calls that REST is to be asked about. */
  tick(nowUs: number): string[] {
    const toAsk: string[] = [];
    for (const [id, call] of this.#calls) {
      if (nowUs < call.dueUs) continue;
      switch (call.phase) {
        case 'captured':
          this.#setOver(id, nowUs);
          this.#dependencies.end(id);
          break;
        case 'retrying':
          call.dueUs = nowUs + RETRY_AGAIN_US;
          toAsk.push(id);
          break;
        case 'over':
          this.#calls.delete(id);
      }
    }
    return toAsk;
  }

  #begin(id: string, securePause: boolean, notifiedUs: number): void {
    const isPausedByOperator = this.#calls.get(id)?.isPausedByOperator === true;
    this.#calls.set(id, { phase: 'captured', dueUs: NEVER, securePause, notifiedUs, isPausedByOperator });
    const pausedBy: PausedBy[] = [];
    if (securePause) pausedBy.push('platform');
    if (isPausedByOperator) pausedBy.push('operator');
    this.#dependencies.begin(id, pausedBy);
  }

  #setOver(id: string, nowUs: number): void {
    const notifiedUs = Number.NEGATIVE_INFINITY;
    this.#calls.set(id, {
      phase: 'over',
      dueUs: nowUs + OVER_US,
      securePause: false,
      notifiedUs,
      isPausedByOperator: false,
    });
  }
}

/** How the capture of a call ended. */
export interface CaptureEnd {
  /** The call is over. */
  readonly final: boolean;
  readonly pausedBy: readonly PausedBy[];
}

import { z } from 'zod';
import { LIMITS } from '../../../core/limits.js';
import { US_PER_SECOND } from '../../../core/units.js';
import { bodyOf } from '../rest/conversations.js';

/** A call at one moment. `waiting`: nobody has taken it yet, or nobody has it just now. */
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
  securePause: z.boolean().nullish().catch(undefined),
});
type Leg = z.infer<typeof leg>;
const participant = leg.extend({ calls: z.array(leg).nullish().catch(undefined) });
const call = z.object({
  id: z.string().min(1).max(LIMITS.maxNameBytes),
  endTime: text,
  securePause: z.boolean().nullish().catch(undefined),
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
    securePause: read.data.securePause === true || legs.some((one) => one.securePause === true && !hasEnded(one)),
  };
}

function hasEnded({ state, endTime, disconnectedTime }: Leg): boolean {
  return state === 'terminated' || state === 'disconnected' || isText(endTime) || isText(disconnectedTime);
}

function isText(value: string | null | undefined): boolean {
  return value !== undefined && value !== null;
}

/** What is to be done about calls. */
export interface CallDependencies {
  begin(id: string): void;
  end(id: string): void;
  pause(id: string): void;
  resume(id: string): void;
}

/** How long after a call is over the media server may take to say so itself, with the last of its packets. */
const END_GRACE_US = 2 * US_PER_SECOND;
/** For so long nothing older makes a call that is over begin again. */
const OVER_US = 60 * US_PER_SECOND;

interface Call {
  isPaused: boolean;
  /** Of the last notification. */
  heardUs: number;
  endUs: number;
}

/** The calls that are being followed; without I/O. Notifications and answers of REST may come in any order. */
export class Calls {
  readonly #host: CallDependencies;
  readonly #calls = new Map<string, Call>();
  readonly #over = new Map<string, number>();

  constructor(host: CallDependencies) {
    this.#host = host;
  }

  get size(): number {
    return this.#calls.size;
  }

  ids(): string[] {
    return [...this.#calls.keys()];
  }

  has(id: string): boolean {
    return this.#calls.has(id);
  }

  heardSince(id: string, us: number): boolean {
    return (this.#calls.get(id)?.heardUs ?? Number.NEGATIVE_INFINITY) >= us;
  }

  /** @param askedUs Of an answer of REST: when it was asked. What has been heard since knows better. */
  observe(view: CallView, nowUs: number, askedUs?: number): void {
    const { id, phase, securePause } = view;
    const known = this.#calls.get(id);
    if (askedUs !== undefined && this.heardSince(id, askedUs)) return;
    if (phase === 'over') {
      if (known !== undefined) known.endUs = Math.min(known.endUs, nowUs + END_GRACE_US);
      else this.#over.set(id, nowUs);
      return;
    }
    if (known === undefined) {
      if (phase !== 'connected' || this.#over.has(id)) return;
      this.#calls.set(id, { isPaused: securePause, heardUs: askedUs ?? nowUs, endUs: Number.POSITIVE_INFINITY });
      if (securePause) this.#host.pause(id);
      this.#host.begin(id);
      return;
    }
    if (askedUs === undefined) known.heardUs = nowUs;
    if (securePause === known.isPaused) return;
    known.isPaused = securePause;
    if (securePause) this.#host.pause(id);
    else this.#host.resume(id);
  }

  /** The capture of a call has ended by itself; `forGood` when the call has. */
  left(id: string, nowUs: number, forGood: boolean): void {
    if (this.#calls.delete(id) && forGood) this.#over.set(id, nowUs);
  }

  get deadlineUs(): number {
    let dueUs = Number.POSITIVE_INFINITY;
    for (const { endUs } of this.#calls.values()) dueUs = Math.min(dueUs, endUs);
    return dueUs;
  }

  tick(nowUs: number): void {
    for (const [id, { endUs }] of this.#calls) {
      if (nowUs < endUs) continue;
      this.#calls.delete(id);
      this.#over.set(id, nowUs);
      this.#host.end(id);
    }
    for (const [id, overUs] of this.#over) {
      if (nowUs - overUs < OVER_US) return;
      this.#over.delete(id);
    }
  }
}

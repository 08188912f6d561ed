import { systemClock } from '../core/clock.js';
import type { ErrorCode } from '../core/errors.js';

/**
 * The life of a thread that only works on rings: do work, and sleep when there is none. A sleeping thread has blocked
 * its event loop, so it is stopped, woken and watched through the words of a control block in shared memory, never by
 * a message.
 */
export const AGENT_CONTROL = {
  /** i32: 1 tells the agent to finish what lies in its rings and return, 2 to return even if it is blocked. */
  STOP: 0,
  /** i32: 1 while the agent sleeps; the waker sets it to 0 and notifies. */
  SLEEPING: 4,
  /** i32: grows with each turn of the loop; a heartbeat that stands still is a hang. */
  HEARTBEAT: 8,
  /** i32: cursor of the record at hand, so that the next life knows what the last one died of. */
  AT_CURSOR: 12,
  /** i32: lives that ended at AT_CURSOR. */
  AT_DEATHS: 16,
  /** i32: 1 from the first turn of the loop on. */
  RUNNING: 20,
  /** f64: microseconds of work in all lives; what is left of the time was sleep. */
  BUSY_US: 24,
  BYTES: 128,
} as const;

const FINISH = 1;
const ABANDON = 2;

export interface ControlPlace {
  readonly memory: SharedArrayBuffer;
  /** Absolute byte offset, a multiple of 128. */
  readonly offset: number;
}

/** The side of a control block that another thread holds. */
export class AgentHandle {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #base: number;

  constructor(place: ControlPlace) {
    this.#words = new Int32Array(place.memory);
    this.#doubles = new Float64Array(place.memory);
    this.#base = place.offset >> 2;
  }

  /** Wakes the agent if it sleeps. Costs one atomic read when it does not. */
  wake(): void {
    const sleeping = this.#base + (AGENT_CONTROL.SLEEPING >> 2);
    if (Atomics.load(this.#words, sleeping) === 1 && Atomics.exchange(this.#words, sleeping, 0) === 1) {
      Atomics.notify(this.#words, sleeping);
    }
  }

  /** Tells the agent to finish what lies in its rings and return; `abandon`: even if the next ring stays full. */
  stop(abandon = false): void {
    Atomics.store(this.#words, this.#base + (AGENT_CONTROL.STOP >> 2), abandon ? ABANDON : FINISH);
    this.wake();
  }

  heartbeat(): number {
    return Atomics.load(this.#words, this.#base + (AGENT_CONTROL.HEARTBEAT >> 2));
  }

  /** Microseconds that the agent has worked, in all its lives. */
  busyUs(): number {
    return this.#doubles[(this.#base >> 1) + (AGENT_CONTROL.BUSY_US >> 3)] as number;
  }

  get running(): boolean {
    return Atomics.load(this.#words, this.#base + (AGENT_CONTROL.RUNNING >> 2)) === 1;
  }

  /** Before a new life begins on the same block. */
  reset(): void {
    for (const word of [AGENT_CONTROL.SLEEPING, AGENT_CONTROL.RUNNING]) {
      Atomics.store(this.#words, this.#base + (word >> 2), 0);
    }
  }
}

/**
 * What an agent's task returns when it cannot begin, and could not the next time either. It is a result because errors
 * lose their class and code on the way from thread to thread.
 */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** See Agent.doWork. */
export const BLOCKED = -1;

/** There is no notification of space in a ring, so a blocked agent looks again after this long. */
const BLOCKED_MS = 1;

/**
 * After work an agent may sleep this long without announcing it. To wake a sleeper costs the waker 30 µs,
 * on the main thread's account; under load there is something to do again by then, and nobody has to be woken at all.
 */
const NAP_MS = 1;

/** How an agent sleeps. */
export interface Sleep {
  /** At most for so long at a time, so that time-driven work goes on. */
  readonly idleMs: number;
  /** Unannounced naps before it: for an agent that others wake as soon as they have work for it. */
  readonly naps: number;
}

export interface Agent {
  /**
   * Does what there is to do, up to a bounded share. Returns how much it was, 0 for nothing, or BLOCKED when there is
   * work but the next ring is full.
   */
  doWork(nowUs: number): number;
  /**
   * As doWork(), once the agent was told to stop and doWork() has returned 0: for an end that takes long, so that the
   * heartbeat goes on meanwhile. The agent is closed when this returns 0 as well.
   */
  finish?(nowUs: number): number;
  /** Called once, at the very end. */
  close(): void;
}

/** Adds up how long an agent works, for its utilisation. One addition a turn of its loop. */
class BusyTime {
  readonly #doubles: Float64Array;
  readonly #at: number;
  #sinceUs = systemClock.nowUs();

  constructor(place: ControlPlace) {
    this.#doubles = new Float64Array(place.memory);
    this.#at = (place.offset + AGENT_CONTROL.BUSY_US) >> 3;
  }

  /** The agent has worked since the last call. */
  worked(nowUs: number): void {
    this.#doubles[this.#at] = (this.#doubles[this.#at] as number) + nowUs - this.#sinceUs;
    this.#sinceUs = nowUs;
  }

  /** The agent has slept since the last call. */
  slept(nowUs: number): void {
    this.#sinceUs = nowUs;
  }
}

/** Runs an agent until it is told to stop. */
export function runAgent(agent: Agent, place: ControlPlace, sleep: Sleep): void {
  const words = new Int32Array(place.memory);
  const base = place.offset >> 2;
  const stop = base + (AGENT_CONTROL.STOP >> 2);
  const sleeping = base + (AGENT_CONTROL.SLEEPING >> 2);
  const heartbeat = base + (AGENT_CONTROL.HEARTBEAT >> 2);
  const busy = new BusyTime(place);
  const sleepWhile = (value: 0 | 1, ms: number): void => {
    busy.worked(systemClock.nowUs());
    Atomics.wait(words, sleeping, value, ms);
    busy.slept(systemClock.nowUs());
  };
  Atomics.store(words, base + (AGENT_CONTROL.RUNNING >> 2), 1);
  let naps = 0;
  for (;;) {
    Atomics.add(words, heartbeat, 1);
    // Read before the rings: everything is published before `stop` is set. Read after them, it could be set together with
    // records that doWork() had not seen, and these would be lost.
    const isStopping = Atomics.load(words, stop) !== 0;
    const nowUs = systemClock.nowUs();
    busy.worked(nowUs);
    let done = agent.doWork(nowUs);
    if (done === 0 && isStopping) {
      done = agent.finish?.(systemClock.nowUs()) ?? 0;
      if (done === 0) break;
    }
    if (done > 0) {
      naps = sleep.naps;
      continue;
    }
    if (done === BLOCKED) {
      if (Atomics.load(words, stop) === ABANDON) break;
      sleepWhile(0, BLOCKED_MS);
      continue;
    }
    if (naps > 0) {
      naps--;
      sleepWhile(0, NAP_MS);
      continue;
    }
    // Announce the sleep, then look once more: what was published before the announcement is found here,
    // and a writer that publishes after it notifies.
    Atomics.store(words, sleeping, 1);
    if (agent.doWork(systemClock.nowUs()) !== 0 || Atomics.load(words, stop) !== 0) {
      Atomics.store(words, sleeping, 0);
      continue;
    }
    sleepWhile(1, sleep.idleMs);
    Atomics.store(words, sleeping, 0);
  }
  agent.close();
}

import process from 'node:process';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { LatencyHistogram } from '../../../src/sinks/metrics/latency.js';
import { Pacer } from '../load/pacer.js';
import { DRAIN_US, isInWindow, type Load, TAIL_US, type Timetable } from '../load/plan.js';
import { evenPhase, Rota } from '../load/rota.js';
import type { GeneratorReport } from '../processes/messages.js';
import { newHistogram, recordUs } from '../report/histogram.js';
import type { Generator } from '../roles.js';
import { type CallError, type CallEvents, Caller } from './caller.js';
import { Conversations } from './frames.js';
import { PING_US, samplesPerTick } from './plan.js';

/** An answer that comes between two turns of the event loop is seen only after them, and counts as that much later. */
const TURN_US = 1_000;
/** Calls send and ping at multiples of this: a timer for each would cost more than sending. */
const GRID_US = 1_000;
/** What the last `closed` may take. */
const CLOSE_PATIENCE_US = 10 * US_PER_SECOND;

/**
 * The load: Genesys Cloud's side of AudioHook, for many calls. Open loop: calls begin, send and ping at moments that
 * are fixed in advance and do not depend on how earlier calls went. A call sends as soon as it has been opened, while
 * others are still to come; what the server leaves unread waits in this process, and counts with its whole wait.
 */
class Fleet implements Generator, CallEvents {
  readonly ready: Promise<Float64Array>;
  readonly #load: Load;
  readonly #url: string;
  readonly #callers: readonly Caller[];
  readonly #zeroUs: Float64Array;
  readonly #pacer = new Pacer(TURN_US);
  readonly #lateness = new LatencyHistogram();
  readonly #opened = newHistogram();
  readonly #connected = newHistogram();
  readonly #pinged = newHistogram();
  readonly #errors: Partial<Record<CallError, number>> = {};
  #isReady: (zeroUs: Float64Array) => void = () => {};
  #timetable: Timetable | undefined;
  #flow: Promise<void> = Promise.resolve();
  #begun = 0;
  #sent = 0;
  #sentInAll = 0;
  #withheld = 0;

  constructor(load: Load, url: string) {
    this.#load = load;
    this.#url = url;
    const conversations = new Conversations(load.tickUs);
    const samples = samplesPerTick(load.tickUs);
    this.#callers = Array.from(
      { length: load.streams },
      (_, index) => new Caller(index, conversations.conversation(index), samples, this),
    );
    this.#zeroUs = new Float64Array(load.streams).fill(Number.NaN);
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
  }

  async start(): Promise<undefined> {
    this.#flow = this.#run();
  }

  async measure(timetable: Timetable): Promise<GeneratorReport> {
    this.#timetable = timetable;
    const sentBefore = this.#sentInAll;
    const before = process.cpuUsage();
    await this.#flow;
    const { user, system } = process.cpuUsage(before);
    await this.#hangUp();
    return {
      packetsSent: this.#sent,
      packetsWithheld: this.#withheld,
      packetsInAll: this.#sentInAll,
      writes: this.#sent,
      lateness: encodeIntoCompressedBase64(this.#lateness.histogram()),
      cpuMicrosPerPacket: (user + system) / (this.#sentInAll - sentBefore),
      calls: {
        opened: encodeIntoCompressedBase64(this.#opened),
        connected: encodeIntoCompressedBase64(this.#connected),
        pinged: encodeIntoCompressedBase64(this.#pinged),
        errors: this.#errors,
      },
    };
  }

  async stop(): Promise<void> {
    for (const caller of this.#callers) caller.abandon();
  }

  opened(fromOpenUs: number, fromDueUs: number): void {
    recordUs(this.#opened, fromOpenUs);
    recordUs(this.#connected, fromDueUs);
  }

  pong(pingDueUs: number, us: number): void {
    if (this.#timetable !== undefined && isInWindow(this.#timetable, pingDueUs)) recordUs(this.#pinged, us);
  }

  error(name: CallError): void {
    this.#errors[name] = (this.#errors[name] ?? 0) + 1;
  }

  /** Does what is due next, until the load is over. */
  async #run(): Promise<void> {
    const startUs = Math.round(systemClock.nowUs());
    const callers = this.#callers;
    const { tickUs, openRate } = this.#load;
    const openings = { dueUs: startUs, next: 0, everyUs: US_PER_SECOND / openRate };
    const pings = new Rota(callers, startUs, PING_US, ({ index }) => evenPhase(index), GRID_US);
    const frames = new Rota(callers, startUs, tickUs, ({ index }) => evenPhase(index), GRID_US);
    for (;;) {
      const dueUs = Math.min(openings.dueUs, pings.dueUs, frames.dueUs);
      while (!this.#pacer.reached(dueUs)) await this.#pacer.turn(dueUs);
      if (this.#timetable !== undefined && dueUs >= this.#timetable.toUs + TAIL_US) return;
      if (dueUs === openings.dueUs) {
        callers[openings.next++]?.connect(this.#url, dueUs);
        openings.dueUs = openings.next < callers.length ? startUs + openings.next * openings.everyUs : Infinity;
      } else if (dueUs === pings.dueUs) {
        pings.take().ping(dueUs);
      } else {
        this.#speak(frames.take(), dueUs);
      }
    }
  }

  #speak(caller: Caller, dueUs: number): void {
    if (!this.#hasBegun(caller, dueUs)) return;
    const counts = this.#timetable !== undefined && isInWindow(this.#timetable, dueUs);
    if (counts) this.#lateness.record(systemClock.nowUs() - dueUs);
    const said = caller.speak();
    if (said) this.#sentInAll++;
    if (!counts) return;
    if (said) this.#sent++;
    else this.#withheld++;
  }

  /** A call's time begins with its first frame. A call that failed has one as well, so that it counts as missing. */
  #hasBegun(caller: Caller, dueUs: number): boolean {
    if (!Number.isNaN(this.#zeroUs[caller.index])) return true;
    if (!caller.isLive && !caller.isOver) return false;
    this.#zeroUs[caller.index] = dueUs;
    if (++this.#begun < this.#callers.length) return true;
    if (this.#callers.every(({ isOver }) => isOver)) {
      throw new Error(`Not one call was taken: ${JSON.stringify(this.#errors)}.`);
    }
    this.#isReady(this.#zeroUs);
    return true;
  }

  /** Ends every call properly, at the rate at which they began, once the other side has been measured. */
  async #hangUp(): Promise<void> {
    const fromUs = systemClock.nowUs() + DRAIN_US;
    for (const [i, caller] of this.#callers.entries()) {
      await this.#pacer.until(fromUs + (i * US_PER_SECOND) / this.#load.openRate);
      caller.close();
    }
    const deadlineUs = systemClock.nowUs() + CLOSE_PATIENCE_US;
    while (this.#callers.some(({ isOver }) => !isOver) && systemClock.nowUs() < deadlineUs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const caller of this.#callers) caller.abandon();
  }
}

export function makeFleet(load: Load, peer: string): Generator {
  return new Fleet(load, peer);
}

import type { FrameSink, ReceptionCounts, StreamInfo } from '../../core/events.js';
import type { Logger } from '../../core/logger.js';
import { US_PER_SECOND } from '../../core/units.js';

/** Length of the window that shares are taken over. */
const WINDOW_US = 5 * US_PER_SECOND;
/** Packets due in a window for its shares to mean something. */
const LEAST_PACKETS = 50;
/** Shares at which a warning is logged, and below which the recovery is. */
const LOSS = { warn: 0.05, recovered: 0.02 };
const LATE = { warn: 0.05, recovered: 0.02 };
/** Without a packet for this long, a stream has a gap. Opus sends one every 0.4 s even in silence. */
const GAP_US = 10 * US_PER_SECOND;

type Condition = 'loss' | 'lateness' | 'gap' | 'foreign';

interface Health {
  readonly info: StreamInfo;
  windowFromUs: number;
  receivedBefore: number;
  lostBefore: number;
  lateBefore: number;
  lastReceived: number;
  lastPacketUs: number;
  readonly warned: Set<Condition>;
}

/**
 * Warns, with the id of the call, when loss, lateness or a gap of one stream crosses a threshold, and logs its recovery.
 * Warns once of each call that has packets of a second numbering. look() is called about once a second; nothing is done per packet.
 */
export class StreamHealth implements FrameSink {
  readonly #logger: Logger;
  readonly #counts: (info: StreamInfo) => ReceptionCounts | undefined;
  readonly #streams = new Map<number, Health>();
  readonly #paused = new Set<string>();
  #nowUs = 0;

  constructor(logger: Logger, counts: (info: StreamInfo) => ReceptionCounts | undefined) {
    this.#logger = logger;
    this.#counts = counts;
  }

  streamOpened(info: StreamInfo): void {
    const zero = { receivedBefore: 0, lostBefore: 0, lateBefore: 0, lastReceived: 0 };
    const times = { windowFromUs: this.#nowUs, lastPacketUs: this.#nowUs };
    this.#streams.set(info.stream, { info, ...zero, ...times, warned: new Set() });
  }

  streamEnded(info: StreamInfo, { packetsForeign }: ReceptionCounts): void {
    const health = this.#streams.get(info.stream);
    if (health !== undefined) this.#lookForForeign(health, packetsForeign);
    this.#streams.delete(info.stream);
  }

  isPaused(interactionId: string): boolean {
    return this.#paused.has(interactionId);
  }

  /** A call whose audio is withheld has no gap. */
  paused(interactionId: string, isPaused: boolean): void {
    if (isPaused) this.#paused.add(interactionId);
    else this.#paused.delete(interactionId);
  }

  look(nowUs: number): void {
    this.#nowUs = nowUs;
    for (const health of this.#streams.values()) {
      const counts = this.#counts(health.info);
      if (counts === undefined) continue;
      this.#lookForGap(health, counts, nowUs);
      this.#lookForForeign(health, counts.packetsForeign);
      if (nowUs - health.windowFromUs >= WINDOW_US) this.#closeWindow(health, counts, nowUs);
    }
  }

  #lookForGap(health: Health, { packetsReceived }: ReceptionCounts, nowUs: number): void {
    const isPaused = this.#paused.has(health.info.interactionId);
    const hasNew = packetsReceived > health.lastReceived;
    if (hasNew || isPaused) health.lastPacketUs = nowUs;
    health.lastReceived = packetsReceived;
    const seconds = (nowUs - health.lastPacketUs) / US_PER_SECOND;
    if (seconds * US_PER_SECOND >= GAP_US) this.#warn(health, 'gap', { seconds: Math.round(seconds) });
    else if (hasNew) this.#recover(health, 'gap', {});
  }

  #lookForForeign(health: Health, packetsForeign: number): void {
    if (packetsForeign > 0) this.#warn(health, 'foreign', { packetsForeign });
  }

  #closeWindow(health: Health, counts: ReceptionCounts, nowUs: number): void {
    const received = counts.packetsReceived - health.receivedBefore;
    const lost = Math.max(0, counts.packetsLost - health.lostBefore);
    const late = counts.packetsLate - health.lateBefore;
    if (received + lost >= LEAST_PACKETS) {
      this.#judge(health, 'loss', lost / (received + lost), LOSS);
      if (received > 0) this.#judge(health, 'lateness', late / received, LATE);
    }
    health.windowFromUs = nowUs;
    health.receivedBefore = counts.packetsReceived;
    health.lostBefore = counts.packetsLost;
    health.lateBefore = counts.packetsLate;
  }

  #judge(health: Health, condition: 'loss' | 'lateness', share: number, { warn, recovered }: typeof LOSS): void {
    const fields = { percent: Math.round(share * 1000) / 10 };
    if (share >= warn) this.#warn(health, condition, fields);
    else if (share < recovered) this.#recover(health, condition, fields);
  }

  #warn({ info, warned }: Health, condition: Condition, fields: object): void {
    if (warned.has(condition)) return;
    warned.add(condition);
    this.#logger.warn({ interactionId: info.interactionId, ...fields }, WARNINGS[condition]);
  }

  #recover({ info, warned }: Health, condition: keyof typeof RECOVERIES, fields: object): void {
    if (warned.delete(condition)) {
      this.#logger.info({ interactionId: info.interactionId, ...fields }, RECOVERIES[condition]);
    }
  }
}

const WARNINGS = {
  loss: 'packets of a call are lost',
  lateness: 'packets of a call arrive too late',
  gap: 'a call sends no packets',
  foreign: 'a channel has packets of a second numbering; they are not used, and only counted from now on',
} as const;

const RECOVERIES = {
  loss: 'the loss of a call is over',
  lateness: 'packets of a call arrive in time again',
  gap: 'a call sends packets again',
} as const;

import type { Arrival, Released } from './replay.js';

/** An arrival with the sender's own number for the packet: not wrapped, and the same for all its copies. */
export interface SentArrival extends Arrival {
  number: number;
  time: number;
}

export interface ModelResult {
  /** Packets as `number:payload`, in the order in which they go out. */
  released: string[];
  lost: number[];
  received: number;
  late: number;
  duplicate: number;
  reordered: number;
  due: number;
}

/**
 * The jitter buffer's rules for one channel with one hold and no restarts, written down as plainly as can be: to compare
 * with, not to be fast.
 */
export function model(arrivals: readonly SentArrival[], playoutDelayUs: number): ModelResult {
  const held = new Map<number, SentArrival>();
  const seen = new Set<number>();
  const result: ModelResult = { released: [], lost: [], received: 0, late: 0, duplicate: 0, reordered: 0, due: 0 };
  let next: number | undefined;
  let highest = Number.NEGATIVE_INFINITY;

  const release = (untilUs: number): void => {
    for (;;) {
      const due = [...held.values()].filter((a) => a.arrivalUs + playoutDelayUs <= untilUs);
      if (due.length === 0) return;
      const first = due.reduce((a, b) => (b.arrivalUs < a.arrivalUs ? b : a));
      for (const number of [...held.keys()].sort((a, b) => a - b)) {
        if (number > first.number) break;
        for (let n = next ?? number; n < number; n++) result.lost.push(n);
        result.released.push(`${number}:${(held.get(number) as SentArrival).payload}`);
        held.delete(number);
        next = number + 1;
      }
    }
  };

  for (const arrival of arrivals) {
    release(arrival.arrivalUs);
    const { number } = arrival;
    if (seen.has(number)) {
      result.duplicate++;
      continue;
    }
    seen.add(number);
    result.received++;
    if (number < highest) result.reordered++;
    highest = Math.max(highest, number);
    if (next !== undefined && number < next) result.late++;
    else held.set(number, arrival);
  }
  release(Number.POSITIVE_INFINITY);
  result.due = seen.size === 0 ? 0 : Math.max(...seen) - Math.min(...seen) + 1;
  return result;
}

/** What is wrong with the gaps in one channel's output, as a sentence; '' when they add up. */
export function faultOfGaps(released: readonly Released[], discontinuity: number): string {
  let before: Exclude<Released, { kind: 'standstill' }> | undefined;
  let reached = Number.NaN;
  for (const now of released) {
    if (now.kind === 'standstill') continue;
    if (before !== undefined) {
      const jumps = now.kind === 'packet' && (now.flags & discontinuity) !== 0;
      if (!jumps && now.sequence !== before.sequence + 1) return `${before.sequence} is followed by ${now.sequence}`;
      if (before.kind === 'lost' && now.timestamp !== reached) {
        return `lost ${before.sequence} ends at ${reached}, but ${now.sequence} begins at ${now.timestamp}`;
      }
      if (now.kind === 'lost' && before.kind === 'packet' && now.timestamp < before.timestamp) {
        return `lost ${now.sequence} begins before the packet before it`;
      }
    }
    if (now.kind === 'lost') {
      if (!Number.isInteger(now.ticks) || now.ticks < 0) return `lost ${now.sequence} lasts ${now.ticks}`;
      reached = now.timestamp + now.ticks;
    }
    before = now;
  }
  return before?.kind === 'lost' ? 'the last thing released is a lost packet' : '';
}

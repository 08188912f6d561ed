import type { InsertOutcome, JitterBuffer } from '../../../src/rtp/jitter-buffer.js';
import type { PacketColumns } from '../../../src/rtp/packet-columns.js';
import type { JitterOutput } from '../../../src/rtp/playout-queue.js';

/** One packet as it arrives. The payload offset stands for the payload: each arrival has its own. */
export interface Arrival {
  channel?: number;
  sequence: number;
  timestamp: number;
  arrivalUs: number;
  flags?: number;
  payload: number;
  bytes?: number;
}

export type Released =
  | {
      kind: 'packet';
      channel: number;
      sequence: number;
      timestamp: number;
      arrivalUs: number;
      flags: number;
      payload: number;
      bytes: number;
    }
  | { kind: 'standstill'; channel: number; ticks: number }
  | { kind: 'lost'; channel: number; sequence: number; timestamp: number; ticks: number; nowUs: number };
export type ReleasedPacket = Extract<Released, { kind: 'packet' }>;
export type ReleasedLost = Extract<Released, { kind: 'lost' }>;

/** A released packet, out of its row. */
export function released(packets: PacketColumns, row: number): ReleasedPacket {
  return {
    kind: 'packet',
    channel: packets.channel[row] as number,
    sequence: packets.sequence[row] as number,
    timestamp: packets.timestamp[row] as number,
    arrivalUs: packets.arrivalUs[row] as number,
    flags: packets.flags[row] as number,
    payload: packets.payloadOffset[row] as number,
    bytes: packets.payloadLength[row] as number,
  };
}

/** Keeps all that is released. */
export class Listener implements JitterOutput {
  readonly released: Released[] = [];
  /** Those that came too late to be released. */
  readonly lateOnes: ReleasedPacket[] = [];
  /** How many packets may still come; what is lost before them comes in any case. */
  capacity = Number.POSITIVE_INFINITY;

  isReady(): boolean {
    return this.capacity > 0;
  }

  hasSpace(): boolean {
    return this.isReady();
  }

  packet(packets: PacketColumns, row: number): void {
    this.capacity--;
    this.released.push(released(packets, row));
  }

  standstill(channel: number, ticks: number): void {
    this.released.push({ kind: 'standstill', channel, ticks });
  }

  late(packets: PacketColumns, row: number): void {
    this.lateOnes.push(released(packets, row));
  }

  lost(channel: number, sequence: number, timestamp: number, ticks: number, nowUs: number): void {
    this.released.push({ kind: 'lost', channel, sequence, timestamp, ticks, nowUs });
  }

  get packets(): ReleasedPacket[] {
    return this.released.filter((r) => r.kind === 'packet');
  }

  get standstills(): Extract<Released, { kind: 'standstill' }>[] {
    return this.released.filter((r) => r.kind === 'standstill');
  }

  get lostOnes(): ReleasedLost[] {
    return this.released.filter((r) => r.kind === 'lost');
  }
}

/** Inserts one packet, as the engine does. */
export function insert(buffer: JitterBuffer, arrival: Arrival, out?: JitterOutput): InsertOutcome {
  const { packets } = buffer;
  const row = packets.freeRow();
  packets.channel[row] = arrival.channel ?? 0;
  packets.wireSequence[row] = arrival.sequence;
  packets.wireTimestamp[row] = arrival.timestamp;
  packets.arrivalUs[row] = arrival.arrivalUs;
  packets.flags[row] = arrival.flags ?? 0;
  packets.payloadOffset[row] = arrival.payload;
  packets.payloadLength[row] = arrival.bytes ?? 160;
  packets.fill(1);
  return buffer.insert(packets.filledRow(), out);
}

/** Calls advance() at exactly the times the buffer asks for, up to and including `untilUs`. */
export function advanceTo(buffer: JitterBuffer, untilUs: number, out: JitterOutput): void {
  for (let dueUs = buffer.nextDueUs(); dueUs <= untilUs; dueUs = buffer.nextDueUs()) buffer.advance(dueUs, out);
}

/** Inserts the arrivals, each at its time, and lets everything run out in the end. Returns the outcomes. */
export function replay(
  buffer: JitterBuffer,
  arrivals: readonly Arrival[],
  out: JitterOutput,
  each?: (arrival: Arrival, outcome: number) => void,
): number[] {
  const outcomes = arrivals.map((a) => {
    advanceTo(buffer, a.arrivalUs, out);
    const outcome = insert(buffer, a, out);
    each?.(a, outcome);
    return outcome;
  });
  advanceTo(buffer, Number.MAX_SAFE_INTEGER, out);
  return outcomes;
}

/** In-order packets of 20 ms at 8 kHz: the plainest sender there is. */
export function plain(
  count: number,
  from: { sequence?: number; timestamp?: number; arrivalUs?: number; payload?: number } = {},
): Arrival[] {
  const { sequence = 0, timestamp = 0, arrivalUs = 0, payload = sequence } = from;
  return Array.from({ length: count }, (_, i) => ({
    sequence: (sequence + i) % 65536,
    timestamp: (timestamp + i * 160) % 2 ** 32,
    arrivalUs: arrivalUs + i * 20_000,
    payload: payload + i,
  }));
}

/** A generator of numbers from 0 to 1 (mulberry32), the same for the same seed everywhere. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * What one Opus channel has been given since a gap, in the order of its time line: packets, lost packets, and stretches
 * that no packet is missing for. A late packet takes its place here, and what is lost around it is divided
 * again, as the jitter buffer would have done had the packet come in time.
 *
 * Worked example at 48 kHz, packets of 960 ticks: 3 arrives, then 7, so that 4, 5 and 6 are lost from 2,880 to 5,760.
 * Then 5 arrives, with position 3,840: 4 is lost from 2,880 to 3,840, and 6 from 4,800 to 5,760. Had 5 been a packet of
 * 1,920 ticks, nothing would be left of 6.
 */
export const KEPT = { PACKET: 0, LOST: 1, EMPTY: 2 } as const;

/** Lost packets begin with whole samples, whatever the rate; as in rtp/gap-estimator.ts. */
const UNIT_TICKS = 12;

export interface KeptRecord {
  readonly kind: (typeof KEPT)[keyof typeof KEPT];
  readonly sequence: number;
  readonly timestamp: number;
  /** In RTP ticks, as `ticks`, its duration, which is 0 for a packet that says itself how long it is. */
  readonly position: number;
  readonly ticks: number;
  readonly arrivalUs: number;
  /** Of a lost packet the packet after it, which may have in-band FEC; empty where that is lost as well. */
  readonly payload: Uint8Array;
  /** Whether its decoding has ended a thread twice: it is concealed. */
  readonly isPoison: boolean;
  /** Whether the live line called it silent. */
  isSilent: boolean;
  /** A late packet that the recorder does not have yet. */
  isNew: boolean;
  /** Digest of the samples that the recorder has of it, in two words; `sentSamples` is −1 while it has none. */
  digestA: number;
  digestB: number;
  sentSamples: number;
}

/** A late packet, `ticks` long. */
export type LatePacket = Pick<KeptRecord, 'sequence' | 'timestamp' | 'position' | 'ticks' | 'arrivalUs' | 'payload'>;

/** The records `former`, from `start` on, were replaced by `count` others. */
export interface Replaced {
  readonly start: number;
  readonly former: readonly KeptRecord[];
  readonly count: number;
}

export function keptRecord(kind: KeptRecord['kind'], late: LatePacket, isPoison = false): KeptRecord {
  return {
    kind,
    sequence: late.sequence,
    timestamp: late.timestamp,
    position: late.position,
    ticks: late.ticks,
    arrivalUs: late.arrivalUs,
    payload: late.payload,
    isPoison,
    isSilent: false,
    isNew: false,
    digestA: 0,
    digestB: 0,
    sentSamples: -1,
  };
}

/** Puts a late packet into its place. Undefined when there is none: it lies before the first record, or is there. */
export function insertLate(records: KeptRecord[], late: LatePacket): Replaced | undefined {
  const lost = records.findLastIndex(({ kind, sequence }) => kind !== KEPT.EMPTY && sequence === late.sequence);
  if (lost >= 0 && (records[lost] as KeptRecord).kind === KEPT.PACKET) return undefined;
  const first = records[0];
  if (first === undefined || (lost < 0 && late.position < first.position)) return undefined;
  const start = lost < 0 ? placeOf(records, late.position) : runStart(records, lost);
  const end = lost < 0 ? start : runEnd(records, lost);
  const packet = keptRecord(KEPT.PACKET, late);
  packet.isNew = true;
  packet.isSilent = (records[start - 1]?.isSilent ?? true) && (records[end]?.isSilent ?? true);
  const replacement = lost < 0 ? [packet] : divided(records.slice(start, end), packet);
  const former = records.splice(start, end - start, ...replacement);
  return { start, former, count: replacement.length };
}

function placeOf(records: readonly KeptRecord[], position: number): number {
  return records.findLastIndex((record) => record.position <= position) + 1;
}

/** The lost packets next to one another around `at`. */
function runStart(records: readonly KeptRecord[], at: number): number {
  let start = at;
  while (records[start - 1]?.kind === KEPT.LOST) start--;
  return start;
}

function runEnd(records: readonly KeptRecord[], at: number): number {
  let end = at + 1;
  while (records[end]?.kind === KEPT.LOST) end++;
  return end;
}

/** The packet, and the lost ones of `run` that are still lost, with the time that is left for them. */
function divided(run: readonly KeptRecord[], packet: KeptRecord): KeptRecord[] {
  const from = (run[0] as KeptRecord).position;
  const last = run[run.length - 1] as KeptRecord;
  const to = last.position + last.ticks;
  const before = run.filter(({ sequence }) => sequence < packet.sequence);
  const after = run.filter(({ sequence }) => sequence > packet.sequence);
  return [
    ...spread(before, packet, from, Math.min(packet.position, to)),
    packet,
    ...spread(after, packet, Math.max(packet.position + packet.ticks, from), to),
  ];
}

/** Divides a stretch equally among `lost`; an empty stretch where there are none. */
function spread(lost: readonly KeptRecord[], packet: KeptRecord, from: number, to: number): KeptRecord[] {
  const ticks = to - from;
  if (ticks <= 0) return [];
  if (lost.length === 0) {
    const empty = { ...packet, position: from, ticks, payload: new Uint8Array(0) };
    return [keptRecord(KEPT.EMPTY, empty)];
  }
  const startOf = (i: number) =>
    i === lost.length ? to : from + UNIT_TICKS * Math.round((ticks * i) / (lost.length * UNIT_TICKS));
  return lost.map((record, i) => {
    const position = startOf(i);
    const duration = startOf(i + 1) - position;
    if (position === record.position && duration === record.ticks) return record;
    const timestamp = record.timestamp + position - record.position;
    const moved = keptRecord(KEPT.LOST, { ...record, timestamp, position, ticks: duration });
    moved.isSilent = record.isSilent;
    return moved;
  });
}

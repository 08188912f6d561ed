import type { OpusDecoder } from '../audio/codecs/opus.js';
import { TrunklineError } from '../core/errors.js';
import { US_PER_SECOND } from '../core/units.js';
import { insertLate, KEPT, type KeptRecord, type LatePacket } from './kept-records.js';

/** How long after a gap a late packet for it is still decoded in its place. */
const WINDOW_US = 10 * US_PER_SECOND;
/** Least time between two copies of a decoder; a gap in between begins with the copy before it. */
const SNAPSHOT_SPACING_US = WINDOW_US / 4;
/** What a copy and a record count for besides the payload, the same number in both backends. */
const SNAPSHOT_BYTES = 20_480;
const RECORD_BYTES = 128;
/** For one channel: 10 s of more than 600 kbit/s. */
const MAX_CHANNEL_BYTES = 1 << 20;
/** For all channels of a shard: those of some 400 calls that lose packets all the time. */
export const MAX_REPAIR_BYTES = 64 << 20;
/**
 * Records that may be decoded again for each one that is decoded for the first time. So late packets, however many,
 * cost a shard a bounded multiple of the work that it has anyway. Unused credit is kept for two whole histories of 20 ms.
 */
const CREDIT_PER_RECORD = 8;
const MAX_CREDIT = 1_000;
/**
 * The same for all channels of a shard, however many repair at a time: 10,000 records a second, which take a fifth of a
 * core, and so many at once, 40 ms. What must wait goes on where it stopped.
 */
const US_PER_REPAIR = 100;
const MAX_SHARD_CREDIT = 2_000;

/** What is decoded again is sent to. */
export interface RepairOutput {
  /** Whether the recorder takes a frame of that many samples now. */
  hasSpace(samples: number): boolean;
  /** Decodes the record, or what is lost there, with `line`, and sends what has changed. `next` follows it. */
  redecode(line: DecoderState, record: KeptRecord, next: KeptRecord | undefined): void;
  /** Samples of a record, as the decoder stands. */
  samplesOf(line: DecoderState, record: KeptRecord): number;
}

/** A decoder, and what the channel knows besides. */
export interface DecoderState {
  readonly opus: OpusDecoder;
  /** Samples of the last packet that could be decoded. */
  lastSamples: number;
}

interface Snapshot extends DecoderState {
  /** Index of the record that it stands before. */
  index: number;
  readonly sinceUs: number;
  /** Arrival of the last lost packet between this copy and the next one. */
  lastLostUs: number;
}

/** Memory and time that the repairs of a shard share. */
export class RepairBudget {
  usedBytes = 0;
  /** Late packets that wait to be decoded. */
  waiting = 0;
  /** Late packets that were given up with their gap. */
  unrepaired = 0;
  #credit = MAX_SHARD_CREDIT;
  #refilledUs = Number.POSITIVE_INFINITY;
  /** Gaps, or several within SNAPSHOT_SPACING_US, that were given up early because there was no memory for them. */
  givenUp = 0;

  /** Time has passed until `nowUs`. */
  refill(nowUs: number): void {
    const elapsedUs = Math.max(0, nowUs - this.#refilledUs);
    this.#credit = Math.min(MAX_SHARD_CREDIT, this.#credit + elapsedUs / US_PER_REPAIR);
    if (elapsedUs > 0 || this.#refilledUs === Number.POSITIVE_INFINITY) this.#refilledUs = nowUs;
  }

  /** Whether one more record may be decoded again now. */
  takeCredit(): boolean {
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}

/**
 * Makes the recording of an Opus channel what it would be had its late packets come in time. Opus decodes each packet from
 * the state that the ones before have left, so a packet cannot be put into its place later by itself.
 *
 * When packets are lost, the decoder's state is copied, and from then on what the channel is given is kept, for 10 s
 * after its last gap. A late packet is put into its place among the records
 * (kept-records.ts). Before the channel's next record a copy of the decoder goes through all of them again, from the last
 * copy before the gap; frames whose samples are others now are sent to the recorder, and the live decoder goes on from
 * the state at the end, so that it stands where it would have stood. Copies further on are brought up to date on the
 * way, and where nothing is new behind one that is unchanged, all that follows is unchanged as well.
 *
 * A missing packet is made up from in-band FEC if the packet after it is known, and by concealment if not: what a
 * decoder does that is given the same packets in order.
 */
export class OpusRepair {
  readonly #live: DecoderState;
  readonly #budget: RepairBudget;
  readonly #records: KeptRecord[] = [];
  readonly #snapshots: Snapshot[] = [];
  #bytes = 0;
  #credit = MAX_CREDIT;
  /** From the first record that is new or has moved, to behind the last. */
  #dirtyFrom = Number.POSITIVE_INFINITY;
  #dirtyTo = 0;
  /** The decoder that goes through the records again; it stands before `index`. */
  #again: (DecoderState & { index: number }) | undefined;

  constructor(live: DecoderState, budget: RepairBudget) {
    this.#live = live;
    this.#budget = budget;
  }

  /** A gap begins or goes on: called before anything is made up for the lost packet that arrived missing at `nowUs`. */
  beginGap(nowUs: number): void {
    const last = this.#snapshots.at(-1);
    if (last !== undefined && nowUs - last.sinceUs < SNAPSHOT_SPACING_US) return;
    if (!this.#fits(SNAPSHOT_BYTES)) {
      if (last === undefined) this.#budget.givenUp++;
      return;
    }
    const copy = this.#copyOf(this.#live);
    if (copy === undefined) {
      if (last === undefined) this.#budget.givenUp++;
      return;
    }
    this.#snapshots.push({ ...copy, index: this.#records.length, sinceUs: nowUs, lastLostUs: nowUs });
    this.#use(SNAPSHOT_BYTES);
  }

  /** Whether late packets wait to be decoded. */
  get isDirty(): boolean {
    return this.isOpen && this.#dirtyFrom !== Number.POSITIVE_INFINITY;
  }

  /** Whether anything can still be repaired, so that records must be kept. */
  get isOpen(): boolean {
    return this.#snapshots.length > 0;
  }

  /** Keeps what the live decoder was given last. */
  keep(record: KeptRecord): void {
    const last = this.#snapshots.at(-1);
    if (last === undefined) return;
    if (record.kind === KEPT.LOST) last.lastLostUs = record.arrivalUs;
    this.#records.push(record);
    this.#use(bytesOf([record]));
    this.#credit = Math.min(MAX_CREDIT, this.#credit + CREDIT_PER_RECORD);
    this.#budget.refill(record.arrivalUs);
    while (this.isOpen && !this.#fits(0)) {
      this.#budget.givenUp++;
      this.#dropFirst();
    }
    while (this.isOpen && this.#isOver(record.arrivalUs)) this.#dropFirst();
  }

  /** Takes a late packet. False when there is no place for it. */
  insert(late: LatePacket): boolean {
    const replaced = this.isOpen ? insertLate(this.#records, late) : undefined;
    if (replaced === undefined) return false;
    this.#budget.waiting++;
    const { start, former, count } = replaced;
    const end = start + former.length;
    const shift = count - former.length;
    this.#use(bytesOf(this.#records.slice(start, start + count)) - bytesOf(former));
    this.#removeSnapshots((index) => index > start && index < end);
    for (const snapshot of this.#snapshots)
      if (snapshot.index >= end && snapshot.index > start) snapshot.index += shift;
    if (this.#dirtyFrom >= end) this.#dirtyFrom += shift;
    if (this.#dirtyTo > start) this.#dirtyTo += shift;
    if (this.#again !== undefined && this.#again.index > start) {
      this.#dirtyTo = Math.max(this.#dirtyTo, Math.max(this.#again.index, end) + shift + 1);
      this.#dropAgain();
    }
    // A lost packet in front of it may have its FEC now.
    const from = this.#records[start - 1]?.kind === KEPT.LOST ? start - 1 : start;
    this.#dirtyFrom = Math.min(this.#dirtyFrom, from);
    this.#dirtyTo = Math.max(this.#dirtyTo, start + count);
    return true;
  }

  /** Decodes again what late packets have changed, as far as credit and the recorder's ring allow. */
  advance(output: RepairOutput, mustFinish = false): void {
    if (!this.isDirty) return;
    const again = this.#again ?? this.#start(mustFinish);
    if (again === undefined) return;
    const records = this.#records;
    for (; again.index < records.length; again.index++) {
      if (this.#meets(again)) return;
      const record = records[again.index] as KeptRecord;
      if (!output.hasSpace(output.samplesOf(again, record))) return;
      if (!mustFinish && !this.#budget.takeCredit()) return;
      const wasNew = record.isNew;
      output.redecode(again, record, records[again.index + 1]);
      if (wasNew && !record.isNew) this.#budget.waiting--;
    }
    this.#live.opus.copyFrom(again.opus);
    this.#live.lastSamples = again.lastSamples;
    this.#dropAgain();
    this.#clean();
  }

  close(): void {
    this.#dropAgain();
    this.#giveUp(this.#records);
    this.#removeSnapshots(() => true);
    this.#use(-this.#bytes);
    this.#records.length = 0;
    this.#clean();
  }

  /** Begins with the last copy in front of what has changed. Undefined while there is no credit or no memory for it. */
  #start(mustFinish: boolean): (DecoderState & { index: number }) | undefined {
    const from = this.#snapshots.findLast(({ index }) => index <= this.#dirtyFrom) as Snapshot;
    const cost = this.#records.length - from.index;
    if (!mustFinish && this.#credit < Math.min(cost, MAX_CREDIT)) return undefined;
    const copy = this.#copyOf(from);
    if (copy === undefined) return undefined;
    this.#credit = Math.max(0, this.#credit - cost);
    this.#again = { ...copy, index: from.index };
    return this.#again;
  }

  /** Where `again` has come to a copy: brings it up to date. True when all that follows is right already. */
  #meets(again: DecoderState & { index: number }): boolean {
    const snapshot = this.#snapshots.find(({ index }) => index === again.index);
    if (snapshot === undefined) return false;
    const isSame = snapshot.lastSamples === again.lastSamples && snapshot.opus.isSame(again.opus);
    if (isSame && again.index >= this.#dirtyTo) {
      this.#dropAgain();
      this.#clean();
      return true;
    }
    if (!isSame) {
      snapshot.opus.copyFrom(again.opus);
      snapshot.lastSamples = again.lastSamples;
    }
    return false;
  }

  #clean(): void {
    this.#dirtyFrom = Number.POSITIVE_INFINITY;
    this.#dirtyTo = 0;
  }

  /** Whether the oldest gaps are too old, and none of their late packets waits to be decoded. */
  #isOver(nowUs: number): boolean {
    const first = this.#snapshots[0] as Snapshot;
    const end = this.#snapshots[1]?.index ?? this.#records.length;
    return nowUs - first.lastLostUs > WINDOW_US && Math.min(this.#dirtyFrom, this.#again?.index ?? end) >= end;
  }

  /** Gives up everything before the second copy. */
  #dropFirst(): void {
    const next = this.#snapshots[1];
    if (next === undefined) {
      this.close();
      return;
    }
    const count = next.index;
    const gone = this.#records.splice(0, count);
    this.#giveUp(gone);
    this.#use(-bytesOf(gone));
    this.#removeSnapshots((index) => index < count);
    for (const snapshot of this.#snapshots) snapshot.index -= count;
    if (this.#again !== undefined && this.#again.index < count) this.#dropAgain();
    else if (this.#again !== undefined) this.#again.index -= count;
    if (this.#dirtyTo <= count) this.#clean();
    else {
      this.#dirtyFrom = Math.max(0, this.#dirtyFrom - count);
      this.#dirtyTo -= count;
    }
  }

  #removeSnapshots(isGone: (index: number) => boolean): void {
    for (let i = this.#snapshots.length - 1; i >= 0; i--) {
      const { index, opus } = this.#snapshots[i] as Snapshot;
      if (!isGone(index)) continue;
      opus.free();
      this.#snapshots.splice(i, 1);
      this.#use(-SNAPSHOT_BYTES);
    }
  }

  #dropAgain(): void {
    this.#again?.opus.free();
    this.#again = undefined;
  }

  /** Undefined when the thread has no memory left: then nothing can be repaired, and the live line goes on. */
  #copyOf({ opus, lastSamples }: DecoderState): DecoderState | undefined {
    try {
      const copy = this.#live.opus.another();
      copy.copyFrom(opus);
      return { opus: copy, lastSamples };
    } catch (thrown) {
      if (thrown instanceof TrunklineError && thrown.code === 'LIMIT_EXCEEDED') return undefined;
      throw thrown;
    }
  }

  /** Late packets among the records will not be decoded any more. */
  #giveUp(records: readonly KeptRecord[]): void {
    const waiting = records.filter(({ isNew }) => isNew).length;
    this.#budget.waiting -= waiting;
    this.#budget.unrepaired += waiting;
  }

  #fits(bytes: number): boolean {
    return this.#bytes + bytes <= MAX_CHANNEL_BYTES && this.#budget.usedBytes + bytes <= MAX_REPAIR_BYTES;
  }

  #use(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.usedBytes += bytes;
  }
}

function bytesOf(records: readonly KeptRecord[]): number {
  return records.reduce((sum, { payload }) => sum + RECORD_BYTES + payload.length, 0);
}

import { KIND, MARK, RECORD } from '../ring/layout.js';
import { RingLink } from '../ring/link.js';
import type { RingPlace } from '../ring/ring.js';

/** Share of the ring that corrections leave free. */
const KEPT_FOR_FRAMES = 1 / 4;

/** Frames of one channel that the full ring refused and that no mark has reported yet, in samples. */
interface Refused {
  readonly stream: number;
  readonly channel: number;
  readonly start: number;
  end: number;
}

/**
 * The way from a shard to the recorder. The recorder may be slow, as disks are; live frames never wait for it. Frames
 * that its ring has no space for are refused, and a mark in front of the channel's next record says which part of the
 * time line is missing: the recording shows it as lost, not as silence.
 */
export class RecorderLink {
  readonly #link: RingLink;
  /** By channel, two a stream. */
  readonly #refused = new Map<number, Refused>();

  constructor(place: RingPlace) {
    this.#link = new RingLink(place);
  }

  /** Copies the frame or edge of `length` bytes at `at` of the shared memory. False when the ring refuses it. */
  data(at: number, length: number): boolean {
    const isSent = (this.#refused.size === 0 || this.#report(at, length)) && this.#copy(at, length);
    if (!isSent && this.#link.ring.view.getUint8(at + RECORD.KIND) === KIND.FRAME) this.#refuse(at);
    return isSent;
  }

  /**
   * The same for a CODED_FRAME: its header lies at `at`, and its payload of `length` bytes, in the same memory, at `payload`.
   */
  coded(at: number, payload: number, length: number): boolean {
    const total = RECORD.OUTPUT_HEADER_BYTES + length;
    if (this.#refused.size === 0 || this.#report(at, total)) {
      const to = this.#link.tryClaim(total);
      if (to >= 0) {
        const { ring } = this.#link;
        ring.bytes.copyWithin(to, at, at + RECORD.OUTPUT_HEADER_BYTES);
        ring.bytes.copyWithin(to + RECORD.OUTPUT_HEADER_BYTES, payload, payload + length);
        ring.commit(total);
        ring.publish();
        return true;
      }
    }
    this.#refuse(at);
    return false;
  }

  /** Whether the ring takes a record of `length` bytes now, and a report of what was refused in front of it. */
  hasSpace(length: number): boolean {
    return this.#link.tryClaim(RECORD.OUTPUT_HEADER_BYTES + length) >= 0;
  }

  /** The same of corrections that can wait: they leave a part of the ring to frames, which cannot. */
  hasSpaceToSpare(length: number): boolean {
    const { ring } = this.#link;
    return ring.freeBytes() > ring.capacity * KEPT_FOR_FRAMES && this.hasSpace(length);
  }

  /** Takes a whole OPEN, CLOSE or MARK. It waits here while the ring is full, behind a report of what was refused. */
  control(record: Uint8Array): void {
    const stream = new DataView(record.buffer, record.byteOffset).getInt32(RECORD.STREAM, true);
    for (const channel of this.#refused.size === 0 ? [] : [stream * 2, stream * 2 + 1]) {
      const refused = this.#refused.get(channel);
      if (refused !== undefined) this.#link.control(markOf(refused));
      this.#refused.delete(channel);
    }
    this.#link.control(record);
    this.#link.ring.publish();
  }

  retry(): void {
    this.#link.retry();
    this.#link.ring.publish();
  }

  get hasWaiting(): boolean {
    return this.#link.hasWaiting;
  }

  #copy(at: number, length: number): boolean {
    const to = this.#link.tryClaim(length);
    if (to < 0) return false;
    const { ring } = this.#link;
    ring.bytes.copyWithin(to, at, at + length);
    ring.commit(length);
    ring.publish();
    return true;
  }

  /** Reports what the record's channel has lost. False while there is no space for that and the record together. */
  #report(at: number, length: number): boolean {
    const channel = this.#channelOf(at);
    const refused = this.#refused.get(channel);
    if (refused === undefined) return true;
    const to = this.#link.tryClaim(RECORD.OUTPUT_HEADER_BYTES + length);
    if (to < 0) return false;
    this.#link.ring.bytes.set(markOf(refused), to);
    this.#link.ring.commit(RECORD.OUTPUT_HEADER_BYTES);
    this.#refused.delete(channel);
    return true;
  }

  #refuse(at: number): void {
    const { view } = this.#link.ring;
    const start = view.getFloat64(at + RECORD.POSITION, true);
    const end = start + view.getInt32(at + RECORD.SAMPLE_COUNT, true);
    const channel = this.#channelOf(at);
    const refused = this.#refused.get(channel);
    if (refused !== undefined) refused.end = Math.max(refused.end, end);
    else this.#refused.set(channel, { stream: channel >> 1, channel: channel & 1, start, end });
  }

  #channelOf(at: number): number {
    const { view } = this.#link.ring;
    return view.getInt32(at + RECORD.STREAM, true) * 2 + view.getUint8(at + RECORD.CHANNEL);
  }
}

function markOf({ stream, channel, start, end }: Refused): Uint8Array {
  const record = new Uint8Array(RECORD.OUTPUT_HEADER_BYTES);
  const view = new DataView(record.buffer);
  view.setInt32(RECORD.LENGTH, record.length, true);
  view.setUint8(RECORD.KIND, KIND.MARK);
  view.setUint8(RECORD.CHANNEL, channel);
  view.setUint8(RECORD.FLAGS, MARK.NOT_RECORDED);
  view.setInt32(RECORD.STREAM, stream, true);
  view.setFloat64(RECORD.POSITION, start, true);
  view.setInt32(RECORD.DURATION, end - start, true);
  return record;
}

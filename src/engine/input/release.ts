import type { CodecId } from '../../core/codec.js';
import { copyQuads } from '../../core/copy.js';
import type { MarkedState } from '../../core/events.js';
import { alignRecord, FLAG, KIND, MARK, RECORD } from '../../ring/layout.js';
import { RingLink } from '../../ring/link.js';
import type { RingProducer } from '../../ring/ring.js';
import { packetTicks } from '../../rtp/packet-duration.js';
import type { JitterOutput } from '../../rtp/playout-queue.js';
import type { Timeline } from '../../rtp/timeline.js';
import type { Stream, Streams } from '../streams.js';
import type { EngineMemory } from '../threads/memory.js';
import { Pauses } from './pauses.js';
import { RingCapacity } from './ring-capacity.js';

const textEncoder = new TextEncoder();

/** From the payload of one record to that of the next, where records of `payloadLength` bytes follow one another. */
export function packetStride(payloadLength: number): number {
  return alignRecord(RECORD.INPUT_HEADER_BYTES + payloadLength);
}

/**
 * What leaves the jitter buffer goes into the input ring of its stream's shard, with its place on the time line. While
 * a ring has no room, what is due waits in the jitter buffer. What must go all the same (the stream ends, or one shard
 * has held up the others for too long) is refused by a full ring: dropped, and counted for its lane. The packets of
 * ordered streams never are: their source is told, and holds them (ordered-input.ts).
 */
export class Release implements JitterOutput {
  readonly #links: readonly RingLink[];
  /** The one memory that rings and payloads lie in; it is a multiple of eight bytes long. */
  readonly #bytes: Uint8Array;
  readonly #quads: BigInt64Array;
  readonly #wake: (shard: number) => void;
  readonly #streams: Streams;
  readonly #timeline: Timeline;
  // Copies of what Streams knows, where the packet path reads them without a pointer chase.
  readonly #shardOf: Uint8Array;
  readonly #codecOf: Uint8Array;
  readonly #clockRateOf: Float64Array;
  readonly #ticksPerSample: Float64Array;
  /** How much of what is due may go now. */
  readonly room: RingCapacity;
  readonly dropped: Float64Array;
  readonly pauses: Pauses;

  constructor(
    { memory, shards }: EngineMemory,
    maxStreams: number,
    streams: Streams,
    timeline: Timeline,
    wake: (shard: number) => void,
  ) {
    this.#links = shards.map((shard) => new RingLink(shard.input));
    this.#bytes = new Uint8Array(memory);
    this.#quads = new BigInt64Array(memory);
    this.room = new RingCapacity(this.#links);
    this.#streams = streams;
    this.#timeline = timeline;
    this.#wake = wake;
    this.#shardOf = new Uint8Array(maxStreams);
    this.#codecOf = new Uint8Array(maxStreams);
    this.#clockRateOf = new Float64Array(maxStreams);
    this.#ticksPerSample = new Float64Array(maxStreams);
    this.dropped = new Float64Array(maxStreams * 2);
    this.pauses = new Pauses(maxStreams * 2, timeline, (lane, start, length) =>
      this.mark(lane, 'paused', start, length),
    );
  }

  open(stream: number): void {
    const entry = this.#streams.at(stream);
    if (entry === undefined) return;
    this.#shardOf[stream] = entry.shard;
    this.#codecOf[stream] = entry.codec;
    this.#clockRateOf[stream] = entry.info.clockRate;
    this.#ticksPerSample[stream] = entry.info.clockRate / entry.info.sampleRate;
    this.dropped.fill(0, stream * 2, stream * 2 + 2);
    this.#control(entry, KIND.OPEN, entry.info);
  }

  close(stream: Stream, summary: object): void {
    this.#control(stream, KIND.CLOSE, summary);
  }

  isReady(): boolean {
    return this.room.isLeft;
  }

  packet(
    lane: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): void {
    const durationTicks = this.#durationTicks(lane >> 1, payloadOffset, payloadLength);
    const position = this.#timeline.place(lane, timestamp, arrivalUs, flags, durationTicks);
    if (this.pauses.isPaused(lane) && this.pauses.withholds(lane, position, arrivalUs)) return;
    const placedFlags = this.#timeline.rebased ? flags | FLAG.DISCONTINUITY : flags;
    const ring = this.#claim(lane, RECORD.INPUT_HEADER_BYTES + payloadLength);
    if (ring === undefined) return;
    this.#copy(payloadOffset, this.#at + RECORD.INPUT_HEADER_BYTES, payloadLength);
    this.#packet(ring, lane, sequence, timestamp, position, arrivalUs, placedFlags, payloadLength);
  }

  /**
   * Room for a packet of `payloadLength` bytes on each of `channels` channels of a stream whose packets pass by the
   * jitter buffer: where the first payload belongs, the next ones packetStride() behind one another. −1 while the ring
   * has no room, and nothing is counted: the packets are not lost.
   */
  claimPackets(stream: number, channels: number, payloadLength: number): number {
    const at = this.#linkOf(stream).tryClaim(channels * packetStride(payloadLength));
    return at < 0 ? -1 : at + RECORD.INPUT_HEADER_BYTES;
  }

  /** Ends the packet of the next channel in the room that claimPackets() gave; its position is known already. */
  commitPacket(lane: number, sequence: number, position: number, arrivalUs: number, payloadLength: number): void {
    const { ring } = this.#linkOf(lane >> 1);
    this.#at = ring.tryClaim(packetStride(payloadLength));
    this.#packet(ring, lane, sequence, position, position, arrivalUs, 0, payloadLength);
  }

  standstill(channel: number, durationTicks: number): void {
    this.#timeline.standstill(channel, durationTicks);
  }

  lost(lane: number, sequence: number, timestamp: number, durationTicks: number, nowUs: number): void {
    const position = this.#timeline.placeLost(lane, timestamp, durationTicks);
    const { lostTicks } = this.#timeline;
    // What is lost amid a pause is part of it: the packet before it was withheld.
    if (lostTicks === 0 || this.pauses.isPaused(lane)) return;
    const ring = this.#claim(lane, RECORD.INPUT_HEADER_BYTES);
    if (ring === undefined) return;
    const at = this.#at;
    const { view } = ring;
    this.#header(view, KIND.LOST, lane, sequence, timestamp, position, nowUs, FLAG.LOST);
    view.setInt32(at + RECORD.PAYLOAD_LENGTH, 0, true);
    view.setInt32(at + RECORD.DURATION, lostTicks, true);
    ring.commit(RECORD.INPUT_HEADER_BYTES);
  }

  /** A stretch without audio; like OPEN and CLOSE it must arrive. */
  mark(lane: number, state: MarkedState, startTicks: number, durationTicks: number): void {
    const record = new Uint8Array(RECORD.INPUT_HEADER_BYTES);
    const view = new DataView(record.buffer);
    view.setInt32(RECORD.LENGTH, record.length, true);
    view.setUint8(RECORD.KIND, KIND.MARK);
    view.setUint8(RECORD.CHANNEL, lane & 1);
    view.setUint8(RECORD.FLAGS, state === 'paused' ? MARK.PAUSED : MARK.DISCARDED);
    view.setInt32(RECORD.STREAM, lane >> 1, true);
    view.setFloat64(RECORD.POSITION, startTicks, true);
    view.setInt32(RECORD.DURATION, durationTicks, true);
    this.#linkOf(lane >> 1).control(record);
  }

  /** Shows the shards what has come since the last call. */
  publish(): void {
    for (let shard = 0; shard < this.#links.length; shard++) {
      const link = this.#links[shard] as RingLink;
      if (link.hasWaiting) link.retry();
      if (link.ring.publish()) this.#wake(shard);
    }
  }

  /** True when records wait for room or for publish(). */
  get isUnpublished(): boolean {
    return this.#links.some((link) => link.hasWaiting || link.ring.isUnpublished);
  }

  #at = 0;

  #durationTicks(stream: number, payloadOffset: number, payloadLength: number): number {
    const codec = this.#codecOf[stream] as CodecId;
    const rate = this.#clockRateOf[stream] as number;
    return packetTicks(codec, rate, this.#ticksPerSample[stream] as number, this.#bytes, payloadOffset, payloadLength);
  }

  #linkOf(stream: number): RingLink {
    return this.#links[this.#shardOf[stream] as number] as RingLink;
  }

  #claim(lane: number, length: number): RingProducer | undefined {
    const link = this.#linkOf(lane >> 1);
    this.#at = link.tryClaim(length);
    this.room.take(length);
    if (this.#at >= 0) return link.ring;
    this.dropped[lane] = (this.dropped[lane] as number) + 1;
    return undefined;
  }

  #copy(from: number, to: number, length: number): void {
    if (((from | to | length) & 7) !== 0) this.#bytes.copyWithin(to, from, from + length);
    else copyQuads(this.#quads, from >> 3, this.#quads, to >> 3, length >> 3);
  }

  /** The payload lies there already. */
  #packet(
    ring: RingProducer,
    lane: number,
    sequence: number,
    timestamp: number,
    position: number,
    arrivalUs: number,
    flags: number,
    payloadLength: number,
  ): void {
    const at = this.#at;
    const { view } = ring;
    this.#header(view, KIND.PACKET, lane, sequence, timestamp, position, arrivalUs, flags);
    view.setInt32(at + RECORD.PAYLOAD_LENGTH, payloadLength, true);
    view.setInt32(at + RECORD.DURATION, 0, true);
    ring.commit(RECORD.INPUT_HEADER_BYTES + payloadLength);
  }

  #header(
    view: DataView,
    kind: number,
    lane: number,
    sequence: number,
    timestamp: number,
    position: number,
    arrivalUs: number,
    flags: number,
  ): void {
    const at = this.#at;
    const stream = lane >> 1;
    view.setUint8(at + RECORD.KIND, kind);
    view.setUint8(at + RECORD.CHANNEL, lane & 1);
    view.setUint8(at + RECORD.CODEC, this.#codecOf[stream] as number);
    view.setUint8(at + RECORD.FLAGS, flags);
    view.setInt32(at + RECORD.STREAM, stream, true);
    view.setFloat64(at + RECORD.SEQUENCE, sequence, true);
    view.setFloat64(at + RECORD.TIMESTAMP, timestamp, true);
    view.setFloat64(at + RECORD.POSITION, position, true);
    view.setFloat64(at + RECORD.ARRIVAL_US, arrivalUs, true);
  }

  #control({ info, shard, generation }: Stream, kind: number, payload: object): void {
    const json = textEncoder.encode(JSON.stringify(payload));
    const record = new Uint8Array(RECORD.INPUT_HEADER_BYTES + json.length);
    const view = new DataView(record.buffer);
    view.setInt32(RECORD.LENGTH, record.length, true);
    view.setUint8(RECORD.KIND, kind);
    view.setInt32(RECORD.STREAM, info.stream, true);
    view.setFloat64(RECORD.GENERATION, generation, true);
    view.setInt32(RECORD.PAYLOAD_LENGTH, json.length, true);
    record.set(json, RECORD.INPUT_HEADER_BYTES);
    (this.#links[shard] as RingLink).control(record);
  }
}

import type { CodecId } from '../../core/codec.js';
import { copyQuads } from '../../core/copy.js';
import type { MarkedState } from '../../core/events.js';
import { US_PER_SECOND } from '../../core/units.js';
import { alignRecord, FLAG, KIND, MARK, RECORD } from '../../ring/layout.js';
import { RingLink } from '../../ring/link.js';
import type { RingProducer } from '../../ring/ring.js';
import { CHANNEL_FIELDS, FIELD } from '../../rtp/channel-state.js';
import { LatePlacement } from '../../rtp/late/late-placement.js';
import { LostRuns } from '../../rtp/late/lost-runs.js';
import type { PacketColumns } from '../../rtp/packet-columns.js';
import { packetTicks } from '../../rtp/packet-duration.js';
import type { PacketRing } from '../../rtp/packet-ring.js';
import type { JitterOutput } from '../../rtp/playout-queue.js';
import { PlayoutQuality } from '../../rtp/quality/playout-quality.js';
import type { Timeline } from '../../rtp/timeline.js';
import { recordedInfo, type Stream, type Streams } from '../streams.js';
import type { EngineMemory } from '../threads/memory.js';
import { LateBudget } from './late-budget.js';
import { Pauses } from './pauses.js';
import { RingCapacity } from './ring-capacity.js';

const NONE = -1;
const textEncoder = new TextEncoder();
/** Share of a ring's usable space that late packets leave to those that are released in time. */
const KEPT_FROM_LATE = 1 / 4;

/** From the payload of one record to that of the next, where records of `payloadLength` bytes follow one another. */
export function packetStride(payloadLength: number): number {
  return alignRecord(RECORD.INPUT_HEADER_BYTES + payloadLength);
}

/**
 * Writes what the jitter buffer releases into the input ring of the stream's shard, with its place on the time line.
 * While a ring is full, due packets wait in the jitter buffer. Packets that cannot wait (the stream ends, or one shard
 * has blocked the others for too long) are dropped by a full ring and counted for their channel. A mark in front of the
 * channel's next record says which span is missing, so that the recording shows it as lost and not as silence. Packets
 * of ordered streams are never dropped: their source is told to wait (ordered-input.ts).
 */
export class Release implements JitterOutput {
  readonly #links: readonly RingLink[];
  /** The one memory that rings and payloads lie in; it is a multiple of eight bytes long. */
  readonly #bytes: Uint8Array;
  readonly #quads: BigInt64Array;
  readonly #wake: (shard: number) => void;
  readonly #streams: Streams;
  readonly #states: Float64Array;
  readonly #timeline: Timeline;
  readonly #lates: LatePlacement;
  readonly #lostRuns: LostRuns;
  readonly lateBudget: LateBudget;
  /** Late packets of streams that may be recorded, whose place or length is not known. */
  latesUnplaced = 0;
  readonly #isRecording: boolean;
  // Copied from Streams, so that the packet path reads them without going through objects.
  readonly #clockRateOf: Float64Array;
  readonly #ticksPerSample: Float64Array;
  /** How much may be released now. */
  readonly capacity: RingCapacity;
  /** By channel. */
  readonly dropped: Float64Array;
  /** By channel: late packets that the recorder gets after all. */
  readonly repaired: Float64Array;
  /** By shard: records that its input ring had no space for. */
  readonly refused: Float64Array;
  /** By channel: where the span begins that has been dropped since its last record, in RTP ticks. */
  readonly #droppedStart: Float64Array;
  readonly pauses: Pauses;
  /** Where the record that is being written lies. */
  #at = 0;
  /** How the channels sound by what is released, and what is not there in time. */
  readonly quality: PlayoutQuality;

  constructor(
    { memory, shards }: EngineMemory,
    maxStreams: number,
    streams: Streams,
    states: Float64Array,
    timeline: Timeline,
    wake: (shard: number) => void,
  ) {
    this.#states = states;
    this.#links = shards.map((shard) => new RingLink(shard.input));
    this.#bytes = new Uint8Array(memory);
    this.#quads = new BigInt64Array(memory);
    this.capacity = new RingCapacity(this.#links);
    this.#streams = streams;
    this.#timeline = timeline;
    this.#lates = new LatePlacement(maxStreams * 2);
    this.#lostRuns = new LostRuns(maxStreams * 2);
    this.lateBudget = new LateBudget(maxStreams * 2);
    this.#isRecording = shards.some(({ recorder }) => recorder !== undefined);
    this.#wake = wake;
    this.#clockRateOf = new Float64Array(maxStreams);
    this.#ticksPerSample = new Float64Array(maxStreams);
    this.dropped = new Float64Array(maxStreams * 2);
    this.repaired = new Float64Array(maxStreams * 2);
    this.refused = new Float64Array(shards.length);
    this.#droppedStart = new Float64Array(maxStreams * 2);
    this.quality = new PlayoutQuality(maxStreams * 2, states);
    this.pauses = new Pauses(maxStreams * 2, states, timeline, (channel, start, length) =>
      this.mark(channel, 'paused', start, length),
    );
  }

  /** The producers of the shards' input rings. */
  get rings(): readonly RingProducer[] {
    return this.#links.map(({ ring }) => ring);
  }

  open(stream: number): void {
    const entry = this.#streams.at(stream);
    if (entry === undefined) return;
    this.#clockRateOf[stream] = entry.info.clockRate;
    this.#ticksPerSample[stream] = entry.info.clockRate / entry.info.sampleRate;
    this.dropped.fill(0, stream * 2, stream * 2 + 2);
    this.repaired.fill(0, stream * 2, stream * 2 + 2);
    for (const channel of [stream * 2, stream * 2 + 1]) {
      const at = channel * CHANNEL_FIELDS;
      this.#states[at + FIELD.SHARD] = entry.shard;
      this.#states[at + FIELD.CODEC] = entry.codec;
      this.#states[at + FIELD.DROPPED_END] = 0;
      this.#lates.openChannel(channel);
      this.#lostRuns.openChannel(channel);
      this.lateBudget.openChannel(channel);
    }
    this.#control(entry, KIND.OPEN, recordedInfo(entry));
  }

  update(stream: Stream): void {
    this.#control(stream, KIND.UPDATE, recordedInfo(stream));
  }

  close(stream: Stream, summary: object): void {
    this.#reportDropped(stream.info.stream * 2);
    this.#reportDropped(stream.info.stream * 2 + 1);
    this.#control(stream, KIND.CLOSE, summary);
  }

  isReady(): boolean {
    return this.capacity.isLeft;
  }

  hasSpace(packets: PacketColumns, row: number): boolean {
    const channel = packets.channel[row] as number;
    const records = this.#states[channel * CHANNEL_FIELDS + FIELD.DROPPED_END] === 0 ? 1 : 2;
    const length = records * RECORD.INPUT_HEADER_BYTES + (packets.payloadLength[row] as number);
    return this.capacity.isLeft && this.#linkOf(channel >> 1).tryClaim(length) >= 0;
  }

  packet(packets: PacketRing, row: number): void {
    const channel = packets.channel[row] as number;
    const payloadOffset = packets.payloadOffset[row] as number;
    const payloadLength = packets.payloadLength[row] as number;
    const timestamp = packets.timestamp[row] as number;
    const arrivalUs = packets.arrivalUs[row] as number;
    const flags = packets.flags[row] as number;
    const durationTicks = this.durationTicks(channel >> 1, payloadOffset, payloadLength);
    const position = this.#timeline.place(channel, timestamp, arrivalUs, flags, durationTicks);
    this.quality.packet(packets, row);
    if (this.#timeline.isFirstByBase) this.#lates.begin(packets, row, this.#timeline.base(channel), position);
    if (this.pauses.isPaused(channel) && this.pauses.withholds(channel, position, packets.earliestArrivalUs(row)))
      return;
    if (this.#timeline.rebased) packets.flags[row] = flags | FLAG.DISCONTINUITY;
    const ring = this.#claim(channel, RECORD.INPUT_HEADER_BYTES + payloadLength, position);
    if (ring === undefined) return;
    this.#copy(payloadOffset, this.#at + RECORD.INPUT_HEADER_BYTES, payloadLength);
    this.#commitPacket(ring, packets, row, position, KIND.PACKET);
  }

  /**
   * Space for a packet of `payloadLength` bytes on each of `channels` channels of an ordered stream: where the first
   * payload belongs, the next ones packetStride() behind one another. −1 while the ring is full; nothing is counted,
   * since the source keeps the packets.
   */
  claimPackets(stream: number, channels: number, payloadLength: number): number {
    const at = this.#linkOf(stream).tryClaim(channels * packetStride(payloadLength));
    return at < 0 ? -1 : at + RECORD.INPUT_HEADER_BYTES;
  }

  /** Commits the packet of the next channel in what claimPackets() has given. Its timestamp is its position. */
  commitPacket(packets: PacketColumns, row: number): void {
    const { ring } = this.#linkOf((packets.channel[row] as number) >> 1);
    this.#at = ring.tryClaim(packetStride(packets.payloadLength[row] as number));
    this.#commitPacket(ring, packets, row, packets.timestamp[row] as number, KIND.PACKET);
  }

  /**
   * For the recording, if there is one: the packet with its true place. It never waits for a full ring, and is dropped
   * there like any other, or when its channel brings too many.
   */
  late(packets: PacketColumns, row: number): void {
    const channel = packets.channel[row] as number;
    const stream = channel >> 1;
    const payloadOffset = packets.payloadOffset[row] as number;
    const payloadLength = packets.payloadLength[row] as number;
    if (!this.#isRecording) return;
    const durationTicks = this.durationTicks(stream, payloadOffset, payloadLength);
    const position = this.#lates.place(packets, row, this.#timeline.end(channel));
    if (durationTicks === 0 || position < 0) {
      this.latesUnplaced++;
      return;
    }
    this.#lostRuns.late(channel, packets.sequence[row] as number, position, durationTicks, this.#notSent);
    const arrivalUs = packets.arrivalUs[row] as number;
    if (this.pauses.withholdsLate(channel, position, durationTicks, arrivalUs)) return;
    const durationUs = (durationTicks * US_PER_SECOND) / (this.#clockRateOf[stream] as number);
    if (!this.lateBudget.take(channel, durationUs, arrivalUs)) {
      this.dropped[channel] = (this.dropped[channel] as number) + 1;
      return;
    }
    const ring = this.#claimLate(channel, RECORD.INPUT_HEADER_BYTES + payloadLength);
    if (ring === undefined) return;
    this.#copy(payloadOffset, this.#at + RECORD.INPUT_HEADER_BYTES, payloadLength);
    this.#commitPacket(ring, packets, row, position, KIND.LATE_PACKET);
    this.repaired[channel] = (this.repaired[channel] as number) + 1;
  }

  standstill(channel: number, durationTicks: number): void {
    this.#timeline.standstill(channel, durationTicks);
  }

  lost(
    channel: number,
    sequence: number,
    timestamp: number,
    durationTicks: number,
    nowUs: number,
    packets: PacketColumns,
    next: number,
  ): void {
    const position = this.#timeline.placeLost(channel, timestamp, durationTicks);
    const { lostTicks } = this.#timeline;
    this.quality.lost(channel, timestamp, durationTicks);
    if (this.#isRecording) {
      this.#lostRuns.lost(channel, sequence, position, lostTicks, this.#timeline.lastDuration(channel));
    }
    // What is lost during a pause is part of it: the packet before it was withheld.
    if (lostTicks === 0 || this.pauses.isPaused(channel)) return;
    this.quality.concealed(channel, lostTicks);
    // Opus may have FEC of the lost packet in the next one; to that one, the concealment of other codecs is fitted.
    const payloadLength = next >= 0 ? (packets.payloadLength[next] as number) : 0;
    const ring = this.#claim(channel, RECORD.INPUT_HEADER_BYTES + payloadLength, position);
    if (ring === undefined) return;
    const at = this.#at;
    const { view } = ring;
    if (payloadLength > 0) {
      this.#copy(packets.payloadOffset[next] as number, at + RECORD.INPUT_HEADER_BYTES, payloadLength);
    }
    this.#describe(view, KIND.LOST, channel, FLAG.LOST);
    view.setInt32(at + RECORD.PAYLOAD_LENGTH, payloadLength, true);
    view.setFloat64(at + RECORD.SEQUENCE, sequence, true);
    view.setFloat64(at + RECORD.TIMESTAMP, timestamp, true);
    view.setFloat64(at + RECORD.POSITION, position, true);
    view.setFloat64(at + RECORD.ARRIVAL_US, nowUs, true);
    view.setInt32(at + RECORD.DURATION, lostTicks, true);
    ring.commit(RECORD.INPUT_HEADER_BYTES + payloadLength);
  }

  /** A span without audio. Like OPEN and CLOSE it waits while the ring is full. */
  mark(channel: number, state: MarkedState, startTicks: number, durationTicks: number): void {
    this.#reportDropped(channel);
    this.#mark(channel, state === 'paused' ? MARK.PAUSED : MARK.DISCARDED, startTicks, durationTicks);
  }

  /** No packet has arrived for this span so far. */
  noPackets(channel: number, startTicks: number, durationTicks: number): void {
    this.#reportDropped(channel);
    this.#mark(channel, MARK.NO_PACKETS, startTicks, durationTicks);
  }

  /** Late packets have shown that no packet is missing here, which was taken for lost. */
  readonly #notSent = (channel: number, startTicks: number, durationTicks: number): void => {
    this.#reportDropped(channel);
    this.#mark(channel, MARK.NOT_SENT, startTicks, durationTicks);
  };

  #reportDropped(channel: number): void {
    const start = this.#droppedStart[channel] as number;
    const end = this.#states[channel * CHANNEL_FIELDS + FIELD.DROPPED_END] as number;
    if (end > start) this.#mark(channel, MARK.NOT_RECORDED, start, end - start);
    this.#states[channel * CHANNEL_FIELDS + FIELD.DROPPED_END] = 0;
  }

  #mark(channel: number, mark: number, startTicks: number, durationTicks: number): void {
    const record = new Uint8Array(RECORD.INPUT_HEADER_BYTES);
    const view = new DataView(record.buffer);
    view.setInt32(RECORD.LENGTH, record.length, true);
    view.setUint8(RECORD.KIND, KIND.MARK);
    view.setUint8(RECORD.CHANNEL, channel & 1);
    view.setUint8(RECORD.FLAGS, mark);
    view.setInt32(RECORD.STREAM, channel >> 1, true);
    view.setFloat64(RECORD.POSITION, startTicks, true);
    view.setInt32(RECORD.DURATION, durationTicks, true);
    this.#linkOf(channel >> 1).control(record);
  }

  /** Makes everything since the last call visible to the shards. */
  publish(): void {
    for (let shard = 0; shard < this.#links.length; shard++) {
      const link = this.#links[shard] as RingLink;
      if (link.hasWaiting) link.retry();
      if (link.ring.publish()) this.#wake(shard);
    }
  }

  /** True when records wait for a full ring. */
  get hasWaiting(): boolean {
    return this.#links.some((link) => link.hasWaiting);
  }

  /** How long the audio of a packet is, in RTP ticks; 0 when its payload does not say. */
  durationTicks(stream: number, payloadOffset: number, payloadLength: number): number {
    const codec = this.#states[stream * 2 * CHANNEL_FIELDS + FIELD.CODEC] as CodecId;
    const rate = this.#clockRateOf[stream] as number;
    return packetTicks(codec, rate, this.#ticksPerSample[stream] as number, this.#bytes, payloadOffset, payloadLength);
  }

  #linkOf(stream: number): RingLink {
    return this.#links[this.#states[stream * 2 * CHANNEL_FIELDS + FIELD.SHARD] as number] as RingLink;
  }

  /** Space for a record at `position`, the last that the time line has placed; undefined when it is dropped. */
  #claim(channel: number, length: number, position: number): RingProducer | undefined {
    const link = this.#linkOf(channel >> 1);
    const hasDropped = this.#states[channel * CHANNEL_FIELDS + FIELD.DROPPED_END] !== 0;
    this.#at = hasDropped ? this.#claimBehindReport(link, channel, length) : link.tryClaim(length);
    if (this.#at >= 0) return link.ring;
    this.#countDropped(channel);
    if (!hasDropped) this.#droppedStart[channel] = position;
    this.#states[channel * CHANNEL_FIELDS + FIELD.DROPPED_END] = this.#timeline.end(channel);
    return undefined;
  }

  /** Space for a late packet; undefined when it is dropped. Its span on the time line is marked as lost already. */
  #claimLate(channel: number, length: number): RingProducer | undefined {
    const link = this.#linkOf(channel >> 1);
    const isFree = link.ring.freeBytes() > link.ring.usableBytes() * KEPT_FROM_LATE;
    this.#at = isFree ? this.#claimBehindReport(link, channel, length) : NONE;
    if (this.#at >= 0) return link.ring;
    this.#countDropped(channel);
    return undefined;
  }

  #countDropped(channel: number): void {
    this.dropped[channel] = (this.dropped[channel] as number) + 1;
    const shard = this.#states[channel * CHANNEL_FIELDS + FIELD.SHARD] as number;
    this.refused[shard] = (this.refused[shard] as number) + 1;
  }

  /** Reports what was dropped, and claims the space behind it. −1 while there is no space for both. */
  #claimBehindReport(link: RingLink, channel: number, length: number): number {
    if (link.tryClaim(RECORD.INPUT_HEADER_BYTES + length) < 0) return -1;
    this.#reportDropped(channel);
    return link.tryClaim(length);
  }

  #copy(from: number, to: number, length: number): void {
    if (((from | to | length) & 7) !== 0) this.#bytes.copyWithin(to, from, from + length);
    else copyQuads(this.#quads, from >> 3, this.#quads, to >> 3, length >> 3);
  }

  /** The payload is already in place. */
  #commitPacket(ring: RingProducer, packets: PacketColumns, row: number, position: number, kind: number): void {
    const at = this.#at;
    const { view } = ring;
    const payloadLength = packets.payloadLength[row] as number;
    this.#describe(view, kind, packets.channel[row] as number, packets.flags[row] as number);
    view.setInt32(at + RECORD.PAYLOAD_LENGTH, payloadLength, true);
    view.setFloat64(at + RECORD.SEQUENCE, packets.sequence[row] as number, true);
    view.setFloat64(at + RECORD.TIMESTAMP, packets.timestamp[row] as number, true);
    view.setFloat64(at + RECORD.POSITION, position, true);
    view.setFloat64(at + RECORD.ARRIVAL_US, packets.arrivalUs[row] as number, true);
    view.setInt32(at + RECORD.DURATION, 0, true);
    ring.commit(RECORD.INPUT_HEADER_BYTES + payloadLength);
  }

  #describe(view: DataView, kind: number, channel: number, flags: number): void {
    const at = this.#at;
    const stream = channel >> 1;
    view.setUint8(at + RECORD.KIND, kind);
    view.setUint8(at + RECORD.CHANNEL, channel & 1);
    view.setUint8(at + RECORD.CODEC, this.#states[stream * 2 * CHANNEL_FIELDS + FIELD.CODEC] as number);
    view.setUint8(at + RECORD.FLAGS, flags);
    view.setInt32(at + RECORD.STREAM, stream, true);
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

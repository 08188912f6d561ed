import { addCounts, zeroCounts } from '../../core/counts.js';
import type { ChannelReception, MarkedState, ReceptionCounts } from '../../core/events.js';
import { NO_QUALITY, type QualityReport, qualityReport } from '../../core/statistics/quality.js';
import { nativeRegularPackets, type RegularPackets } from '../../native/regular-packets.js';
import { channelStates } from '../../rtp/channel-state.js';
import { INSERTED, JitterBuffer } from '../../rtp/jitter-buffer.js';
import { Timeline } from '../../rtp/timeline.js';
import type { StreamSample } from '../engine-state.js';
import type { EngineSettings } from '../options.js';
import type { Stream, Streams } from '../streams.js';
import type { EngineMemory } from '../threads/memory.js';
import { OrderedInput } from './ordered-input.js';
import { PacketBatch } from './packet-batch.js';
import { PayloadArena } from './payload-arena.js';
import { Release } from './release.js';
import { StoppedPackets } from './stopped-packets.js';

/** What the input needs of the engine. */
export interface PacketInputDependencies {
  wake(shard: number): void;
  /** An ordered stream's packets have been published. */
  onPublished(): void;
}

/** Rows that one call of the native path leaves at most. */
const MOST_LEFT = 64;

/**
 * The engine's input, in the order in which a packet takes it: batch → jitter buffer → pauses, time line → input ring.
 * Ordered streams begin at the ring.
 */
export class PacketInput {
  readonly batch: PacketBatch;
  readonly ordered: OrderedInput;
  readonly #arena: PayloadArena;
  readonly #jitter: JitterBuffer;
  readonly #timeline: Timeline;
  readonly #release: Release;
  readonly #stopped: StoppedPackets;
  readonly #regular: RegularPackets | undefined;
  /** The number of rows that the native path has left to the jitter buffer, and the rows. */
  readonly #leftRows = new Int32Array(1 + MOST_LEFT);
  /** Packets in order have been released since the last advance(), and are not published yet. */
  #hasReleased = false;
  #regularPackets = 0;
  /** Open streams whose packets go through the jitter buffer. */
  #unordered = 0;
  #unknownStream = 0;

  constructor(
    memory: EngineMemory,
    settings: EngineSettings,
    streams: Streams,
    { wake, onPublished }: PacketInputDependencies,
  ) {
    const { maxStreams } = settings.memory;
    this.#arena = new PayloadArena(memory.memory, memory.arena.offset, memory.arena.capacity);
    const states = channelStates(maxStreams * 2);
    this.#jitter = new JitterBuffer({
      ...settings.jitter,
      states,
      durationOf: (channel, offset, length) => this.#release.durationTicks(channel >> 1, offset, length),
    });
    this.batch = new PacketBatch(this.#jitter.packets, this.#arena, () => this.insert());
    this.#timeline = new Timeline(maxStreams * 2, states);
    this.#release = new Release(memory, maxStreams, streams, states, this.#timeline, wake);
    this.ordered = new OrderedInput(memory.memory, maxStreams, this.#release, onPublished);
    const playoutDelayUs = (channel: number) => this.#jitter.playoutDelayUs(channel);
    this.#stopped = new StoppedPackets(
      ...([maxStreams * 2, streams, this.#timeline, this.#release, playoutDelayUs, this.ordered] as const),
    );
    this.#regular = settings.nativeInput ? this.#nativePath(memory, states) : undefined;
  }

  open(stream: Stream): void {
    const { stream: index, clockRate, channels, codec } = stream.info;
    this.ordered.open(index, stream.ordered ? channels : 0);
    if (!stream.ordered) this.#unordered++;
    for (const channel of channelsOf(stream)) {
      this.#jitter.openChannel(channel, clockRate);
      // Ordered streams bypass the jitter buffer: it has fresh counts for them, and refuses their packets.
      if (stream.ordered) this.#jitter.closeChannel(channel);
      this.#timeline.openChannel(channel, clockRate);
      this.#release.quality.open(channel, clockRate, codec);
      this.#release.pauses.openChannel(channel);
    }
    this.#stopped.open(stream);
    this.#release.open(index);
    this.#release.publish();
  }

  /**
   * Releases what the stream still holds. Its counts are final afterwards. What is due leaves first, in the order of its
   * arrival: where the first packet of one channel is placed depends on what the other one has released.
   */
  flush(stream: Stream, nowUs: number): void {
    this.#advance(nowUs);
    for (const channel of channelsOf(stream)) {
      this.#jitter.flushChannel(channel, nowUs, this.#release);
      this.#release.pauses.closeChannel(channel, nowUs);
    }
    this.ordered.close(stream.info.stream);
  }

  /** After flush(): sends the stream's end to its shard. */
  close(stream: Stream, summary: object): void {
    for (const channel of channelsOf(stream)) {
      this.#jitter.closeChannel(channel);
      this.#timeline.closeChannel(channel);
    }
    this.#stopped.close();
    if (!stream.ordered) this.#unordered--;
    this.#arena.releaseTo(this.#jitter.oldestPayloadOffset());
    this.#release.close(stream, summary);
    this.#release.publish();
  }

  interrupted(stream: Stream): void {
    this.insert();
    for (const channel of channelsOf(stream)) this.#jitter.interrupted(channel);
  }

  /** Tells all who follow the stream what is known of it now. */
  update(stream: Stream): void {
    this.#release.update(stream);
    this.#release.publish();
  }

  /** @param only the channel, or −1 for all of them. */
  mark(stream: Stream, only: number, state: MarkedState, startSamples: number, lengthSamples: number): void {
    for (const channel of channelsOf(stream)) {
      if (only === -1 || only === (channel & 1)) this.#release.mark(channel, state, startSamples, lengthSamples);
    }
    this.#release.publish();
  }

  pause(stream: Stream): void {
    for (const channel of channelsOf(stream)) this.#release.pauses.begin(channel);
  }

  resume(stream: Stream, fromUs: number): void {
    for (const channel of channelsOf(stream)) this.#release.pauses.end(channel, fromUs);
  }

  /**
   * Takes in the packets of the batch: regular ones by the native path, where there is one, all others by the jitter
   * buffer. Either way those in order are released at once.
   */
  insert(): void {
    const { packets } = this.#jitter;
    for (let row = packets.filledRow(); row >= 0; row = packets.filledRow()) {
      if (this.#regular === undefined || packets.filledRows() === 0) this.#insertRow(row);
      else this.#insertRows(row, this.#regular);
    }
  }

  /** From a filled row on, as far as one call of the native path goes. */
  #insertRows(first: number, regular: RegularPackets): void {
    const { packets } = this.#jitter;
    const end = first + regular.take(first, packets.filledRows());
    const left = this.#leftRows[0] as number;
    const regularPackets = end - first - left;
    if (regularPackets > 0) this.#hasReleased = true;
    this.#regularPackets += regularPackets;
    let at = first;
    for (let i = 1; i <= left; i++) {
      const row = this.#leftRows[i] as number;
      packets.passOver(row - at);
      this.#insertRow(row);
      at = row + 1;
    }
    packets.passOver(end - at);
  }

  #insertRow(row: number): void {
    const outcome = this.#jitter.insert(row, this.#release);
    if (outcome === INSERTED.RELEASED) this.#hasReleased = true;
    else if (outcome === INSERTED.CLOSED) this.#unknownStream++;
  }

  /** Releases what is due and shows it to the shards. */
  advance(nowUs: number): void {
    this.#advance(nowUs);
    const hasTold = this.#stopped.check(nowUs);
    this.#arena.releaseTo(this.#jitter.oldestPayloadOffset());
    // Sources of ordered streams publish the packets of many at once, and are not overtaken without need.
    if (this.#unordered > 0 || hasTold || this.#release.hasWaiting) this.#release.publish();
    // A ring that begins again at its start is no fuller than before.
    if (!this.#release.capacity.isLeft) this.#release.capacity.measure(nowUs);
  }

  #advance(nowUs: number): void {
    // Everything that has arrived must be in the jitter buffer before the arena is freed up to its oldest packet.
    this.insert();
    this.#release.capacity.measure(nowUs);
    this.#jitter.advance(nowUs, this.#release);
    // The caller publishes what has been released: nothing is due any more.
    this.#hasReleased = false;
  }

  #nativePath(memory: EngineMemory, states: Float64Array): RegularPackets | undefined {
    const { packets, history } = this.#jitter;
    return nativeRegularPackets(
      { memory: memory.memory, arena: memory.arena, rings: memory.shards.map(({ input }) => input) },
      {
        ...{ columns: packets, states, history },
        cursors: this.#release.rings.map(({ cursors }) => cursors),
        leftRows: this.#leftRows,
      },
    );
  }

  /** Where the stream's time line is at `nowUs`, in RTP ticks; never negative. */
  positionAt(stream: Stream, nowUs: number): number {
    return Math.max(0, ...channelsOf(stream).map((channel) => this.#timeline.positionAt(channel, nowUs)));
  }

  /**
   * When advance() has something to do next. What is committed and not published yet does not count: the source of ordered
   * streams publishes the packets of many at once, and all else is published where it is committed.
   */
  dueUs(): number {
    const isDue = this.#hasReleased || this.#release.hasWaiting || this.#jitter.packets.filledRow() >= 0;
    return isDue ? 0 : Math.min(this.#jitter.nextDueUs(), this.#stopped.dueUs());
  }

  /** Reception counts of a stream so far, its channels added up. */
  countsOf(stream: Stream): ReceptionCounts {
    const sum = zeroCounts();
    this.addCounts(stream, sum);
    return sum;
  }

  /** Adds the same to `sum`; the final ones of a stream that is ending. */
  addCounts(stream: Stream, sum: ReceptionCounts): void {
    this.insert();
    if (stream.finalCounts !== undefined) {
      addCounts(sum, stream.finalCounts);
      return;
    }
    for (const channel of channelsOf(stream)) {
      this.#jitter.addCounts(channel, sum);
      sum.packetsRepaired += this.#release.repaired[channel] as number;
      sum.packetsDropped += this.#release.dropped[channel] as number;
    }
    sum.packetsReceived += this.ordered.packetsOf(stream.info.stream);
    sum.bytesReceived += this.ordered.payloadBytesOf(stream.info.stream);
  }

  /** Reception of each channel so far. Packets of an ordered stream are the same number on each. */
  receptionOf(stream: Stream): ChannelReception[] {
    this.insert();
    const { stream: index, channels } = stream.info;
    return channelsOf(stream).map((channel) => {
      const counts = this.#jitter.counts(channel);
      counts.packetsRepaired = this.#release.repaired[channel] as number;
      counts.packetsDropped += this.#release.dropped[channel] as number;
      counts.packetsReceived += this.ordered.packetsOf(index) / channels;
      counts.bytesReceived += this.ordered.payloadBytesOf(index) / channels;
      if (stream.ordered) return { ...counts, ...NO_QUALITY, playoutDelayUs: 0 };
      const quality = { ...this.#release.quality.read(channel), driftPpm: this.#jitter.driftPpm(channel) };
      return { ...counts, ...quality, playoutDelayUs: this.#jitter.playoutDelayUs(channel) };
    });
  }

  /** Estimates for each channel, for the summary of a stream with these counts; nothing when nothing arrived. */
  qualityOf(stream: Stream, { packetsReceived }: ReceptionCounts): { quality?: QualityReport[] } {
    return packetsReceived === 0 ? {} : { quality: this.receptionOf(stream).map(qualityReport) };
  }

  /** Fills in all of `sample` but the counts. */
  sample(stream: Stream, sample: StreamSample): void {
    sample.playoutDelayUs = this.playoutDelayUs(stream);
    sample.mosLq = this.#mosLq(stream);
    sample.driftPpm = this.#driftPpm(stream);
    sample.isOrdered = stream.ordered;
  }

  /** MOS-LQ of the latest 10 s that have passed, of the channel where it is lower; NaN while there is none. */
  #mosLq({ info, ordered }: Stream): number {
    if (ordered) return Number.NaN;
    const mos = this.#release.quality.latestMosLq(info.stream * 2);
    if (info.channels === 1) return mos;
    const other = this.#release.quality.latestMosLq(info.stream * 2 + 1);
    return Number.isNaN(mos) || other < mos ? other : mos;
  }

  /** The larger drift of the stream's channels in ppm, with its sign; NaN while it is not known. */
  #driftPpm({ info, ordered }: Stream): number {
    if (ordered) return Number.NaN;
    const one = this.#jitter.driftPpm(info.stream * 2) ?? Number.NaN;
    const other = (info.channels === 2 ? this.#jitter.driftPpm(info.stream * 2 + 1) : null) ?? Number.NaN;
    return Number.isNaN(one) || Math.abs(other) > Math.abs(one) ? other : one;
  }

  /** The longest that the stream's next packet is held, of its channels; 0 for an ordered stream. */
  playoutDelayUs(stream: Stream): number {
    const { stream: index, channels } = stream.info;
    if (stream.ordered) return 0;
    const delayUs = this.#jitter.playoutDelayUs(index * 2);
    return channels === 1 ? delayUs : Math.max(delayUs, this.#jitter.playoutDelayUs(index * 2 + 1));
  }

  /** Records that the shard's input ring had no space for. */
  refusedBy(shard: number): number {
    return this.#release.refused[shard] ?? 0;
  }

  /** Packets that were received while their stream was paused, and withheld. */
  pausedPackets(stream: Stream): number {
    return channelsOf(stream).reduce((sum, channel) => sum + (this.#release.pauses.packets[channel] as number), 0);
  }

  /** Packets of streams that are not open, or have no such channel. */
  get unknownStream(): number {
    this.insert();
    return this.#unknownStream + this.ordered.unknownStream;
  }

  /** Packets that the native path has taken. */
  get regularPackets(): number {
    return this.#regularPackets;
  }

  /** Memory of the payloads that the jitter buffer holds. */
  get arenaUsedBytes(): number {
    return this.#arena.usedBytes;
  }

  /** Late packets that are not recorded because their channel brought too many. */
  get latePacketsRefused(): number {
    return this.#release.lateBudget.refused;
  }

  /** Late packets that are not recorded because nobody knows where they belong. */
  get latePacketsUnplaced(): number {
    return this.#release.latesUnplaced;
  }

  /** Packets for whose payload there was no memory. */
  get arenaFull(): number {
    return this.#arena.refused;
  }
}

function channelsOf(stream: Stream): readonly number[] {
  const first = stream.info.stream * 2;
  return stream.info.channels === 2 ? [first, first + 1] : [first];
}

import type { Buffer } from 'node:buffer';
import type { Clock } from '../../../core/clock.js';
import { LIMITS } from '../../../core/limits.js';
import type { StreamIngest } from '../../../engine/input/ingest.js';
import { PacketBatch } from '../../../engine/input/packet-batch.js';
import type { SourceCounters } from '../counters.js';
import type { InteractionTable } from '../interaction-table.js';
import { base64Room, decodeBase64 } from '../protocol/base64.js';
import { JsMediaReader, type MediaReader, READ_MOST } from '../protocol/media-reader.js';
import { PacketReader } from '../protocol/packet-reader.js';
import type { ControlMessage } from '../protocol/wire.js';

const NO_FLAGS = 0;
/** Less than this is no whole frame with a packet in it. */
const SHORTEST_FRAME = 64;

/** What the intake cannot decide from the packet alone. */
export interface PacketIngestDependencies {
  /**
   * The first good packet of an interaction since its connection was made. The host opens the stream if there is none
   * and sets the roster's slot; it returns false when the packet cannot be used.
   *
   * @param codec CodecId, or −1 when the packet does not say.
   * @param channel 0 or 1, or −1 when the packet does not say.
   * @param payload Decoded; valid during the call.
   */
  firstPacket(roster: InteractionTable, slot: number, codec: number, channel: number, payload: Buffer): boolean;
  control(roster: InteractionTable, message: ControlMessage): void;
}

/**
 * From the bytes of a connection to the engine's batch: the path that every packet takes. All connections of a source
 * share one intake; each brings its roster.
 *
 * Packets come in by read(), many at a time, as media-lane.ts finds them in what a socket reads; what it leaves to ws
 * comes in by message().
 */
export class PacketIngest {
  readonly #ingest: StreamIngest;
  readonly #batch: PacketBatch;
  readonly #arena: DataView;
  readonly #clock: Clock;
  readonly #counters: SourceCounters;
  readonly #host: PacketIngestDependencies;
  readonly #reader = new PacketReader();
  readonly #media: MediaReader;
  #arrivalUs = 0;
  #turnOpen = false;

  constructor(
    ingest: StreamIngest,
    clock: Clock,
    counters: SourceCounters,
    host: PacketIngestDependencies,
    media?: MediaReader,
  ) {
    this.#ingest = ingest;
    this.#batch = ingest.batch;
    const memory = this.#batch.bytes.buffer;
    this.#arena = new DataView(memory);
    this.#media = media ?? new JsMediaReader(memory);
    this.#clock = clock;
    this.#counters = counters;
    this.#host = host;
  }

  /**
   * Takes in the media frames from `from`, where a frame begins, in what a socket has read. Returns where it stopped:
   * before what must go by way of message(), or is not a whole frame, or at `to`.
   */
  read(bytes: Uint8Array, from: number, to: number, roster: InteractionTable): number {
    const batch = this.#batch;
    const { packets } = this.#media;
    for (let at = from; ; ) {
      // Payloads are three quarters of their text. Without room for all, each must find its own, by message().
      const room = to - at < SHORTEST_FRAME ? -1 : batch.room(base64Room(to - at));
      if (room < 0) return at;
      // A full batch is taken in by itself, and may run the embedder's code: only behind the last packet of a reading.
      const most = Math.min(READ_MOST, PacketBatch.CAPACITY - batch.count);
      const count = this.#media.read(bytes, at, to, roster, room, most);
      if (count === 0) return at;
      at = packets.end[count - 1] as number;
      if (!this.#turnOpen) this.#openTurn();
      this.#counters.messages += count;
      for (let i = 0; i < count; i++) {
        this.#take(
          roster,
          packets.slot[i] as number,
          packets.codec[i] as number,
          packets.channel[i] as number,
          packets.sequence[i] as number,
          packets.timestamp[i] as number,
          packets.payloadOffset[i] as number,
          packets.payloadLength[i] as number,
        );
      }
    }
  }

  /** Takes in one text message of the connection whose roster this is. Never throws for what a message says. */
  message(message: Buffer, roster: InteractionTable): void {
    this.#counters.messages++;
    if (!this.#reader.scan(message, 0, message.length, roster) || !this.#deliver(roster)) this.#exact(message, roster);
  }

  /** The same by the exact reading alone. */
  messageExact(message: Buffer, roster: InteractionTable): void {
    this.#counters.messages++;
    this.#exact(message, roster);
  }

  /** Hands over what has been pushed; call it before anything that must come after those packets. */
  flush(): void {
    if (this.#batch.count > 0) this.#ingest.submit();
  }

  #exact(message: Buffer, roster: InteractionTable): void {
    const read = this.#reader.readExact(message, roster);
    switch (read.kind) {
      case 'packet':
        if (this.#reader.slot < 0) this.#counters.unknownInteraction++;
        else if (base64Room(this.#reader.payloadLength) > LIMITS.maxPayloadBytes) this.#counters.malformed++;
        else if (!this.#deliver(roster)) this.#counters.badBase64++;
        return;
      case 'malformed':
        this.#counters.malformed++;
        return;
      case 'unknown':
        this.#counters.unknownMessages++;
        return;
      default:
        this.#host.control(roster, read);
    }
  }

  /** False when the payload is no base64 or beyond its limit, and nothing has been done. */
  #deliver(roster: InteractionTable): boolean {
    const reader = this.#reader;
    const batch = this.#batch;
    const room = base64Room(reader.payloadLength);
    if (room > LIMITS.maxPayloadBytes) return false;
    if (!this.#turnOpen) this.#openTurn();
    const at = batch.claim(room);
    if (at < 0) {
      this.#counters.arenaFull++;
      return true;
    }
    const length = decodeBase64(reader.view, reader.payloadStart, reader.payloadLength, this.#arena, at);
    if (length < 0) return false;
    const { slot, codec, channel, sequenceNumber, timestamp } = reader;
    this.#take(roster, slot, codec, channel, sequenceNumber, timestamp, at, length);
    return true;
  }

  /** A packet whose payload lies decoded where the last claim said. */
  #take(
    roster: InteractionTable,
    slot: number,
    codec: number,
    saidChannel: number,
    sequence: number,
    timestamp: number,
    at: number,
    length: number,
  ): void {
    if (roster.flowing[slot] === 0) {
      const payload = this.#batch.bytes.subarray(at, at + length);
      if (!this.#host.firstPacket(roster, slot, codec, saidChannel, payload)) return;
    }
    const channel = Math.max(saidChannel, 0);
    if (channel >= (roster.channels[slot] as number) || (codec >= 0 && codec !== roster.codec[slot])) {
      this.#counters.wrongFormat++;
      return;
    }
    const stream = roster.stream[slot] as number;
    this.#batch.push(stream, channel, sequence, timestamp, this.#arrivalUs, NO_FLAGS, at, length);
  }

  // One reading of the clock serves all messages of one socket read: they arrived together, and what the turn itself
  // takes then counts as latency, as it should.
  #openTurn(): void {
    this.#turnOpen = true;
    this.#arrivalUs = this.#clock.nowUs();
    queueMicrotask(this.#closeTurn);
  }

  readonly #closeTurn = (): void => {
    this.#turnOpen = false;
    this.flush();
  };
}

import type { Buffer } from 'node:buffer';
import type { Clock } from '../core/clock.js';
import { LIMITS } from '../core/limits.js';
import type { StreamIngest } from '../engine/ingest.js';
import type { PacketBatch } from '../engine/packet-batch.js';
import { base64Room, decodeBase64 } from './base64.js';
import type { SourceCounters } from './counters.js';
import { PacketReader } from './packet-reader.js';
import type { Roster } from './roster.js';
import type { ControlMessage } from './wire.js';

const NO_FLAGS = 0;

/** What the intake cannot decide from the packet alone. */
export interface IntakeHost {
  /**
   * The first good packet of an interaction since its connection was made. The host opens the stream if there is none
   * and sets the roster's slot; it returns false when the packet cannot be used.
   *
   * @param codec CodecId, or −1 when the packet does not say.
   * @param channel 0 or 1, or −1 when the packet does not say.
   * @param payload Decoded; valid during the call.
   */
  firstPacket(roster: Roster, slot: number, codec: number, channel: number, payload: Buffer): boolean;
  control(roster: Roster, message: ControlMessage): void;
}

/**
 * From a message's bytes to the engine's batch: the path that every packet takes. All connections of a source share
 * one intake; each brings its roster.
 */
export class PacketIntake {
  readonly #ingest: StreamIngest;
  readonly #batch: PacketBatch;
  readonly #arena: DataView;
  readonly #clock: Clock;
  readonly #counters: SourceCounters;
  readonly #host: IntakeHost;
  readonly #reader = new PacketReader();
  #arrivalUs = 0;
  #turnOpen = false;

  constructor(ingest: StreamIngest, clock: Clock, counters: SourceCounters, host: IntakeHost) {
    this.#ingest = ingest;
    this.#batch = ingest.batch;
    const { buffer, byteOffset, length } = this.#batch.bytes;
    this.#arena = new DataView(buffer, byteOffset, length);
    this.#clock = clock;
    this.#counters = counters;
    this.#host = host;
  }

  /** Takes in one text message of the connection whose roster this is. Never throws for what a message says. */
  message(message: Buffer, roster: Roster): void {
    this.#counters.messages++;
    if (!this.#reader.scan(message, roster) || !this.#deliver(roster)) this.#exact(message, roster);
  }

  /** The same by the exact reading alone. */
  messageExact(message: Buffer, roster: Roster): void {
    this.#counters.messages++;
    this.#exact(message, roster);
  }

  /** Hands over what has been pushed; call it before anything that must come after those packets. */
  flush(): void {
    if (this.#batch.count > 0) this.#ingest.submit();
  }

  #exact(message: Buffer, roster: Roster): void {
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
  #deliver(roster: Roster): boolean {
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
    const { slot } = reader;
    if (roster.flowing[slot] === 0) {
      const payload = batch.bytes.subarray(at, at + length);
      if (!this.#host.firstPacket(roster, slot, reader.codec, reader.channel, payload)) return true;
    }
    const channel = Math.max(reader.channel, 0);
    if (channel >= (roster.channels[slot] as number) || (reader.codec >= 0 && reader.codec !== roster.codec[slot])) {
      this.#counters.wrongFormat++;
      return true;
    }
    const stream = roster.stream[slot] as number;
    batch.push(stream, channel, reader.sequenceNumber, reader.timestamp, this.#arrivalUs, NO_FLAGS, at, length);
    return true;
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

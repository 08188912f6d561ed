import type { Buffer } from 'node:buffer';
import type { Clock } from '../../../core/clock.js';
import { LIMITS } from '../../../core/limits.js';
import type { StreamIngest } from '../../../engine/input/ingest.js';
import type { PacketBatch } from '../../../engine/input/packet-batch.js';
import type { Refusals, SourceCounters } from '../counters.js';
import type { InteractionTable, UndecidedPacket } from '../interaction-table.js';
import { decodeBase64, maxDecodedBytes } from '../protocol/base64.js';
import { PacketReader } from '../protocol/packet-reader.js';
import { fits, JsSocketReader, messageStart, packetFrameEnd, type SocketReader } from '../protocol/socket-reader.js';
import type { ControlMessage } from '../protocol/wire.js';

/** Less than this is no whole frame with a packet in it. */
const SHORTEST_FRAME = 64;
/** Its then() is a microtask without the asynchronous context that queueMicrotask() makes for each. */
const RESOLVED = Promise.resolve();

/** What the packet path cannot decide by itself. */
export interface PacketIngestDependencies {
  control(table: InteractionTable, message: ControlMessage): void;
  readonly refusals: Refusals;
}

/**
 * From the bytes of a connection to the rows of the engine's batch: the path of every packet. All connections of a
 * source share one PacketIngest; each passes its table.
 *
 * websocket-fast-path.ts passes on what a socket has read, to read(). The frames that it leaves to ws come in by
 * message().
 */
export class PacketIngest {
  readonly #ingest: StreamIngest;
  readonly #batch: PacketBatch;
  readonly #payloads: DataView;
  readonly #clock: Clock;
  readonly #counters: SourceCounters;
  readonly #dependencies: PacketIngestDependencies;
  readonly #packet = new PacketReader();
  readonly #socket: SocketReader;
  #arrivalUs = 0;
  #isTurnOpen = false;
  #hasAdded = false;

  constructor(
    ingest: StreamIngest,
    clock: Clock,
    counters: SourceCounters,
    dependencies: PacketIngestDependencies,
    socket: SocketReader = new JsSocketReader(ingest.batch),
  ) {
    this.#ingest = ingest;
    this.#batch = ingest.batch;
    this.#payloads = new DataView(this.#batch.bytes.buffer);
    this.#clock = clock;
    this.#counters = counters;
    this.#dependencies = dependencies;
    this.#socket = socket;
  }

  /**
   * Takes the packets from `from`, where a frame begins, out of what a socket has read. Returns where it stopped: at
   * `to`, or before a frame that is not whole or must go by way of message().
   */
  read(bytes: Uint8Array, from: number, to: number, table: InteractionTable): number {
    let at = from;
    while (to - at >= SHORTEST_FRAME) {
      if (!this.#isTurnOpen) this.#openTurn();
      const count = this.#socket.read(bytes, at, to, table, this.#arrivalUs);
      if (count > 0) {
        at = this.#socket.end;
        this.#counters.messages += count;
        this.#hasAdded = true;
        this.#batch.add(count);
      }
      const end = this.#readOne(bytes, at, to, table);
      if (end === at) break;
      at = end;
    }
    return at;
  }

  /** Takes one text message of the connection whose table this is. Never throws because of what a message says. */
  message(message: Buffer, table: InteractionTable): void {
    this.#counters.messages++;
    if (!this.#packet.scan(message, 0, message.length, table) || !this.#deliver(table)) this.#exact(message, table);
  }

  /** The same by the exact parser alone. */
  messageExact(message: Buffer, table: InteractionTable): void {
    this.#counters.messages++;
    this.#exact(message, table);
  }

  /** Takes a packet that its interaction has kept. */
  deliver(stream: number, { channel, sequence, timestamp, arrivalUs, payload }: UndecidedPacket): void {
    const batch = this.#batch;
    const offset = batch.claim(payload.length);
    if (offset < 0) {
      this.#dependencies.refusals.add('arenaFull');
      return;
    }
    if (!this.#isTurnOpen) this.#openTurn();
    payload.copy(batch.bytes, offset);
    const { columns, row } = batch;
    columns.channel[row] = stream * 2 + Math.max(channel, 0);
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = arrivalUs;
    columns.flags[row] = 0;
    columns.payloadOffset[row] = offset;
    columns.payloadLength[row] = payload.length;
    this.#hasAdded = true;
    batch.add(1);
  }

  /** Hands the packets so far over to the engine. To be called before anything that must come after them. */
  flush(): void {
    if (!this.#hasAdded) return;
    this.#hasAdded = false;
    this.#ingest.submit();
  }

  /** Takes one packet that is not for a flowing interaction, or not in its format. Returns where its frame ends. */
  #readOne(bytes: Uint8Array, at: number, to: number, table: InteractionTable): number {
    const end = packetFrameEnd(bytes, at, to);
    if (end < 0 || !this.#packet.scan(bytes, messageStart(at), end, table) || !this.#deliver(table)) return at;
    this.#counters.messages++;
    return end;
  }

  #exact(message: Buffer, table: InteractionTable): void {
    const read = this.#packet.readExact(message, table);
    switch (read.kind) {
      case 'packet':
        if (this.#packet.slot < 0) this.#dependencies.refusals.add('unknownInteraction', read.interactionId);
        else if (maxDecodedBytes(this.#packet.payloadLength) > LIMITS.maxPayloadBytes)
          this.#dependencies.refusals.add('malformed');
        else if (!this.#deliver(table)) this.#dependencies.refusals.add('badBase64');
        return;
      case 'malformed':
        this.#dependencies.refusals.add('malformed');
        return;
      case 'unknown':
        this.#dependencies.refusals.add('unknownMessages');
        return;
      default:
        this.#dependencies.control(table, read);
    }
  }

  /** Adds the packet in #packet. False when its payload is not base64 or beyond the limit, and nothing was done. */
  #deliver(table: InteractionTable): boolean {
    const packet = this.#packet;
    const batch = this.#batch;
    const most = maxDecodedBytes(packet.payloadLength);
    if (most > LIMITS.maxPayloadBytes) return false;
    if (!this.#isTurnOpen) this.#openTurn();
    const offset = batch.claim(most);
    if (offset < 0) {
      this.#dependencies.refusals.add('arenaFull');
      return true;
    }
    const length = decodeBase64(packet.view, packet.payloadStart, packet.payloadLength, this.#payloads, offset);
    if (length < 0) return false;
    const { slot, codec, channel, sequenceNumber: sequence, timestamp } = packet;
    if (table.flowing[slot] === 0 || !fits(table, packet)) {
      const payload = batch.bytes.subarray(offset, offset + length);
      const undecided = { codec, channel, sequence, timestamp, arrivalUs: this.#arrivalUs, payload };
      if (table.owner(slot)?.takePacket(undecided) !== true) return true;
    }
    const { columns, row } = batch;
    columns.channel[row] = (table.stream[slot] as number) * 2 + Math.max(channel, 0);
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = this.#arrivalUs;
    columns.flags[row] = 0;
    columns.payloadOffset[row] = offset;
    columns.payloadLength[row] = length;
    this.#hasAdded = true;
    batch.add(1);
    return true;
  }

  // One reading of the clock for all messages of a socket read: they arrived together, and the time that the turn takes
  // then counts as latency, as it should.
  #openTurn(): void {
    this.#isTurnOpen = true;
    this.#arrivalUs = this.#clock.nowUs();
    void RESOLVED.then(this.#closeTurn);
  }

  readonly #closeTurn = (): void => {
    this.#isTurnOpen = false;
    this.flush();
  };
}

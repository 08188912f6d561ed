import { Buffer } from 'node:buffer';
import { systemClock } from '../../src/core/clock.js';
import { CODEC_ID } from '../../src/core/codec.js';
import type { StreamIngest } from '../../src/engine/input/ingest.js';
import { PacketBatch } from '../../src/engine/input/packet-batch.js';
import { PayloadArena } from '../../src/engine/input/payload-arena.js';
import { nativeSocketReader } from '../../src/native/socket-reader.js';
import { PacketRing } from '../../src/rtp/packet-ring.js';
import { packetMessage, packetPrefix } from '../../src/simulator/genesys/wire.js';
import { Refusals, zeroCounters } from '../../src/sources/genesys/counters.js';
import { InteractionTable } from '../../src/sources/genesys/interaction-table.js';
import { PacketIngest } from '../../src/sources/genesys/media/packet-ingest.js';
import { PacketReader } from '../../src/sources/genesys/protocol/packet-reader.js';
import type { SocketReader } from '../../src/sources/genesys/protocol/socket-reader.js';
import { parseMessage } from '../../src/sources/genesys/protocol/wire.js';
import { interactionIds } from '../capacity/load/plan.js';
import { textFrame } from '../capacity/load/websocket.js';
import type { MicroCase } from './micro-case.js';

const INTERACTIONS = 50;
const PCMU_BYTES = 160;
const ARENA_BYTES = 1 << 20;

/** The messages of one connection in one tick, each a slice of one socket read, as ws hands them out. */
export function genesysCases(): MicroCase[] {
  const ids = interactionIds(INTERACTIONS);
  const payload = Buffer.from(Array.from({ length: PCMU_BYTES }, (_, i) => (i * 37) & 0xff)).toString('base64');
  const texts = ids.map((id, i) =>
    packetMessage(packetPrefix(id, undefined, undefined), 100_000 + i, 1_000_000_000, payload),
  );
  const read = Buffer.from(texts.join(''));
  let at = 0;
  const messages = texts.map((text) => {
    at += text.length;
    return read.subarray(at - text.length, at);
  });
  const table = new InteractionTable();
  for (const id of ids) {
    const slot = table.add({ id, takePacket: () => false });
    table.stream[slot] = slot;
    table.channels[slot] = 1;
    table.codec[slot] = CODEC_ID.PCMU;
    table.flowing[slot] = 1;
  }
  const frames = Buffer.concat(texts.map((text) => textFrame(text)));
  return [
    exact(messages),
    scan(messages, table),
    ingestCase('genesys read what ws passes on: parse, base64, batch', table, (taken) => {
      for (const message of messages) taken.message(message, table);
    }),
    ...socketReads(frames, table),
  ];
}

/** The same packets as they come from the socket, past ws. */
function socketReads(frames: Buffer, table: InteractionTable): MicroCase[] {
  const readAll = (taken: PacketIngest): void => {
    if (taken.read(frames, 0, frames.length, table) !== frames.length) throw new Error('A frame was not recognised.');
  };
  const js = ingestCase('genesys read a socket read: frames, parse, base64, batch', table, readAll);
  if (nativeSocketReader(batchOf(() => {}).batch) === undefined) return [js];
  return [js, ingestCase('genesys read a socket read, native', table, readAll, nativeSocketReader)];
}

function exact(messages: readonly Buffer[]): MicroCase {
  return {
    name: 'genesys parse a packet by JSON.parse',
    unit: 'packet',
    steps: messages.length,
    run() {
      for (const message of messages) parseMessage(message.toString('utf8'));
    },
  };
}

function scan(messages: readonly Buffer[], table: InteractionTable): MicroCase {
  const reader = new PacketReader();
  return {
    name: 'genesys parse a packet from its bytes',
    unit: 'packet',
    steps: messages.length,
    run() {
      for (const message of messages) {
        if (!reader.scan(message, 0, message.length, table)) throw new Error('The packet was not recognised.');
      }
    },
  };
}

function ingestCase(
  name: string,
  table: InteractionTable,
  takeAll: (taken: PacketIngest) => void,
  makeReader?: (batch: PacketBatch) => SocketReader | undefined,
): MicroCase {
  const { batch, takeAll: dropAll } = batchOf(() => dropAll());
  const ingest: StreamIngest = {
    batch,
    openStream: () => 0,
    endStream() {},
    streamInterrupted() {},
    markSpan() {},
    pauseStream() {},
    resumeStream() {},
    submit: dropAll,
  };
  const host = { control() {}, refusals: new Refusals(zeroCounters()) };
  const taken = new PacketIngest(ingest, systemClock, zeroCounters(), host, makeReader?.(batch));
  return {
    name,
    unit: 'packet',
    steps: table.size,
    run() {
      takeAll(taken);
      taken.flush();
    },
  };
}

/** A batch whose packets are dropped instead of being put into a jitter buffer. */
function batchOf(onFull: () => void): { batch: PacketBatch; takeAll(): void } {
  const packets = new PacketRing(1024, new Float64Array(4));
  const arena = new PayloadArena(new SharedArrayBuffer(ARENA_BYTES), 0, ARENA_BYTES);
  const takeAll = (): void => {
    for (let row = packets.filledRow(); row >= 0; row = packets.filledRow()) packets.inserted(row);
    packets.trim();
    arena.releaseTo(-1);
  };
  return { batch: new PacketBatch(packets, arena, onFull), takeAll };
}

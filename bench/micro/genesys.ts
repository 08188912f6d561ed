import { Buffer } from 'node:buffer';
import { systemClock } from '../../src/core/clock.js';
import { CODEC_ID } from '../../src/core/codec.js';
import type { StreamIngest } from '../../src/engine/input/ingest.js';
import { PacketBatch } from '../../src/engine/input/packet-batch.js';
import { PayloadArena } from '../../src/engine/input/payload-arena.js';
import { nativeMediaReader } from '../../src/native/media-reader.js';
import { packetMessage, packetPrefix } from '../../src/simulator/genesys/wire.js';
import { zeroCounters } from '../../src/sources/genesys/counters.js';
import { InteractionTable } from '../../src/sources/genesys/interaction-table.js';
import { PacketIngest } from '../../src/sources/genesys/media/packet-ingest.js';
import type { MediaReader } from '../../src/sources/genesys/protocol/media-reader.js';
import { PacketReader } from '../../src/sources/genesys/protocol/packet-reader.js';
import { parseMessage } from '../../src/sources/genesys/protocol/wire.js';
import { interactionIds } from '../capacity/plan.js';
import { textFrame } from '../capacity/websocket.js';
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
    const slot = table.add(id);
    table.stream[slot] = slot;
    table.channels[slot] = 1;
    table.codec[slot] = CODEC_ID.PCMU;
    table.flowing[slot] = 1;
  }
  const frames = Buffer.concat(texts.map((text) => textFrame(text)));
  return [
    exact(messages),
    scan(messages, table),
    ingestCase('genesys take in what ws hands on: parse, base64, batch', table, (taken) => {
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
  const js = ingestCase('genesys take in a socket read: frames, parse, base64, batch', table, readAll);
  if (nativeMediaReader(new SharedArrayBuffer(8)) === undefined) return [js];
  return [js, ingestCase('genesys take in a socket read, native', table, readAll, nativeMediaReader)];
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
  makeReader?: (arena: ArrayBufferLike) => MediaReader | undefined,
): MicroCase {
  const memory = new SharedArrayBuffer(ARENA_BYTES);
  const arena = new PayloadArena(memory, 0, ARENA_BYTES);
  const batch = new PacketBatch(arena, () => {
    batch.count = 0;
  });
  const ingest: StreamIngest = {
    batch,
    openStream: () => 0,
    endStream() {},
    streamInterrupted() {},
    markSpan() {},
    pauseStream() {},
    resumeStream() {},
    submit() {
      batch.count = 0;
    },
  };
  const host = { firstPacket: () => true, control() {} };
  const taken = new PacketIngest(ingest, systemClock, zeroCounters(), host, makeReader?.(memory));
  return {
    name,
    unit: 'packet',
    steps: table.size,
    run() {
      takeAll(taken);
      taken.flush();
      arena.releaseTo(-1);
    },
  };
}

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { StreamFormat } from '../../core/codec.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import type { Send, Track } from './track.js';

/**
 * Packets as somebody's network delivered them. The file has one JSON object a line: first `clockHz`, then one for
 * each packet in the order of arrival, with `arrivalUs` from the first, `seq`, `ts`, `pt` and the `payload` in base64.
 */
export interface Trace {
  readonly format: StreamFormat;
  readonly packets: readonly TracePacket[];
}

export interface TracePacket {
  readonly arrivalUs: number;
  /** Unwrapped, from the lowest number in the file. */
  readonly index: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: string;
}

const HEADER = z.object({ clockHz: z.number().int().positive() });
const PACKET = z.object({
  arrivalUs: z.number().nonnegative(),
  seq: z.number().int().min(0).max(0xffff),
  ts: z.number().int().min(0).max(0xffffffff),
  pt: z.number().int().min(0).max(127),
  payload: z
    .base64()
    .min(1)
    .max(Math.ceil(LIMITS.maxPayloadBytes / 3) * 4),
});

/** @throws TrunklineError FILE_FAILED when it cannot be read, FILE_INVALID when it is no trace. */
export function loadTrace(path: string): Trace {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `The trace ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseTrace(text, path);
}

/** @throws TrunklineError FILE_INVALID */
export function parseTrace(text: string, name: string): Trace {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const [headerLine, ...packetLines] = lines;
  const header = parseLine(HEADER, headerLine ?? '', name, 1);
  const read = packetLines.map((line, i) => parseLine(PACKET, line, name, i + 2));
  const first = read[0];
  if (first === undefined) throw new TrunklineError('FILE_INVALID', `The trace ${name} has no packets.`);

  let highest = first.seq;
  const numbers = read.map(({ seq }) => {
    const number = highest + (((seq - highest) << 16) >> 16);
    highest = Math.max(highest, number);
    return number;
  });
  const lowest = numbers.reduce((a, b) => Math.min(a, b));
  let arrivalUs = 0;
  const packets = read.map((packet, i) => {
    arrivalUs = Math.max(arrivalUs, packet.arrivalUs);
    return {
      arrivalUs,
      index: (numbers[i] as number) - lowest,
      sequence: packet.seq,
      timestamp: packet.ts,
      payload: packet.payload,
    };
  });
  return { format: formatOf(first.pt, header.clockHz, packets, name), packets };
}

function parseLine<T>(schema: z.ZodType<T>, line: string, name: string, lineNumber: number): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new TrunklineError('FILE_INVALID', `Line ${lineNumber} of the trace ${name} is wrong: ${why}`);
  }
}

/** Payload types 0 and 8 are fixed (RFC 3551 6); a dynamic one with a clock of 48 kHz is Opus (RFC 7587 4.1). */
function formatOf(pt: number, clockHz: number, packets: readonly TracePacket[], name: string): StreamFormat {
  const telephone = { clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
  if (pt === 0) return { codec: 'pcmu', ...telephone };
  if (pt === 8) return { codec: 'pcma', ...telephone };
  if (pt >= 96 && clockHz === 48_000) {
    const sampleRate = packets.reduce((rate, { payload }) => Math.max(rate, opusSampleRate(payload)), 8000);
    return { codec: 'opus', clockRate: 48_000, sampleRate, channels: 1 };
  }
  throw new TrunklineError(
    'CODEC_UNSUPPORTED',
    `The trace ${name} has payload type ${pt} at ${clockHz} Hz; PCMU (0), PCMA (8) and Opus (96 to 127 at 48000 Hz) can be replayed.`,
  );
}

/** Rate that the bandwidth of an Opus packet asks for: the configuration in its first byte (RFC 6716 3.1, table 2). */
function opusSampleRate(payload: string): number {
  const configuration = (Buffer.from(payload.slice(0, 4), 'base64')[0] ?? 0) >> 3;
  const byFours = [8000, 12_000, 16_000, 48_000, 8000, 16_000, 24_000, 48_000];
  if (configuration === 12 || configuration === 13) return 24_000;
  return byFours[configuration >> 2] ?? 48_000;
}

/** Replays a trace with its own timing, numbers and gaps. */
export class TraceTrack implements Track {
  due = 0;
  readonly #packets: readonly TracePacket[];
  #at = 0;

  constructor(trace: Trace) {
    this.#packets = trace.packets;
  }

  get nextUs(): number {
    return this.#packets[this.#at]?.arrivalUs ?? Infinity;
  }

  run(elapsedUs: number, send: Send): void {
    for (;;) {
      const packet = this.#packets[this.#at];
      if (packet === undefined || packet.arrivalUs > elapsedUs) return;
      this.#at++;
      this.due = Math.max(this.due, packet.index + 1);
      send(packet.index, packet.sequence, packet.timestamp, packet.payload);
    }
  }

  flush(): void {
    // A trace has its delays in it: what has not arrived yet is not due yet.
  }
}

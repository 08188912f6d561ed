import { readFile } from 'node:fs/promises';
import type { Codec, StreamFormat } from '../core/codec.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { LIMITS } from '../core/limits.js';

/** One RTP packet as it arrived. */
export interface TracePacket {
  /** Microseconds since the first packet of the trace; never lower than that of the packet before. */
  readonly arrivalUs: number;
  /** RTP sequence number, 16 bit. */
  readonly sequence: number;
  /** RTP timestamp, 32 bit. */
  readonly timestamp: number;
  /** RTP payload type; −1 where the trace does not say. */
  readonly payloadType: number;
  readonly marker: boolean;
  readonly payload: Uint8Array;
}

/** RTP packets of one stream in the order of arrival. */
export interface Trace {
  readonly source: string;
  /** Ticks of the RTP clock a second. */
  readonly clockRate: number;
  readonly packets: readonly TracePacket[];
}

/** Payload types without audio of their own: comfort noise (RFC 3389, and 19 of old devices). */
const COMFORT_NOISE = [13, 19];
const MAX_16 = 0xffff;
const MAX_32 = 0xffff_ffff;
/** One day. Time is played in steps even where nothing arrives, so a trace with the time of day would never end. */
const MAX_ARRIVAL_US = 86_400_000_000;
/** Static payload types of RFC 3551. */
const STATIC_CODECS: ReadonlyMap<number, Codec> = new Map([
  [0, 'pcmu'],
  [8, 'pcma'],
]);
const OPUS_CLOCK_RATE = 48_000;

/** @throws TrunklineError FILE_FAILED when it cannot be read, FILE_INVALID with the line when it is no trace. */
export async function readTrace(file: string): Promise<Trace> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new TrunklineError('FILE_FAILED', `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  });
  return parseTrace(text, file);
}

/**
 * Parses a trace: JSON lines, the first of which describes the rest (`clockHz`, `source`). Each other line is a packet:
 * `arrivalUs`, `seq`, `ts`, and where known `pt`, `marker` and `payload` in base64.
 *
 * @param name of the file, for messages.
 * @throws TrunklineError FILE_INVALID, with the number of the line.
 */
export function parseTrace(text: string, name: string): Trace {
  const lines = text.split('\n');
  const header = parseLine(lines[0] ?? '', name, 1);
  const clockRate = numberOf(header, 'clockHz', 1, 1_000_000, name, 1);
  const packets: TracePacket[] = [];
  let lastUs = 0;
  for (let index = 1; index < lines.length; index++) {
    if ((lines[index] ?? '').trim() === '') continue;
    const packet = packetOf(parseLine(lines[index] ?? '', name, index + 1), name, index + 1);
    if (packet.arrivalUs < lastUs) {
      throw invalid(name, index + 1, '"arrivalUs" is lower than in the line before; packets stand in order of arrival');
    }
    lastUs = packet.arrivalUs;
    packets.push(packet);
  }
  if (packets.length === 0) throw new TrunklineError('FILE_INVALID', `${name} has no packets after its first line.`);
  return { source: typeof header['source'] === 'string' ? header['source'] : name, clockRate, packets };
}

/**
 * What the packets of a trace decode as. Comfort noise and telephone events share the numbers of the audio around them,
 * so the payload type that most packets have decides.
 */
export function formatOf({ clockRate, packets }: Trace): StreamFormat {
  const counts = new Map<number, number>();
  for (const { payloadType } of packets) {
    if (!COMFORT_NOISE.includes(payloadType)) counts.set(payloadType, (counts.get(payloadType) ?? 0) + 1);
  }
  const [main = -1] = [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), [-1, 0]);
  const codec =
    STATIC_CODECS.get(main) ?? (clockRate === OPUS_CLOCK_RATE ? 'opus' : clockRate === 8000 ? 'pcmu' : 'l16');
  return { codec, clockRate, sampleRate: codec === 'opus' ? 16_000 : clockRate, channels: 1 };
}

function packetOf(fields: Fields, name: string, line: number): TracePacket {
  const { payload = '', marker = false } = fields;
  if (typeof payload !== 'string') throw invalid(name, line, '"payload" is not a text in base64');
  const bytes = Buffer.from(payload, 'base64');
  if (bytes.length > LIMITS.maxPayloadBytes) {
    throw invalid(name, line, `"payload" has more than ${LIMITS.maxPayloadBytes} bytes`);
  }
  return {
    arrivalUs: numberOf(fields, 'arrivalUs', 0, MAX_ARRIVAL_US, name, line),
    sequence: wholeNumberOf(fields, 'seq', MAX_16, name, line),
    timestamp: wholeNumberOf(fields, 'ts', MAX_32, name, line),
    payloadType: fields['pt'] === undefined ? -1 : wholeNumberOf(fields, 'pt', 127, name, line),
    marker: marker === true || marker === 1,
    payload: bytes,
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parseLine(text: string, name: string, line: number): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  } catch {
    // Said below.
  }
  throw invalid(name, line, 'it is not a JSON object');
}

function numberOf(fields: Fields, key: string, min: number, max: number, name: string, line: number): number {
  const value = fields[key];
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw invalid(name, line, `"${key}" must be a number from ${min} to ${max}`);
}

function wholeNumberOf(fields: Fields, key: string, max: number, name: string, line: number): number {
  const value = numberOf(fields, key, 0, max, name, line);
  if (Number.isInteger(value)) return value;
  throw invalid(name, line, `"${key}" must be a whole number from 0 to ${max}`);
}

function invalid(name: string, line: number, what: string): TrunklineError {
  return new TrunklineError('FILE_INVALID', `${name} is not a trace of packets. Line ${line}: ${what}.`);
}

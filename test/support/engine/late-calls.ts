import type { StreamFormat } from '../../../src/core/codec.js';
import type { StreamSummary } from '../../../src/core/events.js';
import { below, mulberry32, type Random } from '../random.js';
import type { CaptureRig, SentPacket } from './capture-rig.js';

/** A packet that arrived at least once, and where its audio belongs. */
export interface PlacedPacket {
  readonly channel: 0 | 1;
  readonly sequence: number;
  /** In samples. */
  readonly position: number;
  readonly pcm: Int16Array;
}

/** A call over a bad line: loss, copies, packets that come up to 10 s late; numbers and timestamps wrap around. */
export interface LateCall {
  readonly seed: number;
  readonly format: StreamFormat;
  readonly channels: 1 | 2;
  /** In the order of arrival. */
  readonly arrivals: readonly SentPacket[];
  readonly endUs: number;
  readonly placed: readonly PlacedPacket[];
  readonly counts: Pick<StreamSummary, 'packetsReceived' | 'packetsLost' | 'packetsDuplicate'>;
  /** Packets that came when the stream had begun with a later one. */
  readonly beforeFirst: number;
  readonly lostMs: number;
}

const FORMATS: readonly (StreamFormat & { readonly bytesPerSample: 1 | 2 })[] = [
  { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1, bytesPerSample: 1 },
  { codec: 'pcma', clockRate: 8000, sampleRate: 8000, channels: 2, bytesPerSample: 1 },
  { codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 2, bytesPerSample: 2 },
  { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2, bytesPerSample: 1 },
];
const START_US = 2_000_000;
/** Packets at either end that are neither lost nor late, so that the stream begins and ends where it should. */
const CALM = 12;

/** What the sender did with each number of a channel, and when it arrived. */
interface Line {
  readonly channel: 0 | 1;
  readonly packets: (SentPacket & { readonly index: number })[];
  readonly copies: SentPacket[];
}

export function lateCall(seed: number): LateCall {
  const random = mulberry32(seed);
  const { bytesPerSample, ...format } = FORMATS[below(random, FORMATS.length)] as (typeof FORMATS)[number];
  const packetMs = [10, 20, 20, 30][below(random, 4)] as number;
  const count = 120 + below(random, 400);
  const ticks = (format.clockRate * packetMs) / 1000;
  const firstTimestamp = random() < 0.3 ? 2 ** 32 - below(random, count * ticks) : below(random, 2 ** 32);
  const lateStart = format.channels === 1 && random() < 0.2;
  const lines = Array.from({ length: format.channels }, (_, channel) =>
    line(random, channel === 0 ? 0 : 1, {
      packetMs,
      count,
      ticks,
      firstTimestamp,
      bytes: ticks * bytesPerSample,
      lateStart,
    }),
  );
  const endUs = START_US + (count * packetMs + 400 + below(random, 10_000)) * 1000;
  const arrived = lines.map(({ channel, packets, copies }) => ({
    channel,
    packets: packets.filter(({ arrivalUs }) => arrivalUs < endUs),
    copies: copies.filter(({ arrivalUs }) => arrivalUs < endUs),
  }));
  const first = lateStart ? 1 : 0;
  const all = arrived.flatMap(({ packets }) => packets);
  const due = arrived.reduce((sum, { packets }) => sum + Math.max(...packets.map(({ index }) => index)) + 1, 0);
  const beforeFirst = lateStart ? all.filter(({ index }) => index === 0).length : 0;
  const missing = due - all.length;
  return {
    ...{ seed, format, channels: format.channels, endUs, beforeFirst },
    arrivals: [...all, ...arrived.flatMap(({ copies }) => copies)].sort((a, b) => a.arrivalUs - b.arrivalUs),
    placed: all
      .filter(({ index }) => index >= first)
      .map(({ channel = 0, sequence, index, payload }) => ({
        ...{ channel, sequence, position: (index - first) * ticks, pcm: decoded(format.codec, payload) },
      })),
    counts: {
      packetsReceived: all.length,
      packetsLost: missing - (lateStart && beforeFirst === 0 ? 1 : 0),
      packetsDuplicate: arrived.reduce((sum, { copies }) => sum + copies.length, 0),
    },
    lostMs: (missing - (lateStart && beforeFirst === 0 ? 1 : 0)) * packetMs,
  };
}

function line(
  random: Random,
  channel: 0 | 1,
  call: { packetMs: number; count: number; ticks: number; firstTimestamp: number; bytes: number; lateStart: boolean },
): Line {
  const { packetMs, count, ticks, firstTimestamp, bytes, lateStart } = call;
  const firstSequence = random() < 0.3 ? 65_536 - below(random, count) : below(random, 65_536);
  const [loss, late, copied] = [random() * 0.25, random() * 0.2, random() * 0.1];
  const jitterUs = below(random, 40_000);
  const packets: Line['packets'] = [];
  const copies: SentPacket[] = [];
  for (let index = 0; index < count; index++) {
    const isCalm = index < CALM || index >= count - CALM;
    if (!isCalm && random() < loss) continue;
    let delayUs = index === 0 ? 0 : below(random, jitterUs);
    if (!isCalm && random() < late) delayUs += below(random, 10_000_000);
    // Farther back than 100 numbers, nobody knows that a number before the first one is missing.
    if (index === 0 && lateStart) delayUs = 300_000 + below(random, packetMs * 60_000);
    const packet = {
      ...{ channel, index, sequence: (firstSequence + index) % 2 ** 16 },
      timestamp: (firstTimestamp + index * ticks) % 2 ** 32,
      arrivalUs: START_US + index * packetMs * 1000 + delayUs,
      payload: noise(below(random, 2 ** 32), bytes),
    };
    packets.push(packet);
    // A copy comes after it, and not so late that it could be a restart.
    if (random() < copied)
      copies.push({ ...packet, arrivalUs: packet.arrivalUs + 1 + below(random, packetMs * 20_000) });
  }
  return { channel, packets, copies };
}

/** Bytes that no other packet has (xorshift32): what stands in the wrong place shows. */
export function noise(seed: number, bytes: number): Uint8Array {
  const words = new Int32Array(Math.ceil(bytes / 4));
  let state = seed | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

/** Plays a call into the rig; returns what its stream's end says. */
export function play(rig: CaptureRig, call: LateCall, interactionId: string): StreamSummary {
  const fromUs = Math.max(0, rig.clock.nowUs() - START_US);
  const stream = rig.open(interactionId, call.format);
  for (const packet of call.arrivals) rig.take(stream, { ...packet, arrivalUs: packet.arrivalUs + fromUs });
  rig.advanceTo(call.endUs + fromUs);
  return rig.end(stream);
}

function decoded(codec: StreamFormat['codec'], payload: Uint8Array): Int16Array {
  if (codec === 'pcmu' || codec === 'pcma') return decodeG711(codec, payload);
  return Int16Array.from({ length: payload.length / 2 }, (_, i) =>
    new DataView(payload.buffer, payload.byteOffset).getInt16(2 * i),
  );
}

export function decodeG711(codec: 'pcmu' | 'pcma', payload: Uint8Array): Int16Array {
  return Int16Array.from(payload, codec === 'pcmu' ? fromMuLaw : fromALaw);
}

/** ITU-T G.711, table 2a. */
function fromMuLaw(byte: number): number {
  const code = ~byte & 0xff;
  const magnitude = (((code & 15) << 3) + 132) * 2 ** ((code >> 4) & 7) - 132;
  return code & 0x80 ? -magnitude : magnitude;
}

/** ITU-T G.711, table 1a. */
function fromALaw(byte: number): number {
  const code = byte ^ 0x55;
  const [segment, step] = [(code >> 4) & 7, code & 15];
  const magnitude = segment === 0 ? step * 16 + 8 : (step * 16 + 264) * 2 ** (segment - 1);
  return code & 0x80 ? magnitude : -magnitude;
}

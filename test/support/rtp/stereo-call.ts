import { JitterBuffer } from '../../../src/rtp/jitter-buffer.js';
import type { JitterOutput } from '../../../src/rtp/playout-queue.js';
import { Timeline } from '../../../src/rtp/timeline.js';
import { advanceTo, insert, seeded } from './replay.js';

export interface StereoCall {
  readonly seconds: number;
  /** How much faster than true time each sender's clock runs. */
  readonly ppm: readonly [number, number];
  /** Both channels come from one sender: the same timestamps at the same time. */
  readonly isOneClock?: boolean;
  readonly clockRate?: number;
  readonly loss?: number;
  readonly seed?: number;
  /** Network delay in seconds; `random` is from 0 to 1. */
  delay?(random: () => number, channel: number, seconds: number): number;
  /** Whether the channel sends at that time; its timestamps go on meanwhile. */
  sends?(channel: number, seconds: number): boolean;
}

export interface StereoResult {
  /** By channel: how many gaps were made, and how long they are together. */
  readonly gaps: readonly [number, number];
  readonly gapMs: readonly [number, number];
  /** The largest distance between what was said at the same time, compared with the first second. */
  readonly apartMs: number;
  readonly driftPpm: readonly (number | null)[];
  readonly lost: number;
  readonly placed: number;
}

interface Sent {
  readonly channel: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly arrivalUs: number;
  /** Index of when it was sent. */
  readonly payload: number;
}

const PACKET_MS = 20;
const SECOND_CHANNEL_MS = 7.3;

/** A call of two senders in virtual time, through jitter buffer and time line as the engine uses them. */
export function stereoCall(call: StereoCall): StereoResult {
  const clockRate = call.clockRate ?? 8000;
  const packetTicks = (PACKET_MS * clockRate) / 1000;
  const sentMs: number[] = [];
  const buffer = new JitterBuffer({
    ...{ channels: 2, packets: 4096, playoutDelay: 'fixed', playoutDelayUs: 50_000, maxPlayoutDelayUs: 100_000 },
  });
  const timeline = new Timeline(2);
  const gaps: [number, number] = [0, 0];
  const gapMs: [number, number] = [0, 0];
  const placed: [number, number][][] = [[], []];
  let lost = 0;
  const out: JitterOutput = {
    isReady: () => true,
    hasSpace: () => true,
    packet(packets, row) {
      const channel = packets.channel[row] as number;
      const [timestamp, arrivalUs] = [packets.timestamp[row] as number, packets.arrivalUs[row] as number];
      const position = timeline.place(channel, timestamp, arrivalUs, packets.flags[row] as number, packetTicks);
      const atMs = sentMs[packets.payloadOffset[row] as number] as number;
      placed[channel]?.push([atMs, (position / packetTicks) * PACKET_MS - atMs]);
    },
    late() {},
    standstill(channel, ticks) {
      gaps[channel as 0 | 1]++;
      gapMs[channel as 0 | 1] += (ticks / packetTicks) * PACKET_MS;
      timeline.standstill(channel, ticks);
    },
    lost(channel, _sequence, timestamp, ticks) {
      lost++;
      timeline.placeLost(channel, timestamp, ticks);
    },
  };
  for (const channel of [0, 1]) {
    buffer.openChannel(channel, clockRate);
    timeline.openChannel(channel, clockRate);
  }
  for (const arrival of arrivalsOf(call, packetTicks, sentMs)) {
    advanceTo(buffer, arrival.arrivalUs, out);
    insert(buffer, arrival);
  }
  for (const channel of [0, 1]) buffer.flushChannel(channel, Number.MAX_SAFE_INTEGER, out);
  return {
    gaps,
    gapMs,
    apartMs: apartMs(placed[0] ?? [], placed[1] ?? []),
    driftPpm: [buffer.driftPpm(0), buffer.driftPpm(1)],
    lost,
    placed: (placed[0]?.length ?? 0) + (placed[1]?.length ?? 0),
  };
}

function arrivalsOf(call: StereoCall, packetTicks: number, sentMs: number[]): Sent[] {
  const { seconds, ppm, isOneClock = false, loss = 0, seed = 1, delay = () => 0, sends = () => true } = call;
  const random = seeded(seed);
  const arrivals: Sent[] = [];
  for (const channel of [0, 1] as const) {
    const first = isOneClock || channel === 0 ? 1000 : 777_777;
    const stepMs = PACKET_MS / (1 + ppm[channel] * 1e-6);
    let sequence = 0;
    for (let k = 0; k * stepMs < seconds * 1000; k++) {
      const atMs = k * stepMs + (isOneClock ? 0 : channel * SECOND_CHANNEL_MS);
      if (!sends(channel, atMs / 1000)) continue;
      const delayMs = delay(random, channel, atMs / 1000) * 1000;
      if (random() >= loss) {
        const timestamp = (first + k * packetTicks) % 2 ** 32;
        const arrivalUs = Math.round((atMs + delayMs) * 1000);
        arrivals.push({ channel, sequence: sequence % 2 ** 16, timestamp, arrivalUs, payload: sentMs.length });
        sentMs.push(atMs);
      }
      sequence++;
    }
  }
  return arrivals.sort((a, b) => a.arrivalUs - b.arrivalUs);
}

/** Both lists: when a packet was sent, and by how much its position is ahead of that. */
function apartMs(one: readonly [number, number][], other: readonly [number, number][]): number {
  let next = 0;
  let initial: number | undefined;
  let most = 0;
  for (const [atMs, aheadMs] of one) {
    while (next + 1 < other.length && (other[next + 1] as [number, number])[0] <= atMs) next++;
    const [otherAtMs, otherAheadMs] = other[next] as [number, number];
    if (Math.abs(otherAtMs - atMs) > 3 * PACKET_MS) continue;
    initial ??= aheadMs - otherAheadMs;
    most = Math.max(most, Math.abs(aheadMs - otherAheadMs - initial));
  }
  return most;
}

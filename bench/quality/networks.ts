import type { Trace, TracePacket } from '../../src/evaluation/trace.js';
import { SeededRandom } from '../../src/simulator/network/random.js';

/** Packets of a family: 60 s of 20 ms. */
const PACKETS = 3_000;
const CLOCK_RATE = 8_000;

/** One sender and the network behind it. Times in milliseconds. */
interface Path {
  /** Of a packet; default 20. */
  readonly packetMs?: number;
  /** Delay of packet `index`, which is sent at `sentMs`, beyond the path's own. */
  delayMs?(random: SeededRandom, index: number, sentMs: number): number;
  /** Whether it never arrives. */
  isLost?(random: SeededRandom, index: number): boolean;
  /** Packets cannot overtake one another, as behind one queue, or over TCP. */
  readonly inOrder?: boolean;
  /** Share of the packets that arrive twice. */
  readonly copies?: number;
  /** The sender pauses: of every 3 s, the second half has one packet of comfort noise in eight. */
  readonly dtx?: boolean;
}

/** Mean 1. */
const exponential = (random: SeededRandom): number => -Math.log(1 - random.unit());

/** A share of the packets is held back for a time between two bounds; the others have a little jitter. */
const overtaken = (share: number, leastMs: number, mostMs: number) => (random: SeededRandom) =>
  random.unit() < share ? leastMs + random.unit() * (mostMs - leastMs) : random.unit() * 4;

const lost = (share: number) => (random: SeededRandom) => random.unit() < share;

/** Gilbert's model: runs of lost packets with a mean length. */
function lostInRuns(share: number, meanLength: number): (random: SeededRandom) => boolean {
  let inRun = false;
  return (random) => {
    const enter = share / (1 - share) / meanLength;
    inRun = random.unit() < (inRun ? 1 - 1 / meanLength : enter);
    return inRun;
  };
}

/** Delivery stops now and then, and everything that waits comes at once. */
function stalls(share: number, leastMs: number, mostMs: number): Required<Path>['delayMs'] {
  let untilMs = 0;
  return (random, _, sentMs) => {
    if (random.unit() < share) untilMs = sentMs + leastMs + random.unit() * (mostMs - leastMs);
    return Math.max(0, untilMs - sentMs) + random.unit() * 2;
  };
}

/** The path changes every ten seconds. On the way to a shorter one, packets overtake those still on the longer one. */
function routes(differenceMs: number): Required<Path>['delayMs'] {
  return (random, _, sentMs) => (Math.floor(sentMs / 10_000) % 2) * differenceMs + random.unit() * 4;
}

/** Networks and senders by what they do, each with a seed of its own. */
const PATHS: Readonly<Record<string, () => Path>> = {
  'in order, 5 ms of jitter': () => ({ inOrder: true, delayMs: (random) => random.unit() * 5 }),
  'in order, bursts of jitter': () => ({
    inOrder: true,
    delayMs: (random, index) => exponential(random) * (index % 500 < 100 ? 40 : 3),
  }),
  'TCP, stalls of 100 to 900 ms': () => ({ inOrder: true, delayMs: stalls(0.005, 100, 900) }),
  'mobile queue, 0.2 % lost': () => ({ inOrder: true, delayMs: stalls(0.02, 50, 400), isLost: lost(0.002) }),
  '1 % lost': () => ({ delayMs: overtaken(0, 0, 0), isLost: lost(0.01) }),
  '5 % lost': () => ({ delayMs: overtaken(0, 0, 0), isLost: lost(0.05) }),
  '10 % lost': () => ({ delayMs: overtaken(0, 0, 0), isLost: lost(0.1) }),
  '20 % lost': () => ({ delayMs: overtaken(0, 0, 0), isLost: lost(0.2) }),
  '10 % lost in runs of 5': () => ({ delayMs: overtaken(0, 0, 0), isLost: lostInRuns(0.1, 5) }),
  '0.2 % overtaken by 1 to 3': () => ({ delayMs: overtaken(0.002, 22, 70) }),
  '1 % overtaken by 1 to 3': () => ({ delayMs: overtaken(0.01, 22, 70) }),
  '5 % overtaken by 1 to 3': () => ({ delayMs: overtaken(0.05, 22, 70) }),
  '1 % overtaken by 1 to 8': () => ({ delayMs: overtaken(0.01, 22, 165) }),
  '1 % overtaken by 1 to 15': () => ({ delayMs: overtaken(0.01, 22, 305) }),
  '3 % overtaken by 1 to 15': () => ({ delayMs: overtaken(0.03, 22, 305) }),
  '2 % overtaken by 1 to 5, 5 % lost': () => ({ delayMs: overtaken(0.02, 22, 105), isLost: lost(0.05) }),
  '2 % overtaken by 1 to 3, 15 % lost': () => ({ delayMs: overtaken(0.02, 22, 70), isLost: lost(0.15) }),
  '1 % overtaken by 1 to 10, 2 % lost': () => ({ delayMs: overtaken(0.01, 22, 205), isLost: lost(0.02) }),
  'sender swaps every pair': () => ({ delayMs: (_, index) => (index % 2 === 0 ? 25 : 0) }),
  'independent delays, mean 15 ms': () => ({ delayMs: (random) => exponential(random) * 15 }),
  'independent delays, mean 25 ms': () => ({ delayMs: (random) => exponential(random) * 25 }),
  'spikes of 200 ms': () => ({ delayMs: (random) => (random.unit() < 0.002 ? 200 : random.unit() * 5) }),
  'routes 30 ms apart': () => ({ delayMs: routes(30) }),
  'routes 80 ms apart': () => ({ delayMs: routes(80) }),
  'pauses, 1 % overtaken': () => ({ dtx: true, delayMs: overtaken(0.01, 22, 70) }),
  'pauses, 5 % lost': () => ({ dtx: true, isLost: lost(0.05) }),
  '2 % twice, 1 % overtaken': () => ({ copies: 0.02, delayMs: overtaken(0.01, 22, 70) }),
  '10 ms packets, 1 % overtaken by 1 to 8, 1 % lost': () => ({
    ...{ packetMs: 10, delayMs: overtaken(0.01, 12, 85), isLost: lost(0.01) },
  }),
  '30 ms packets, 1 % overtaken, 3 % lost': () => ({
    ...{ packetMs: 30, delayMs: overtaken(0.01, 32, 100), isLost: lost(0.03) },
  }),
  '60 ms packets, 1 % overtaken, 3 % lost': () => ({
    ...{ packetMs: 60, delayMs: overtaken(0.01, 62, 190), isLost: lost(0.03) },
  }),
};

export const NETWORKS: readonly string[] = Object.keys(PATHS);

/** What arrives over one of NETWORKS: the same for the same seed. */
export function traceOver(network: string, seed: number): Trace {
  const path: Path = PATHS[network]?.() ?? {};
  const random = new SeededRandom(seed);
  const { packetMs = 20, copies = 0 } = path;
  const ticks = (packetMs * CLOCK_RATE) / 1_000;
  const payload = new Uint8Array(ticks).fill(0xff);
  const packets: TracePacket[] = [];
  let sequence = 65_000;
  let lastMs = 0;
  const count = Math.round((PACKETS * 20) / packetMs);
  for (let index = 0; index < count; index++) {
    const sentMs = index * packetMs;
    if (path.dtx && sentMs % 3_000 >= 1_500 && index % 8 !== 0) continue;
    const number = sequence++ % 65_536;
    const delayMs = path.delayMs?.(random, index, sentMs) ?? 0;
    const isCopied = random.unit() < copies;
    // A receiver cannot know of a loss before the first packet or after the last.
    const isAtEdge = index === 0 || index === count - 1;
    if (path.isLost?.(random, index) && !isAtEdge) continue;
    const arrivalMs = path.inOrder ? Math.max(sentMs + delayMs, lastMs) : sentMs + delayMs;
    lastMs = arrivalMs;
    const packet = { sequence: number, timestamp: index * ticks, payloadType: 0, marker: false, payload };
    packets.push({ ...packet, arrivalUs: arrivalMs * 1_000 });
    if (isCopied) packets.push({ ...packet, arrivalUs: (arrivalMs + 1) * 1_000 });
  }
  return { source: network, clockRate: CLOCK_RATE, packets: packets.toSorted((a, b) => a.arrivalUs - b.arrivalUs) };
}

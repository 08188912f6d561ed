import type { Codec } from '../../../src/core/codec.js';
import { below, mulberry32, type Random } from '../random.js';
import { IMPAIRMENTS, type Impairment, Sender, type TimedStep } from './sender.js';
import type { PathSizes, Script, ScriptCall, Step } from './steps.js';

const CODECS: readonly Codec[] = ['pcmu', 'pcmu', 'pcmu', 'pcma', 'l16', 'opus'];
const IDS = ['3f2b8c1e-9d4a-4c55-8e2f-0123456789ab', 'sim-7', 'ab', '3F2B8C1E-9D4A-4C55-8E2F-0123456789AC', 'call-4'];
/** How often an impairment happens at most, per packet; 0.05 where nothing is said. */
const MOST: Partial<Record<Impairment, number>> = {
  loss: 0.3,
  burstLoss: 0.01,
  reordering: 0.3,
  duplicates: 0.2,
  late: 0.2,
  restart: 0.02,
  jump: 0.02,
  stall: 0.01,
  standstill: 0.03,
  codecChange: 0.01,
  secondNumbering: 0.02,
  packetLength: 0.02,
};
/** Timers fire at most so often in one wait of a script, however long. */
const MOST_TICKS = 40;
const MANY_PACKETS = 4096;
const ALL = Number.POSITIVE_INFINITY;

/** Scripts of this seed and later ones have more of what is rare in the others: see rareSizes(). */
export const RARE_SEEDS = 1_000_000;

/** A script of a few calls, all by the seed: what goes wrong, how often, on how little memory. */
export function randomScript(seed: number, packets?: number): Script {
  const random = mulberry32(seed);
  const isSerial = random() < (seed < RARE_SEEDS ? 0.3 : 0.5);
  const usualSizes = randomSizes(random, isSerial);
  const sizes = seed < RARE_SEEDS ? usualSizes : rareSizes(random, usualSizes, isSerial);
  const connections = isSerial ? 1 : 1 + below(random, 2);
  const calls = Array.from(
    { length: isSerial ? 1 : 1 + below(random, 4) },
    (_, index): ScriptCall => ({
      ...{ id: IDS[index] ?? 'nobody', codec: oneOf(random, CODECS) },
      ...{ channels: isSerial || random() < 0.4 ? 1 : 2, connection: below(random, connections) },
    }),
  );
  const impairments = randomImpairments(random);
  const senders = calls.flatMap((call) =>
    Array.from({ length: call.channels }, (_, channel) => new Sender(random, call, channel === 0 ? 0 : 1, impairments)),
  );
  const total = packets ?? (random() < 0.03 ? 3000 : 300);
  const share = Math.ceil((total * (0.3 + random())) / senders.length);
  const traffic = senders.flatMap((sender) => sender.send(below(random, 60_000), share));
  const endUs = traffic.reduce((latest, { atUs }) => Math.max(latest, atUs), 0);
  const controls = calls.flatMap((_, call) => randomControls(random, call, endUs));
  const timed = [...traffic, ...controls].sort((a, b) => a.atUs - b.atUs);
  const steps = new Turns(random, sizes, isSerial, connections).steps(timed);
  const title = `${[...impairments.keys()].join(', ') || 'no impairment'}; ${JSON.stringify(sizes)}`;
  return { seed, title, sizes, isSerial, connections, calls, steps };
}

function randomSizes(random: Random, isSerial: boolean): PathSizes {
  const isSmall = isSerial;
  const playoutDelay = random() < 0.8 ? 'adaptive' : 'fixed';
  const playoutDelayMs = oneOf(random, [0, 20, 50, 50, 120]);
  return {
    shards: isSerial ? 1 : 1 + below(random, 2),
    maxStreams: 2 + below(random, 6),
    // Of several channels no turn may fill them, since regular packets need no row for longer than a moment.
    packets: isSmall ? oneOf(random, [8, 32, 128]) : MANY_PACKETS,
    arenaBytes: isSmall ? oneOf(random, [4096, 16_384, 65_536]) : 4 << 20,
    inputRingBytes: isSmall ? oneOf(random, [4096, 16_384]) : 4 << 20,
    isRecording: random() < 0.7,
    pumpEveryUs: 0,
    ...{ playoutDelay, playoutDelayMs },
    minPlayoutDelayMs: playoutDelay === 'adaptive' ? Math.min(playoutDelayMs, oneOf(random, [0, 0, 20])) : 0,
    maxPlayoutDelayMs: playoutDelayMs + oneOf(random, [0, 100, 350]),
  };
}

/**
 * Turns that leave packets held, as those of an engine do that has just released some; fixed delays as often as adaptive
 * ones; rings and arenas of every small size, of which a packet may take most.
 */
function rareSizes(random: Random, usual: PathSizes, isSerial: boolean): PathSizes {
  const playoutDelay = random() < 0.5 ? 'adaptive' : 'fixed';
  return {
    ...usual,
    playoutDelay,
    minPlayoutDelayMs: playoutDelay === 'adaptive' ? usual.minPlayoutDelayMs : 0,
    pumpEveryUs: oneOf(random, [0, 250, 5000, ALL]),
    ...(isSerial
      ? {
          packets: oneOf(random, [2, 8, 32, 128]),
          arenaBytes: oneOf(random, [2048, 4096, 16_384, 65_536]),
          inputRingBytes: oneOf(random, [1024, 2048, 4096, 16_384]),
        }
      : {}),
  };
}

/** Few impairments at a time reach further than all of them: each then happens often, and nothing hides it. */
function randomImpairments(random: Random): ReadonlyMap<Impairment, number> {
  const share = oneOf(random, [0.1, 0.25, 0.5]);
  const chosen = IMPAIRMENTS.filter(() => random() < share);
  const impairments = new Map(chosen.map((impairment) => [impairment, (MOST[impairment] ?? 0.05) * random()]));
  if (impairments.has('late') && random() < 0.1) impairments.set('late', 0.9);
  return impairments;
}

function randomControls(random: Random, call: number, endUs: number): TimedStep[] {
  const controls: TimedStep[] = [];
  const anyTime = () => random() * endUs;
  for (let pauses = below(random, 4) - 1; pauses > 0; pauses--) {
    const atUs = anyTime();
    controls.push({ atUs, step: { does: 'pause', call } });
    const agoUs = random() < 0.5 ? 0 : below(random, 200_000);
    controls.push({ atUs: atUs + random() * 3_000_000, step: { does: 'resume', call, agoUs } });
  }
  if (random() < 0.2) controls.push({ atUs: anyTime(), step: { does: 'interrupt', call } });
  if (random() < 0.2) controls.push({ atUs: anyTime(), step: { does: 'end', call } });
  return controls;
}

/** Puts what happens at points in time into turns of an event loop, with reads, timers and shards in between. */
class Turns {
  readonly #random: Random;
  readonly #shards: number;
  readonly #connections: number;
  readonly #isSerial: boolean;
  /** How long a turn takes, how often the timer fires, how often a read is cut, how often a shard takes its records. */
  readonly #turnUs: number;
  readonly #timerUs: number;
  readonly #cuts: number;
  readonly #takes: number;
  readonly #steps: Step[] = [];
  /** By shard: turns in which it does nothing. */
  readonly #stuck: number[];

  constructor(random: Random, { shards }: PathSizes, isSerial: boolean, connections: number) {
    this.#random = random;
    this.#isSerial = isSerial;
    this.#shards = shards;
    this.#connections = connections;
    this.#turnUs = oneOf(random, [0, 1000, 1000, 5000, 40_000]);
    this.#timerUs = oneOf(random, [1000, 5000, 20_000]);
    this.#cuts = oneOf(random, [0, 0.1, 0.7]);
    this.#takes = oneOf(random, [0.1, 0.5, 1]);
    this.#stuck = new Array<number>(shards).fill(0);
  }

  steps(timed: readonly TimedStep[]): Step[] {
    let nowUs = 0;
    for (let next = 0; next < timed.length; ) {
      const turnUs = Math.max(nowUs, timed[next]?.atUs ?? 0) + this.#random() * this.#turnUs;
      this.#wait(turnUs - nowUs);
      nowUs = turnUs;
      for (let at = timed[next]; at !== undefined && at.atUs <= turnUs; at = timed[++next]) {
        this.#steps.push(at.step);
        if (this.#isSerial) this.#endTurn();
      }
      this.#endTurn();
      for (let shard = 0; shard < this.#shards; shard++) this.#take(shard);
    }
    for (let connection = 0; connection < this.#connections; connection++)
      this.#steps.push({ does: 'read', connection, bytes: ALL });
    return this.#steps;
  }

  #endTurn(): void {
    for (let connection = 0; connection < this.#connections; connection++) this.#read(connection);
    this.#steps.push({ does: 'turn' });
  }

  #wait(us: number): void {
    for (let ticks = Math.min(MOST_TICKS, Math.ceil(us / this.#timerUs)); us > 0 && ticks > 0; ticks--) {
      const part = ticks === 1 ? us : us / ticks;
      this.#steps.push({ does: 'wait', us: part });
      us -= part;
    }
  }

  #read(connection: number): void {
    const random = this.#random;
    while (random() < this.#cuts) this.#steps.push({ does: 'read', connection, bytes: below(random, 700) });
    // What is left is read in a later turn, behind more.
    if (random() < 0.9) this.#steps.push({ does: 'read', connection, bytes: ALL });
  }

  #take(shard: number): void {
    const random = this.#random;
    if (random() < 0.003) this.#stuck[shard] = below(random, 400);
    const stuck = this.#stuck[shard] ?? 0;
    this.#stuck[shard] = Math.max(0, stuck - 1);
    if (stuck > 0 || random() >= this.#takes) return;
    this.#steps.push({ does: 'take', shard, records: ALL });
  }
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[below(random, values.length)] as T;
}

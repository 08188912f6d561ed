import type { ReceptionCounts } from '../core/events.js';
import { US_PER_MS, US_PER_SECOND } from '../core/units.js';
import { PacketInput } from '../engine/input/packet-input.js';
import { type EngineOptions, resolveOptions } from '../engine/options.js';
import { Streams } from '../engine/streams.js';
import { layOutMemory } from '../engine/threads/memory.js';
import { FLAG, KIND, RECORD } from '../ring/layout.js';
import { RingConsumer } from '../ring/ring.js';
import { formatOf, type Trace, type TracePacket } from './trace.js';

/** What a jitter buffer made of a trace. Delays in milliseconds. */
export interface LiveResult {
  readonly counts: ReceptionCounts;
  /** From the timestamp to the release, over the path of the fastest packet, of every packet released. */
  readonly delays: readonly number[];
  /** From arrival to release: what the buffer itself adds. Of the same packets. */
  readonly added: readonly number[];
  /** Length of what the live line conceals, in milliseconds. */
  readonly concealedMillis: number;
}

export type JitterSettings = Pick<
  EngineOptions,
  'playoutDelay' | 'playoutDelayMs' | 'minPlayoutDelayMs' | 'maxPlayoutDelayMs'
>;

/** When the last packet has arrived, the buffer has this long to release what it holds. */
const SETTLE_US = 3 * US_PER_SECOND;

/**
 * Plays a trace into the engine's input (jitter buffer, time line, input ring) in virtual time, and looks at what comes
 * out of the ring. Each packet is taken in at its arrival, and what is due is released at that very moment; a running
 * engine does so once a millisecond, as its timer goes.
 *
 * @param fromSeconds delays of packets that arrive earlier are left out.
 */
export function playLive(trace: Trace, settings: JitterSettings, fromSeconds = 0): LiveResult {
  const player = new Player(trace, settings);
  for (const packet of trace.packets) {
    player.advanceTo(packet.arrivalUs);
    player.insert(packet);
  }
  return player.finish(fromSeconds);
}

interface Release {
  readonly arrivalUs: number;
  readonly mediaUs: number;
  readonly releaseUs: number;
  /** Runs on from packet to packet as long as their timestamps can be compared. */
  readonly section: number;
}

class Player {
  readonly #input: PacketInput;
  readonly #stream: ReturnType<Streams['open']>;
  readonly #ring: RingConsumer;
  readonly #usPerTick: number;
  readonly #releases: Release[] = [];
  #section = 0;
  #concealedTicks = 0;
  #nowUs = 0;

  constructor(trace: Trace, options: JitterSettings) {
    const settings = resolveOptions({ ...options, shards: 1, maxStreams: 1 });
    const memory = layOutMemory(settings.memory);
    const streams = new Streams(1, 1);
    this.#stream = streams.open('trace', formatOf(trace), false, 0);
    this.#input = new PacketInput(memory, settings, streams, { wake: () => {}, onPublished: () => {} });
    this.#ring = new RingConsumer((memory.shards as [(typeof memory.shards)[number]])[0].input);
    this.#usPerTick = US_PER_SECOND / trace.clockRate;
    this.#input.open(this.#stream);
  }

  /** Releases what falls due up to `untilUs`, each packet at its time. */
  advanceTo(untilUs: number): void {
    for (let dueUs = this.#input.dueUs(); dueUs <= untilUs; dueUs = this.#input.dueUs()) {
      this.#nowUs = Math.max(this.#nowUs, dueUs);
      this.#input.advance(this.#nowUs);
      this.#drain();
    }
    this.#nowUs = Math.max(this.#nowUs, untilUs);
  }

  insert({ arrivalUs, sequence, timestamp, marker, payload }: TracePacket): void {
    const { batch } = this.#input;
    const at = batch.claim(payload.length);
    // A packet for which there is no memory is counted by the arena.
    if (at < 0) return;
    batch.bytes.set(payload, at);
    const { columns, row } = batch;
    columns.channel[row] = 0;
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = arrivalUs;
    columns.flags[row] = marker ? FLAG.MARKER : 0;
    columns.payloadOffset[row] = at;
    columns.payloadLength[row] = payload.length;
    batch.add(1);
    this.#input.insert();
  }

  finish(fromSeconds: number): LiveResult {
    this.advanceTo(this.#nowUs + SETTLE_US);
    this.#input.flush(this.#stream, this.#nowUs);
    this.#input.advance(this.#nowUs);
    this.#drain();
    const fromUs = fromSeconds * US_PER_SECOND;
    const chosen = this.#releases.filter(({ arrivalUs }) => arrivalUs >= fromUs);
    const fastestUs = this.#fastestUs();
    return {
      counts: this.#input.countsOf(this.#stream),
      delays: chosen.map(
        ({ releaseUs, mediaUs, section }) => (releaseUs - mediaUs - (fastestUs[section] ?? 0)) / US_PER_MS,
      ),
      added: chosen.map(({ releaseUs, arrivalUs }) => (releaseUs - arrivalUs) / US_PER_MS),
      concealedMillis: (this.#concealedTicks * this.#usPerTick) / US_PER_MS,
    };
  }

  /** By section: arrival less timestamp of the fastest packet. */
  #fastestUs(): number[] {
    const fastest: number[] = [];
    for (const { arrivalUs, mediaUs, section } of this.#releases) {
      fastest[section] = Math.min(fastest[section] ?? Number.POSITIVE_INFINITY, arrivalUs - mediaUs);
    }
    return fastest;
  }

  #drain(): void {
    const { view } = this.#ring;
    for (let at = this.#ring.peek(); at >= 0; at = this.#ring.peek()) {
      const kind = view.getUint8(at + RECORD.KIND);
      if (kind === KIND.LOST) this.#concealedTicks += view.getInt32(at + RECORD.DURATION, true);
      if (kind === KIND.PACKET) {
        const isJump = (view.getUint8(at + RECORD.FLAGS) & FLAG.DISCONTINUITY) !== 0;
        if (isJump && this.#releases.length > 0) this.#section++;
        this.#releases.push({
          arrivalUs: view.getFloat64(at + RECORD.ARRIVAL_US, true),
          mediaUs: view.getFloat64(at + RECORD.TIMESTAMP, true) * this.#usPerTick,
          releaseUs: this.#nowUs,
          section: this.#section,
        });
      }
      this.#ring.release();
    }
  }
}

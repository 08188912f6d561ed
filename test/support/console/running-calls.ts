import type { EndReason } from '../../../src/core/events.js';
import type { HealthCheck } from '../../../src/core/health.js';
import { US_PER_MS, US_PER_SECOND } from '../../../src/core/units.js';
import { CLAIM } from '../../../src/engine/input/ingest.js';
import type { Source, SourceContext, SourceInteraction } from '../../../src/sources/source.js';

const SAMPLES = 160;
const TICK_MS = 20;

interface Call {
  readonly id: string;
  readonly stream: number;
  /** Ticks from one packet to the next. */
  readonly every: number;
  /** Of the first packet, so that not all calls send at the same tick. */
  readonly phase: number;
  packets: number;
  startUs: number;
}

interface ExactCall {
  readonly stream: number;
  readonly pcm: (block: number, channel: number) => Uint8Array;
  blocks: number;
}

/**
 * Calls by the thousands within the process of the test. Most send a packet now and then, as a line does with discontinuous
 * transmission, so that two thousand of them cost little; the engine, the table and the levels are those of any source.
 */
export class RunningCalls implements Source {
  readonly name: string;
  readonly kind = 'test';
  /** What it says of its health. */
  checks: readonly HealthCheck[] = [];
  readonly #calls = new Map<string, Call>();
  readonly #exact = new Map<string, ExactCall>();
  #context: SourceContext | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;

  constructor(name = 'calls') {
    this.name = name;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** A call of two channels in µ-law, with a packet of 20 ms each `every` ticks of 20 ms. */
  open(id: string, every = 1): void {
    const { ingest, clock } = this.#running;
    const stream = ingest.openStream(id, { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 });
    const phase = this.#calls.size % every;
    this.#calls.set(id, { id, stream, every, phase, packets: 0, startUs: clock.nowUs() });
  }

  /** A call whose samples arrive exactly as `pcm` gives them, in blocks of 20 ms by channel; none is ever lost. */
  openExact(id: string, pcm: (block: number, channel: number) => Uint8Array): void {
    const format = { codec: 'l16', l16Order: 'little', clockRate: 8000, sampleRate: 8000, channels: 2 } as const;
    const stream = this.#running.ingest.openStream(id, format, { ordered: true });
    this.#exact.set(id, { stream, pcm, blocks: 0 });
  }

  end(id: string, reason: EndReason = 'ended'): boolean {
    const stream = this.#calls.get(id)?.stream ?? this.#exact.get(id)?.stream;
    if (stream === undefined) return false;
    this.#running.ingest.endStream(stream, reason);
    this.#calls.delete(id);
    this.#exact.delete(id);
    return true;
  }

  pause(id: string): boolean {
    const call = this.#calls.get(id);
    if (call === undefined) return false;
    this.#running.ingest.pauseStream(call.stream);
    this.#running.paused({ interactionId: id, paused: true, by: 'operator' });
    return true;
  }

  resume(id: string): boolean {
    const call = this.#calls.get(id);
    if (call === undefined) return false;
    this.#running.ingest.resumeStream(call.stream, this.#running.clock.nowUs());
    this.#running.paused({ interactionId: id, paused: false, by: 'operator' });
    return true;
  }

  interactions(): SourceInteraction[] {
    const ids = [...this.#calls.keys(), ...this.#exact.keys()];
    return ids.map((interactionId) => ({ interactionId, state: 'streaming' }));
  }

  health(): readonly HealthCheck[] {
    return this.checks;
  }

  /** Logs a warning about a call. */
  warn(interactionId: string, message: string): void {
    this.#running.logger.warn({ interactionId }, message);
  }

  status(): object {
    return { calls: this.#calls.size + this.#exact.size };
  }

  async drain(): Promise<void> {}

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const id of [...this.#calls.keys(), ...this.#exact.keys()]) this.end(id, 'stopped');
  }

  get #running(): SourceContext {
    if (this.#context === undefined) throw new Error('The source has not been started.');
    return this.#context;
  }

  #tick(): void {
    this.#ticks++;
    for (const call of this.#calls.values()) {
      if (this.#ticks % call.every !== call.phase % call.every) continue;
      for (const channel of [0, 1]) this.#push(call, channel);
      call.packets++;
    }
    this.#running.ingest.submit();
    for (const call of this.#exact.values()) this.#pushExact(call);
    this.#running.ingest.ordered.publish();
  }

  #push(call: Call, channel: number): void {
    const { ingest, clock } = this.#running;
    const { batch } = ingest;
    const offset = batch.claim(SAMPLES);
    if (offset < 0) return;
    const nowUs = clock.nowUs();
    const { columns, row } = batch;
    fill(batch.bytes, offset, call, channel);
    columns.channel[row] = call.stream * 2 + channel;
    columns.wireSequence[row] = call.packets;
    // A jump of the timestamps without one of the sequence numbers is silence that was not sent (RFC 3551, 4.1).
    columns.wireTimestamp[row] = Math.round(((nowUs - call.startUs) * 8_000) / US_PER_SECOND);
    columns.arrivalUs[row] = nowUs;
    columns.flags[row] = 0;
    columns.payloadOffset[row] = offset;
    columns.payloadLength[row] = SAMPLES;
    batch.add(1);
  }

  #pushExact(call: ExactCall): void {
    const { ordered } = this.#running.ingest;
    if (ordered.claim(call.stream, SAMPLES * 2) !== CLAIM.GIVEN) return;
    for (const channel of [0, 1]) ordered.bytes.set(call.pcm(call.blocks, channel), ordered.at[channel] ?? 0);
    ordered.commit(call.blocks, call.blocks * SAMPLES, this.#running.clock.nowUs());
    call.blocks++;
  }
}

const LOUD = 0x9f;
const QUIET = 0xfe;
const TALK_US = 1_500 * US_PER_MS;

/** The two channels take turns. */
function fill(bytes: Uint8Array, offset: number, call: Call, channel: number): void {
  const turn = Math.floor((call.packets * call.every * TICK_MS * US_PER_MS) / TALK_US + call.phase / 7) % 3;
  const speaks = turn === channel;
  for (let at = 0; at < SAMPLES; at++) {
    const code = speaks ? LOUD + ((at * 7 + call.packets) % 16) : QUIET;
    // The sign is the highest bit of µ-law.
    bytes[offset + at] = at % 2 === 0 ? code & 0x7f : code;
  }
}

import type { Logger } from '../../../src/core/logger.js';
import type { AddedInteraction, Source, SourceContext, SourceInteraction } from '../../../src/sources/source.js';
import { addPacket } from '../engine/packets.js';

const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000 } as const;
const SAMPLES = 160;

interface Call {
  readonly stream: number;
  readonly channels: 1 | 2;
  sequence: number;
  /** Of the next packet. */
  timestamp: number;
}

/** A source whose calls a test opens, feeds and ends by hand. */
export class TestCalls implements Source {
  readonly name: string;
  readonly kind = 'test';
  readonly #calls = new Map<string, Call>();
  #context: SourceContext | undefined;

  constructor(name = 'calls') {
    this.name = name;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
  }

  get #running(): SourceContext {
    if (this.#context === undefined) throw new Error('The source has not been started.');
    return this.#context;
  }

  /** Logs as a source does. */
  log(write: (logger: Logger) => void): void {
    write(this.#running.logger);
  }

  open(id: string, channels: 1 | 2 = 1): void {
    const stream = this.#running.ingest.openStream(id, { ...FORMAT, channels });
    this.#calls.set(id, { stream, channels, sequence: 0, timestamp: 0 });
  }

  /** `count` packets of 20 ms on each channel: speech by default, or digital silence. */
  push(id: string, count: number, code = 0x90): void {
    const payload = new Uint8Array(SAMPLES).fill(code);
    for (let n = 0; n < count; n++) this.#push(id, () => payload);
    this.#running.ingest.submit();
  }

  /** G.711 µ-law for each channel, cut into packets of 20 ms. */
  send(id: string, ...channels: readonly Uint8Array[]): void {
    const length = Math.max(...channels.map((codes) => codes.length));
    for (let at = 0; at < length; at += SAMPLES) {
      this.#push(id, (channel) => channels[channel]?.subarray(at, at + SAMPLES) ?? new Uint8Array(0));
    }
    this.#running.ingest.submit();
  }

  #push(id: string, payloadOf: (channel: number) => Uint8Array): void {
    const call = this.#of(id);
    const { ingest, clock } = this.#running;
    for (let channel = 0; channel < call.channels; channel++) {
      const payload = payloadOf(channel);
      if (payload.length === 0) continue;
      const { stream, sequence, timestamp } = call;
      addPacket(ingest.batch, { stream, channel, sequence, timestamp, arrivalUs: clock.nowUs(), payload });
    }
    call.sequence++;
    call.timestamp += SAMPLES;
  }

  /** The next `count` packets are lost. */
  skip(id: string, count: number): void {
    const call = this.#of(id);
    call.sequence += count;
    call.timestamp += count * SAMPLES;
  }

  /** The sender sends nothing for the time of `count` packets, and loses none. */
  gap(id: string, count: number): void {
    this.#of(id).timestamp += count * SAMPLES;
  }

  finish(id: string): void {
    this.#running.ingest.endStream(this.#of(id).stream, 'ended');
    this.#calls.delete(id);
  }

  pause(id: string): boolean {
    return this.#set(id, true);
  }

  resume(id: string): boolean {
    return this.#set(id, false);
  }

  *interactions(): IterableIterator<SourceInteraction> {
    for (const interactionId of this.#calls.keys()) yield { interactionId, state: 'streaming' };
  }

  status(): object {
    return { calls: this.#calls.size };
  }

  async drain(): Promise<void> {}
  async close(): Promise<void> {}

  protected has(id: string): boolean {
    return this.#calls.has(id);
  }

  #of(id: string): Call {
    const call = this.#calls.get(id);
    if (call === undefined) throw new Error(`There is no call ${id}.`);
    return call;
  }

  #set(id: string, paused: boolean): boolean {
    const call = this.#calls.get(id);
    if (call === undefined) return false;
    const { ingest, clock, paused: report } = this.#running;
    if (paused) ingest.pauseStream(call.stream);
    else ingest.resumeStream(call.stream, clock.nowUs());
    report({ interactionId: id, paused, by: 'operator' });
    return true;
  }
}

/** The same, of a kind that can end calls and be asked to capture others; those never bring a packet. */
export class TestSubscription extends TestCalls {
  readonly wanted: string[] = [];

  end(id: string): boolean {
    const at = this.wanted.indexOf(id);
    if (at >= 0) this.wanted.splice(at, 1);
    else if (this.has(id)) this.finish(id);
    else return false;
    return true;
  }

  async subscribe(ids: readonly string[]): Promise<readonly AddedInteraction[]> {
    this.wanted.push(...ids);
    return ids.map((interactionId) => ({ interactionId, availability: 'unchecked' }));
  }

  override *interactions(): IterableIterator<SourceInteraction> {
    yield* super.interactions();
    for (const interactionId of this.wanted) yield { interactionId, state: 'subscribing' };
  }
}

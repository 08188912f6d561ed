import type { StreamFormat } from '../core/codec.js';
import type { Channel, EndReason, MarkedState } from '../core/events.js';
import type { OrderedIngest, OrderedStreamIngest, StreamOptions } from '../engine/input/ingest.js';
import type { PacketBatch } from '../engine/input/packet-batch.js';

/** The engine as one source sees it: its streams bear the source's name. Packets do not pass through here. */
export class SourceIngest implements OrderedStreamIngest {
  readonly batch: PacketBatch;
  readonly ordered: OrderedIngest;
  readonly #engine: OrderedStreamIngest;
  readonly #source: string;

  constructor(engine: OrderedStreamIngest, source: string) {
    this.batch = engine.batch;
    this.ordered = engine.ordered;
    this.#engine = engine;
    this.#source = source;
  }

  openStream(interactionId: string, format: StreamFormat, options: StreamOptions = {}): number {
    return this.#engine.openStream(interactionId, format, { ...options, source: this.#source });
  }

  endStream(stream: number, reason: EndReason): void {
    this.#engine.endStream(stream, reason);
  }

  streamInterrupted(stream: number): void {
    this.#engine.streamInterrupted(stream);
  }

  markSpan(stream: number, channel: Channel | -1, state: MarkedState, start: number, length: number): void {
    this.#engine.markSpan(stream, channel, state, start, length);
  }

  pauseStream(stream: number): void {
    this.#engine.pauseStream(stream);
  }

  resumeStream(stream: number, fromUs: number): void {
    this.#engine.resumeStream(stream, fromUs);
  }

  submit(): void {
    this.#engine.submit();
  }
}

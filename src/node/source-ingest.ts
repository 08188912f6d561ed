import type { StreamFormat } from '../core/codec.js';
import type { Channel, EndReason, MarkedState } from '../core/events.js';
import type { OrderedIngest, OrderedStreamIngest, StreamOptions } from '../engine/input/ingest.js';
import type { PacketBatch } from '../engine/input/packet-batch.js';
import type { NodeAttributes } from './parts/node-attributes.js';

/** The engine as one source sees it: its streams bear the source's name. Packets do not pass through here. */
export class SourceIngest implements OrderedStreamIngest {
  readonly batch: PacketBatch;
  readonly ordered: OrderedIngest;
  readonly #engine: OrderedStreamIngest;
  readonly #source: string;
  readonly #attributes: NodeAttributes;

  constructor(engine: OrderedStreamIngest, source: string, attributes: NodeAttributes) {
    this.batch = engine.batch;
    this.ordered = engine.ordered;
    this.#engine = engine;
    this.#source = source;
    this.#attributes = attributes;
  }

  openStream(interactionId: string, format: StreamFormat, options: StreamOptions = {}): number {
    const { attributes: bySource, ...others } = options;
    if (bySource !== undefined) this.#attributes.bySource(interactionId, bySource);
    const attributes = this.#attributes.of(interactionId);
    return this.#engine.openStream(interactionId, format, {
      ...others,
      source: this.#source,
      ...(attributes && { attributes }),
    });
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

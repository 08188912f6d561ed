import type { StreamFormat } from '../../../src/core/codec.js';
import type { Source, SourceContext } from '../../../src/sources/source.js';

/** A source whose packets the test sends itself, as many and as fast as it likes. */
export class LiveCalls implements Source {
  readonly name = 'calls';
  readonly #streams = new Map<string, { stream: number; sequence: number }>();
  #context: SourceContext | undefined;

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
  }

  open(interactionId: string, format: Partial<StreamFormat> = {}): void {
    const stream = this.#ingest.openStream(interactionId, {
      ...{ codec: 'l16', clockRate: 8000, sampleRate: 8000, channels: 1 },
      ...format,
    });
    this.#streams.set(interactionId, { stream, sequence: 0 });
  }

  /** One packet a channel, with the next numbers. Samples are those of L16. */
  send(interactionId: string, ...channels: readonly Int16Array[]): void {
    const call = this.#streams.get(interactionId);
    if (call === undefined || this.#context === undefined) throw new Error(`${interactionId} is not open`);
    const { batch } = this.#ingest;
    for (const [channel, samples] of channels.entries()) {
      const payload = new Uint8Array(samples.length * 2);
      const view = new DataView(payload.buffer);
      for (const [i, sample] of samples.entries()) view.setInt16(2 * i, sample);
      const offset = batch.claim(payload.length);
      if (offset < 0) throw new Error('no memory is free for another packet');
      batch.bytes.set(payload, offset);
      const { columns, row } = batch;
      columns.channel[row] = call.stream * 2 + channel;
      columns.wireSequence[row] = call.sequence & 0xffff;
      columns.wireTimestamp[row] = call.sequence * samples.length;
      columns.arrivalUs[row] = this.#context.clock.nowUs();
      columns.flags[row] = 0;
      columns.payloadOffset[row] = offset;
      columns.payloadLength[row] = payload.length;
      batch.add(1);
    }
    call.sequence++;
    this.#ingest.submit();
  }

  end(interactionId: string): boolean {
    const call = this.#streams.get(interactionId);
    this.#streams.delete(interactionId);
    if (call !== undefined) this.#ingest.endStream(call.stream, 'ended');
    return call !== undefined;
  }

  async drain(): Promise<void> {}
  async close(): Promise<void> {}
  status(): object {
    return {};
  }

  pause(interactionId: string): boolean {
    const call = this.#streams.get(interactionId);
    if (call !== undefined) this.#ingest.pauseStream(call.stream);
    return call !== undefined;
  }

  resume(interactionId: string): boolean {
    const call = this.#streams.get(interactionId);
    if (call !== undefined) this.#ingest.resumeStream(call.stream, this.#context?.clock.nowUs() ?? 0);
    return call !== undefined;
  }

  get #ingest(): SourceContext['ingest'] {
    if (this.#context === undefined) throw new Error('The source has not been started.');
    return this.#context.ingest;
  }
}

import type { StreamFormat } from '../../../src/core/codec.js';
import { TrunklineError } from '../../../src/core/errors.js';
import type { EndReason } from '../../../src/core/events.js';
import type { StreamIngest, StreamOptions } from '../../../src/engine/input/ingest.js';
import { PayloadArena } from '../../../src/engine/input/payload-arena.js';
import { LooseBatch } from '../engine/packets.js';

export interface TakenPacket {
  readonly stream: number;
  readonly channel: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: string;
}

/** An engine that only keeps ledger, with a real batch over a real arena. */
export class FakeIngest implements StreamIngest {
  readonly batch: LooseBatch;
  readonly packets: TakenPacket[] = [];
  readonly opened: { id: string; format: StreamFormat }[] = [];
  readonly ended: { id: string; reason: EndReason }[] = [];
  readonly interrupted: string[] = [];
  /** Streams that another one continues in another format. */
  readonly continued: number[] = [];
  readonly pauses: ['pause' | 'resume', string][] = [];
  refuse: Error | undefined;
  submits = 0;
  readonly #arena: PayloadArena;
  readonly #endedStreams = new Set<number>();

  constructor(arenaBytes = 1 << 16) {
    this.#arena = new PayloadArena(new SharedArrayBuffer(arenaBytes), 0, arenaBytes);
    this.batch = new LooseBatch(this.#arena, () => this.#take());
  }

  openStream(id: string, format: StreamFormat, { continues = -1 }: StreamOptions = {}): number {
    if (continues >= 0) {
      this.continued.push(continues);
      this.endStream(continues, 'formatChanged');
    }
    if (this.refuse !== undefined) throw this.refuse;
    if (this.opened.some((one, stream) => one.id === id && this.#isOpen(stream))) {
      throw new TrunklineError('STREAM_EXISTS', `A stream of ${id} is open.`);
    }
    return this.opened.push({ id, format }) - 1;
  }

  endStream(stream: number, reason: EndReason): void {
    if (!this.#isOpen(stream)) return;
    this.#take();
    this.#endedStreams.add(stream);
    this.ended.push({ id: this.idOf(stream), reason });
  }

  streamInterrupted(stream: number): void {
    if (this.#isOpen(stream)) this.interrupted.push(this.idOf(stream));
  }

  markSpan(): void {
    throw new Error('the media subscription has no ordered streams');
  }

  pauseStream(stream: number): void {
    if (this.#isOpen(stream)) this.pauses.push(['pause', this.idOf(stream)]);
  }

  resumeStream(stream: number): void {
    if (this.#isOpen(stream)) this.pauses.push(['resume', this.idOf(stream)]);
  }

  submit(): void {
    this.submits++;
    this.#take();
  }

  #isOpen(stream: number): boolean {
    return this.opened[stream] !== undefined && !this.#endedStreams.has(stream);
  }

  #take(): void {
    this.batch.takeRows((columns, row) => {
      const channel = columns.channel[row] as number;
      // A test that opens no streams at all numbers them by itself.
      if (this.opened.length > 0 && !this.#isOpen(channel >> 1)) return;
      const at = columns.payloadOffset[row] as number;
      this.packets.push({
        stream: channel >> 1,
        channel: channel & 1,
        sequence: columns.wireSequence[row] as number,
        timestamp: columns.wireTimestamp[row] as number,
        payload: this.batch.bytes.toString('hex', at, at + (columns.payloadLength[row] as number)),
      });
    });
    this.#arena.releaseTo(-1);
  }

  /** Claims that were refused. */
  get refused(): number {
    return this.#arena.refused;
  }

  idOf(stream: number): string {
    return this.opened[stream]?.id ?? `no stream ${stream}`;
  }

  sequencesOf(id: string): number[] {
    return this.packets.filter(({ stream }) => this.idOf(stream) === id).map(({ sequence }) => sequence);
  }
}

import type { StreamFormat } from '../../../src/core/codec.js';
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
    return this.opened.push({ id, format }) - 1;
  }

  endStream(stream: number, reason: EndReason): void {
    this.ended.push({ id: this.idOf(stream), reason });
  }

  streamInterrupted(stream: number): void {
    this.interrupted.push(this.idOf(stream));
  }

  markSpan(): void {
    throw new Error('the media subscription has no ordered streams');
  }

  pauseStream(stream: number): void {
    this.pauses.push(['pause', this.idOf(stream)]);
  }

  resumeStream(stream: number): void {
    this.pauses.push(['resume', this.idOf(stream)]);
  }

  submit(): void {
    this.submits++;
    this.#take();
  }

  #take(): void {
    this.batch.takeRows((columns, row) => {
      const channel = columns.channel[row] as number;
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

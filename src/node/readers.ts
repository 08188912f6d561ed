import { abortable, rejected } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import type { FrameSink, StreamInfo } from '../core/events.js';
import type { LiveUtterance } from '../core/media/live-utterance.js';
import type { MediaChunk } from '../core/media/media-chunk.js';
import type { Utterance } from '../core/media/utterance.js';
import type { Engine } from '../engine/engine.js';
import {
  type AttachedQueue,
  type AudioFrame,
  type ChunkOptions,
  chunkQueue,
  type FrameOptions,
  type FrameQueue,
  frameQueue,
  type UtteranceOptions,
  utteranceQueue,
} from '../engine/output/frame-queue.js';
import { type LiveUtteranceOptions, liveUtteranceQueue } from '../engine/output/live-utterances.js';
import { type ListenOptions, ListenStream } from '../sinks/monitor/listen-stream.js';
import { Listeners } from '../sinks/monitor/listeners.js';
import { type MonitorOptions, MonitorStream } from '../sinks/monitor/monitor-stream.js';

type Queue =
  | AttachedQueue<MediaChunk>
  | AttachedQueue<AudioFrame>
  | AttachedQueue<Utterance>
  | AttachedQueue<LiveUtterance>;

/** The live readers of a node: streams and queues that are attached to its engine until they are closed. */
export class Readers {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #listeners: Listeners;
  readonly #monitors = new Set<MonitorStream>();
  readonly #queues = new Set<Queue>();
  /** Frames that readers were too slow for which have gone since. */
  #droppedBefore = 0;
  #isClosed = false;

  constructor(engine: Engine, clock: Clock, onFault: (thrown: unknown) => void) {
    this.#engine = engine;
    this.#clock = clock;
    this.#listeners = new Listeners(clock, onFault);
  }

  /** Frames that readers were too slow for. */
  get dropped(): number {
    let dropped = this.#droppedBefore;
    for (const reader of [...this.#monitors, ...this.#queues]) dropped += reader.droppedFrames;
    return dropped;
  }

  chunks(options: ChunkOptions): FrameQueue<MediaChunk> {
    return this.#attach(chunkQueue(options, (queue) => this.#detach(queue)));
  }

  frames(options: FrameOptions): FrameQueue<AudioFrame> {
    return this.#attach(frameQueue(options, (queue) => this.#detach(queue)));
  }

  utterances(options: UtteranceOptions): FrameQueue<Utterance> {
    return this.#attach(utteranceQueue(options, (queue) => this.#detach(queue)));
  }

  liveUtterances(options: LiveUtteranceOptions): FrameQueue<LiveUtterance> {
    return this.#attach(liveUtteranceQueue(options, (queue) => this.#detach(queue)));
  }

  monitor(options: MonitorOptions): MonitorStream {
    const monitor = new MonitorStream(options);
    this.#engine.addSink(monitor);
    this.#monitors.add(monitor);
    monitor.once('close', () => {
      this.#engine.removeSink(monitor);
      if (this.#monitors.delete(monitor)) this.#droppedBefore += monitor.droppedFrames;
    });
    if (this.#isClosed) monitor.push(null);
    return monitor;
  }

  /** @throws TrunklineError STREAM_UNKNOWN when the interaction is not being captured. */
  listen(interactionId: string, { realTime = false }: ListenOptions): ListenStream {
    const info = this.#engine.find(interactionId);
    if (info === undefined) {
      throw new TrunklineError(
        'STREAM_UNKNOWN',
        `Interaction ${interactionId} is not being captured; listen after its streamOpened event.`,
      );
    }
    const stream = new ListenStream(info, realTime ? { clock: this.#clock } : {});
    this.#listeners.add(stream);
    if (this.#listeners.count === 1) this.#engine.addSink(this.#listeners);
    else this.#engine.refreshWants();
    stream.once('close', () => this.#unlisten(stream));
    return stream;
  }

  /**
   * The stream of an interaction, as soon as it is open.
   * @throws TrunklineError ENGINE_CLOSED when `closed` aborts first; the reason of `signal` when that does.
   */
  async waitForStream(interactionId: string, closed: AbortSignal, signal?: AbortSignal): Promise<StreamInfo> {
    signal?.throwIfAborted();
    const known = this.#engine.find(interactionId);
    if (known !== undefined) return known;
    let sink: FrameSink = {};
    const opened = new Promise<StreamInfo>((resolve) => {
      sink = { streamOpened: (info) => (info.interactionId === interactionId ? resolve(info) : undefined) };
    });
    this.#engine.addSink(sink);
    try {
      const closing = rejected(
        closed,
        () =>
          new TrunklineError('ENGINE_CLOSED', `The node was closed before interaction ${interactionId} had a stream.`),
      );
      return await abortable(Promise.race([opened, closing]), signal);
    } finally {
      this.#engine.removeSink(sink);
    }
  }

  /** Ends monitors and queues, behind what they hold. */
  close(): void {
    this.#isClosed = true;
    for (const monitor of this.#monitors) monitor.push(null);
    for (const queue of this.#queues) queue.end();
  }

  #unlisten(stream: ListenStream): void {
    this.#listeners.remove(stream);
    if (this.#listeners.count === 0) this.#engine.removeSink(this.#listeners);
    else this.#engine.refreshWants();
  }

  #attach<Attached extends Queue>(queue: Attached): Attached {
    this.#queues.add(queue);
    this.#engine.addSink(queue);
    if (this.#isClosed) queue.end();
    return queue;
  }

  #detach(queue: Queue): void {
    this.#engine.removeSink(queue);
    if (this.#queues.delete(queue)) this.#droppedBefore += queue.droppedFrames;
  }
}

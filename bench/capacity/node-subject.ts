import type { FrameSink, FrameView, StreamInfo } from '../../src/core/events.js';
import type { AudioNode } from '../../src/node/audio-node.js';
import type { SinkStats } from '../../src/sinks/sink.js';
import { interactionIds, type Load } from './load/plan.js';
import { LatencyMeter } from './processes/latency.js';
import type { Losses } from './processes/messages.js';
import type { Subject } from './roles.js';

/** How the frames that a node delivers stand to the packets of the load. */
export interface FramePlaces {
  /** Tick of the packet that a frame came in, or that its end came in. */
  tick(index: number, frame: FrameView): number;
  /** How much of that packet the frame is. */
  share(frame: FrameView): number;
  /** Packets of the engine, which knows one channel at a time, to one of the load. */
  readonly enginePackets: number;
}

/** Watches what the node delivers. What was made up in place of a packet is no delivery. */
class LatencySink implements FrameSink {
  readonly #meter: LatencyMeter;
  readonly #places: FramePlaces;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #indexOfStream: Int32Array;

  constructor(meter: LatencyMeter, places: FramePlaces, { streams }: Load) {
    this.#meter = meter;
    this.#places = places;
    this.#indexOf = new Map(interactionIds(streams).map((id, index) => [id, index]));
    this.#indexOfStream = new Int32Array(Math.max(streams, 16));
  }

  streamOpened(info: StreamInfo): void {
    this.#indexOfStream[info.stream] = this.#indexOf.get(info.interactionId) ?? 0;
  }

  frame(frame: FrameView): void {
    if (frame.concealed) return;
    const index = this.#indexOfStream[frame.info.stream] as number;
    const places = this.#places;
    const tick = places.tick(index, frame);
    // The node's own stamp, some microseconds old at most: a reading of the clock would be charged to the node as well.
    this.#meter.packet(index, tick, places.share(frame), frame.processedUs, frame.deliveredUs);
  }
}

type RecordingNode = AudioNode & { recorderCounters(): SinkStats | undefined };

/** The node under test. What starts and stops it, and which counters its source has, is the source's. */
export abstract class NodeSubject<Node extends RecordingNode> implements Subject {
  readonly meter = new LatencyMeter();
  protected readonly node: Node;
  readonly #places: FramePlaces;
  #errors = 0;

  constructor(node: Node, load: Load, places: FramePlaces) {
    this.node = node;
    this.#places = places;
    void node.addSink(new LatencySink(this.meter, places, load));
    node.on('error', () => {
      this.#errors++;
    });
  }

  abstract start(): Promise<string | undefined>;
  abstract stop(): Promise<void>;
  protected abstract sourceLosses(): Readonly<Record<string, number>>;

  get backend(): string {
    return this.node.stats().backend;
  }

  get workers(): number {
    return this.node.stats().shards + (this.node.recorderCounters() === undefined ? 0 : 1);
  }

  packets(): number {
    return this.meter.packets;
  }

  losses(): Losses {
    const { packetsLost, packetsLate, packetsDuplicate, packetsDropped } = this.node.stats().counts;
    // Frames are what there should be; the decoder's own concealment shows among the lost.
    const { framesDecoded: _frames, ...engine } = this.node.stats().engine;
    return {
      known: (packetsLost + packetsDropped) / this.#places.enginePackets + engine.arenaFull,
      counters: {
        lost: packetsLost,
        late: packetsLate,
        duplicate: packetsDuplicate,
        ringFull: packetsDropped,
        ...engine,
        ...this.sourceLosses(),
        ...recorderLosses(this.node),
        errors: this.#errors,
      },
    };
  }
}

function recorderLosses(node: RecordingNode): Record<string, number> {
  const counters = node.recorderCounters();
  if (counters === undefined) return {};
  const { recordingsOpened, recordingsFinished, framesRecorded, bytesWritten, ...losses } = counters;
  return losses;
}

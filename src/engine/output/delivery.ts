import type { Clock } from '../../core/clock.js';
import type { FrameSink, FrameView, MarkedSpan, SilenceEdge, StreamInfo, StreamSummary } from '../../core/events.js';
import { FLAG, KIND, MARK, RECORD } from '../../ring/layout.js';
import { RingConsumer, type RingPlace } from '../../ring/ring.js';
import type { Streams } from '../streams.js';
import { RingFrameView } from './frame-view.js';

/** Records taken in one go before the event loop gets its turn. */
const SHARE = 4096;
/** Records between two readings of the clock, and for which room is given back at once: some 10 µs of work. */
const FEW = 16;

/** The last step on the main thread: from the output rings to the sinks, in order, each record seen once. */
export class Delivery {
  readonly #rings: readonly RingConsumer[];
  readonly #streams: Streams;
  readonly #clock: Clock;
  readonly #frame: RingFrameView;
  // End of the last frame of each lane: a frame that a dying worker had published but not ticked off comes twice.
  readonly #laneEnd: Float64Array;
  // Replaced, never changed: a sink may take itself away in the middle of a round.
  #sinks: readonly FrameSink[] = [];
  // Bound beforehand: to look the method up at every sink for every frame costs as much as some of them do with it.
  #frameTakers: readonly ((frame: FrameView) => void)[] = [];
  readonly #onEnded: (info: StreamInfo, summary: StreamSummary) => void;
  readonly #onSinkError: (thrown: unknown) => void;
  /** Frames that came twice because a worker died between publishing and releasing. */
  repeated = 0;
  /** True inside a sink's callback. */
  isDraining = false;

  constructor(
    rings: readonly RingPlace[],
    memory: SharedArrayBuffer,
    streams: Streams,
    maxStreams: number,
    clock: Clock,
    onEnded: (info: StreamInfo, summary: StreamSummary) => void,
    onSinkError: (thrown: unknown) => void,
  ) {
    this.#rings = rings.map((place) => new RingConsumer(place));
    this.#frame = new RingFrameView(memory);
    this.#streams = streams;
    this.#clock = clock;
    this.#laneEnd = new Float64Array(maxStreams * 2);
    this.#onEnded = onEnded;
    this.#onSinkError = onSinkError;
  }

  addSink(sink: FrameSink): void {
    this.#setSinks([...this.#sinks, sink]);
  }

  removeSink(sink: FrameSink): void {
    this.#setSinks(this.#sinks.filter((one) => one !== sink));
  }

  #setSinks(sinks: readonly FrameSink[]): void {
    this.#sinks = sinks;
    this.#frameTakers = sinks.flatMap((sink) => (sink.frame === undefined ? [] : [sink.frame.bind(sink)]));
  }

  get sinks(): readonly FrameSink[] {
    return this.#sinks;
  }

  isEmpty(): boolean {
    return this.#rings.every((ring) => ring.peek() < 0);
  }

  /** Hands on what the shards have put out; returns how many records, at most SHARE a ring. */
  drain(): number {
    // A listener that closes the engine, say, gets here again; the record at hand is not yet released.
    if (this.isDraining) return 0;
    this.isDraining = true;
    let done = 0;
    for (const ring of this.#rings) {
      for (let share = 0; share < SHARE; share++) {
        const at = ring.peek();
        if (at < 0) break;
        if (share % FEW === 0) {
          this.#frame.deliveredUs = this.#clock.nowUs();
          ring.giveBack();
        }
        this.#take(ring, at);
        ring.advance();
        done++;
      }
      ring.giveBack();
    }
    this.isDraining = false;
    return done;
  }

  #take(ring: RingConsumer, at: number): void {
    const { view } = ring;
    const stream = this.#streams.at(view.getInt32(at + RECORD.STREAM, true));
    if (stream === undefined) return;
    const { info } = stream;
    switch (view.getUint8(at + RECORD.KIND)) {
      case KIND.FRAME:
        this.#takeFrame(ring, at, info);
        break;
      case KIND.EDGE:
        this.#takeEdge(view, at, info);
        break;
      case KIND.OPEN:
        // One that comes again, after a worker's death, is not another stream.
        if (stream.isOpened || view.getFloat64(at + RECORD.GENERATION, true) !== stream.generation) return;
        stream.isOpened = true;
        this.#laneEnd.fill(0, info.stream * 2, info.stream * 2 + 2);
        for (const sink of this.#sinks) this.#tell(() => sink.streamOpened?.(info));
        break;
      case KIND.MARK:
        this.#takeMark(view, at, info);
        break;
      case KIND.CLOSE:
        // The index may by now belong to another stream.
        if (view.getFloat64(at + RECORD.GENERATION, true) === stream.generation) this.#takeClose(ring, at, info);
        break;
    }
  }

  #takeFrame(ring: RingConsumer, at: number, info: StreamInfo): void {
    const { view } = ring;
    const lane = info.stream * 2 + view.getUint8(at + RECORD.CHANNEL);
    const end = view.getFloat64(at + RECORD.POSITION, true) + view.getInt32(at + RECORD.SAMPLE_COUNT, true);
    if (end <= (this.#laneEnd[lane] as number)) {
      this.repeated++;
      return;
    }
    this.#laneEnd[lane] = end;
    const frame = this.#frame.show(at, info, ring.readableEnd());
    // Written out, for it is done for each frame: what one sink throws must not cost the others their frame.
    for (const take of this.#frameTakers) {
      try {
        take(frame);
      } catch (thrown) {
        this.#onSinkError(thrown);
      }
    }
  }

  #takeEdge(view: DataView, at: number, info: StreamInfo): void {
    const edge: SilenceEdge = {
      info,
      channel: view.getUint8(at + RECORD.CHANNEL) === 0 ? 0 : 1,
      silent: (view.getUint8(at + RECORD.FLAGS) & FLAG.SILENT) !== 0,
      positionSamples: view.getFloat64(at + RECORD.POSITION, true),
    };
    for (const sink of this.#sinks) this.#tell(() => sink.silenceEdge?.(edge));
  }

  #takeMark(view: DataView, at: number, info: StreamInfo): void {
    const span: MarkedSpan = {
      info,
      channel: view.getUint8(at + RECORD.CHANNEL) === 0 ? 0 : 1,
      state: view.getUint8(at + RECORD.FLAGS) === MARK.PAUSED ? 'paused' : 'discarded',
      startSamples: view.getFloat64(at + RECORD.POSITION, true),
      lengthSamples: view.getInt32(at + RECORD.DURATION, true),
    };
    for (const sink of this.#sinks) this.#tell(() => sink.markedSpan?.(span));
  }

  #takeClose(ring: RingConsumer, at: number, info: StreamInfo): void {
    const from = at + RECORD.OUTPUT_HEADER_BYTES;
    const json = Buffer.from(ring.bytes.slice(from, from + ring.view.getInt32(at + RECORD.PAYLOAD_LENGTH, true)));
    // Written by this process (Engine.endStream), so its shape is known.
    const summary = JSON.parse(json.toString('utf8')) as StreamSummary;
    for (const sink of this.#sinks) this.#tell(() => sink.streamEnded?.(info, summary));
    this.#onEnded(info, summary);
  }

  /** What one sink throws must not keep the others from being told. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#onSinkError(thrown);
    }
  }
}

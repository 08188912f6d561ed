import type { Clock } from '../../core/clock.js';
import { guard, guardResult } from '../../core/emitter.js';
import type { MarkedSpan, SilenceEdge, StreamInfo, StreamSummary } from '../../core/events.js';
import { RECORD as FIELDS, FLAG, KIND as KINDS, MARK, silenceKind } from '../../ring/layout.js';
import { RingConsumer, type RingPlace } from '../../ring/ring.js';
import type { Streams } from '../streams.js';
import { RingFrameView } from './frame-view.js';
import { SinkTable } from './sink-table.js';

/** Declared here, for the compiler: an import is looked up at each use. */
const [RECORD, KIND] = [FIELDS, KINDS];

/** Records of a ring that are delivered before the event loop continues. */
const SHARE = 4096;
/** Records between two readings of the clock, and that are given back to the ring at once: some 10 µs of work. */
const BATCH = 16;

/** The last step on the main thread: from the output rings to the sinks, in order, each record once. */
export class Delivery {
  readonly #rings: readonly RingConsumer[];
  readonly #streams: Streams;
  readonly #clock: Clock;
  readonly #frame: RingFrameView;
  // End of the last frame of each channel: a frame that a dying worker had published but not released comes twice.
  readonly #frameEnd: Float64Array;
  /** Which sinks there are, and what each of them takes. */
  readonly sinks: SinkTable;
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
    this.#frameEnd = new Float64Array(maxStreams * 2);
    this.sinks = new SinkTable(maxStreams);
    this.#onEnded = onEnded;
    this.#onSinkError = onSinkError;
  }

  isEmpty(): boolean {
    return this.#rings.every((ring) => ring.peek() < 0);
  }

  /** Delivers what the shards have put out; returns how many records it was, at most SHARE of each ring. */
  drain(): number {
    // Reached again when, for example, a listener closes the engine; the current record is not released yet.
    if (this.isDraining) return 0;
    this.isDraining = true;
    let done = 0;
    for (const ring of this.#rings) {
      for (let share = 0; share < SHARE; share++) {
        const at = ring.peek();
        if (at < 0) break;
        if (share % BATCH === 0) {
          this.#frame.deliveredUs = this.#clock.nowUs();
          ring.giveBack();
        }
        this.#take(ring, at);
        ring.advance();
        done++;
      }
      ring.giveBack();
    }
    if (done > 0) for (const end of this.sinks.batchEnds) guard(end, this.#onSinkError);
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
      case KIND.PRE_ROLL:
        this.#takePreRoll(ring, at, info);
        break;
      case KIND.EDGE:
        this.#takeEdge(view, at, info);
        break;
      case KIND.OPEN:
        // Repeated after a worker has died: not another stream.
        if (stream.isOpened || view.getFloat64(at + RECORD.GENERATION, true) !== stream.generation) return;
        stream.isOpened = true;
        this.#frameEnd.fill(0, info.stream * 2, info.stream * 2 + 2);
        for (const sink of this.sinks.sinks) guard(() => sink.streamOpened?.(info), this.#onSinkError);
        break;
      case KIND.UPDATE:
        if (!stream.isOpened || view.getFloat64(at + RECORD.GENERATION, true) !== stream.generation) return;
        for (const sink of this.sinks.sinks) guard(() => sink.attributesChanged?.(info), this.#onSinkError);
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
    const channel = info.stream * 2 + view.getUint8(at + RECORD.CHANNEL);
    const end = view.getFloat64(at + RECORD.POSITION, true) + view.getInt32(at + RECORD.SAMPLE_COUNT, true);
    if (end <= (this.#frameEnd[channel] as number)) {
      this.repeated++;
      return;
    }
    this.#frameEnd[channel] = end;
    const takers = this.sinks.framesOf(info.stream);
    if (takers.length > 0) this.#give(this.#frame.show(at, info, ring.readableEnd()), takers);
  }

  #takePreRoll(ring: RingConsumer, at: number, info: StreamInfo): void {
    const frame = this.#frame.show(at, info, ring.readableEnd());
    const speechSamples = frame.speechSamples;
    for (const take of this.sinks.preRolls) guard(() => take(frame, speechSamples), this.#onSinkError);
  }

  /** As guard(), without a closure for each value. What one sink throws must not cost the others theirs. */
  #give<Value>(value: Value, takers: readonly ((value: Value) => unknown)[]): void {
    for (const take of takers) {
      try {
        const result: unknown = take(value);
        if (result !== undefined) guardResult(result, this.#onSinkError);
      } catch (thrown) {
        this.#onSinkError(thrown);
      }
    }
  }

  #takeEdge(view: DataView, at: number, info: StreamInfo): void {
    const kind = silenceKind(view.getInt32(at + RECORD.SILENCE_KIND, true));
    const edge: SilenceEdge = {
      info,
      channel: view.getUint8(at + RECORD.CHANNEL) === 0 ? 0 : 1,
      silent: (view.getUint8(at + RECORD.FLAGS) & FLAG.SILENT) !== 0,
      ...(kind && { kind }),
      positionSamples: view.getFloat64(at + RECORD.POSITION, true),
    };
    this.#give(edge, this.sinks.edges);
  }

  #takeMark(view: DataView, at: number, info: StreamInfo): void {
    const span: MarkedSpan = {
      info,
      channel: view.getUint8(at + RECORD.CHANNEL) === 0 ? 0 : 1,
      state: stateOf(view.getUint8(at + RECORD.FLAGS)),
      startSamples: view.getFloat64(at + RECORD.POSITION, true),
      lengthSamples: view.getInt32(at + RECORD.DURATION, true),
    };
    this.#give(span, this.sinks.spans);
  }

  #takeClose(ring: RingConsumer, at: number, info: StreamInfo): void {
    const from = at + RECORD.OUTPUT_HEADER_BYTES;
    const json = Buffer.from(ring.bytes.slice(from, from + ring.view.getInt32(at + RECORD.PAYLOAD_LENGTH, true)));
    // Written by this process (Engine.endStream), so its shape is known.
    const summary = JSON.parse(json.toString('utf8')) as StreamSummary;
    for (const sink of this.sinks.sinks) guard(() => sink.streamEnded?.(info, summary), this.#onSinkError);
    this.#onEnded(info, summary);
  }
}

function stateOf(mark: number): MarkedSpan['state'] {
  if (mark === MARK.NOT_RECORDED) return 'lost';
  return mark === MARK.PAUSED ? 'paused' : 'discarded';
}

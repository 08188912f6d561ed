import type { FrameSink, FrameView, MarkedSpan, SilenceEdge, StreamInfo } from '../../core/events.js';

type Taker<Value extends unknown[]> = (...values: Value) => unknown;
export type FrameTaker = Taker<[frame: FrameView]>;

const NOBODY: readonly FrameTaker[] = [];

/**
 * The sinks, and for each stream those that take its frames. A sink is called for what it takes only, and its methods are
 * bound once: to look a method up at every sink for every frame costs as much as what some of them do.
 */
export class SinkTable {
  // All lists are replaced, never changed: a sink may remove itself while it is called.
  #sinks: readonly FrameSink[] = [];
  #frames: readonly { readonly sink: FrameSink; readonly take: FrameTaker }[] = [];
  /** By the index of a stream. */
  readonly #framesOf: (readonly FrameTaker[])[];
  batchEnds: readonly Taker<[]>[] = [];
  preRolls: readonly Taker<[frame: FrameView, speechSamples: number]>[] = [];
  edges: readonly Taker<[edge: SilenceEdge]>[] = [];
  spans: readonly Taker<[span: MarkedSpan]>[] = [];

  constructor(maxStreams: number) {
    this.#framesOf = new Array<readonly FrameTaker[]>(maxStreams).fill(NOBODY);
  }

  get sinks(): readonly FrameSink[] {
    return this.#sinks;
  }

  add(sink: FrameSink): void {
    this.#set([...this.#sinks, sink]);
  }

  remove(sink: FrameSink): void {
    this.#set(this.#sinks.filter((one) => one !== sink));
  }

  /** Asks the sinks again whether they take the frames of a stream. */
  refresh(info: StreamInfo): void {
    const takers = this.#frames.filter(({ sink }) => sink.takesFramesOf?.(info) ?? true).map(({ take }) => take);
    this.#framesOf[info.stream] = takers;
  }

  /** What takes the frames of the stream of an index. */
  framesOf(stream: number): readonly FrameTaker[] {
    return this.#framesOf[stream] ?? NOBODY;
  }

  #set(sinks: readonly FrameSink[]): void {
    this.#sinks = sinks;
    this.#frames = sinks.flatMap((sink) => (sink.frame === undefined ? [] : [{ sink, take: sink.frame.bind(sink) }]));
    this.batchEnds = sinks.flatMap((sink) => sink.batchEnd?.bind(sink) ?? []);
    this.preRolls = sinks.flatMap((sink) => sink.preRoll?.bind(sink) ?? []);
    this.edges = sinks.flatMap((sink) => sink.silenceEdge?.bind(sink) ?? []);
    this.spans = sinks.flatMap((sink) => sink.markedSpan?.bind(sink) ?? []);
  }
}

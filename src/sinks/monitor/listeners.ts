import type { Clock } from '../../core/clock.js';
import { guard } from '../../core/emitter.js';
import type { FrameSink, FrameView, PcmSelection, StreamInfo, StreamSummary } from '../../core/events.js';
import type { ListenStream } from './listen-stream.js';

const PACE_MS = 40;

/** All listeners of single streams as one sink, which gets the frames of these streams alone. */
export class Listeners implements FrameSink {
  readonly #clock: Clock;
  readonly #onFault: (thrown: unknown) => void;
  /** By the index of the stream. */
  readonly #byStream: (ListenStream[] | undefined)[] = [];
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onFault takes what a listener of one of the streams throws; the others get their frame. */
  constructor(clock: Clock, onFault: (thrown: unknown) => void) {
    this.#clock = clock;
    this.#onFault = onFault;
  }

  get count(): number {
    return this.#count;
  }

  add(listener: ListenStream): void {
    const index = listener.info.stream;
    this.#byStream[index] = [...(this.#byStream[index] ?? []), listener];
    this.#count++;
    this.#timer ??= setInterval(this.#keepPace, PACE_MS).unref();
  }

  remove(listener: ListenStream): void {
    const index = listener.info.stream;
    const before = this.#byStream[index] ?? [];
    const left = before.filter((one) => one !== listener);
    this.#count -= before.length - left.length;
    this.#byStream[index] = left.length === 0 ? undefined : left;
    if (this.#count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  takesFramesOf(info: StreamInfo): boolean {
    return this.#byStream[info.stream] !== undefined;
  }

  pcmSelection(info: StreamInfo): PcmSelection {
    const listeners = this.#byStream[info.stream] ?? [];
    return listeners.some((listener) => listener.pcmSelection(info) === 'all') ? 'all' : 'none';
  }

  frame(frame: FrameView): void {
    const listeners = this.#byStream[frame.info.stream];
    if (listeners === undefined) return;
    for (const listener of listeners) guard(() => listener.frame(frame), this.#onFault);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    for (const listener of this.#byStream[info.stream] ?? []) {
      guard(() => listener.streamEnded(info, summary), this.#onFault);
    }
  }

  readonly #keepPace = (): void => {
    const nowUs = this.#clock.nowUs();
    for (const listeners of this.#byStream) {
      for (const listener of listeners ?? []) guard(() => listener.keepPace(nowUs), this.#onFault);
    }
  };
}

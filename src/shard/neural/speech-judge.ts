import { clearVerdict, setVerdict, takeDoubt } from '../../audio/neural/fusion.js';
import { Silero } from '../../audio/neural/silero.js';
import { PACKED } from '../../audio/neural/silero-weights.js';
import { SpeechWindows } from '../../audio/neural/speech-windows.js';
import type { SampleMemory } from '../../audio/sample-memory.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { DETECTOR_ID } from '../../core/events.js';
import { US_PER_SECOND } from '../../core/units.js';
import { STREAM, type StreamTable } from '../../ring/stream-table.js';
import type { SpeechSettings } from '../shard-data.js';

const CHANNELS = 2;
/** Frames since then, without which it was the operating system that took the time. */
const BUSY_FRAMES = 256;
/** Audio that comes faster than this many times real time is read from somewhere, and may wait. */
const FASTER_THAN_LIVE = 2;

/** A channel's windows, and where it was when the shard began to be busy. */
interface JudgedChannel {
  readonly windows: SpeechWindows;
  readonly base: number;
  readonly sampleRate: number;
  isPending: boolean;
  /** The window was judged, and its verdict has not been taken yet. */
  isJudged: boolean;
  busyPeriod: number;
  busyFrom: number;
}

/**
 * The network of a shard and the windows of its `neural` channels. A window that is complete waits until the input ring
 * is empty, so that no frame waits for the network; at the latest it is judged when the next frame of its channel has
 * come. So decisions do not depend on when the shard finds the time, unless it is overloaded: when the ring has not been
 * empty for `busyUs` and 256 frames, and the channel's audio did not come faster than real time meanwhile, its window is passed over. The
 * bands decide then, and it is counted.
 */
export class SpeechJudge {
  readonly #streams: StreamTable;
  readonly #weights: Float32Array;
  readonly #busyUs: number;
  readonly #channels: (JudgedChannel | undefined)[];
  readonly #pending: JudgedChannel[] = [];
  #network: Silero | undefined;
  #isIdle = true;
  #busySinceUs = 0;
  #busyFrames = 0;
  #busyPeriod = 0;

  readonly #clock: Clock;

  constructor(
    memory: SharedArrayBuffer,
    streams: StreamTable,
    { weights, busyUs }: SpeechSettings,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.#streams = streams;
    this.#weights = new Float32Array(memory, weights, PACKED.length);
    this.#busyUs = busyUs;
    this.#channels = new Array<JudgedChannel | undefined>(streams.capacity * CHANNELS).fill(undefined);
  }

  open(stream: number): void {
    this.close(stream);
    if (this.#streams.get(stream, STREAM.DETECTOR) !== DETECTOR_ID.neural) return;
    this.#network ??= new Silero(this.#weights);
    const sampleRate = this.#streams.get(stream, STREAM.SAMPLE_RATE);
    for (let channel = 0; channel < this.#streams.get(stream, STREAM.CHANNELS); channel++) {
      this.#channels[stream * CHANNELS + channel] = {
        windows: new SpeechWindows(this.#weights, sampleRate),
        base: this.#streams.silenceBase(stream, channel),
        sampleRate,
        isPending: false,
        isJudged: false,
        busyPeriod: -1,
        busyFrom: 0,
      };
    }
  }

  close(stream: number): void {
    for (let index = stream * CHANNELS; index < (stream + 1) * CHANNELS; index++) {
      const channel = this.#channels[index];
      if (channel === undefined) continue;
      if (channel.isPending) this.#remove(channel);
      this.#channels[index] = undefined;
    }
  }

  /** Before a frame that begins at `position` is fed to the detector. True when a window was passed over. */
  settle(stream: number, channelIndex: number, position: number): boolean {
    const channel = this.#channels[stream * CHANNELS + channelIndex];
    if (channel === undefined) return false;
    if (this.#isIdle) {
      this.#isIdle = false;
      this.#busySinceUs = this.#clock.nowUs();
      this.#busyFrames = 0;
      this.#busyPeriod++;
    }
    this.#busyFrames++;
    if (channel.busyPeriod !== this.#busyPeriod) {
      channel.busyPeriod = this.#busyPeriod;
      channel.busyFrom = position;
    }
    if (!channel.isPending) {
      this.#takeVerdict(channel);
      return false;
    }
    this.#remove(channel);
    if (this.#isOverloaded(channel, position)) {
      clearVerdict(this.#streams.doubles, channel.base);
      return true;
    }
    this.#judge(channel);
    this.#takeVerdict(channel);
    return false;
  }

  /** After the frame of `count` samples from `pcm.samples[at]` on was fed, which begins at `position`. */
  add(stream: number, channelIndex: number, position: number, pcm: SampleMemory, at: number, count: number): void {
    const channel = this.#channels[stream * CHANNELS + channelIndex];
    if (channel === undefined) return;
    const { windows } = channel;
    windows.seek(position);
    for (let next = at; next < at + count; ) {
      next = windows.take(pcm, next, at + count);
      if (!windows.isComplete) return;
      // The window before, in a frame that is longer than one.
      if (channel.isPending) {
        this.#remove(channel);
        this.#judge(channel);
      }
      this.#takeVerdict(channel);
      const isInDoubt = takeDoubt(this.#streams.doubles, channel.base);
      windows.complete(isInDoubt);
      if (isInDoubt) {
        channel.isPending = true;
        this.#pending.push(channel);
      } else clearVerdict(this.#streams.doubles, channel.base);
    }
  }

  /** The input ring is empty: judges one window that waits. False when there is none. */
  work(): boolean {
    this.#isIdle = true;
    const channel = this.#pending.shift();
    if (channel === undefined) return false;
    channel.isPending = false;
    this.#judge(channel);
    return true;
  }

  #judge(channel: JudgedChannel): void {
    const { window } = channel.windows;
    window.logOdds = this.#network?.run(window.input, window.state) ?? 0;
    channel.isJudged = true;
  }

  #takeVerdict(channel: JudgedChannel): void {
    if (!channel.isJudged) return;
    channel.isJudged = false;
    setVerdict(this.#streams.doubles, channel.base, channel.windows.window.logOdds);
  }

  #remove(channel: JudgedChannel): void {
    channel.isPending = false;
    this.#pending.splice(this.#pending.indexOf(channel), 1);
  }

  #isOverloaded(channel: JudgedChannel, position: number): boolean {
    if (this.#busyFrames < BUSY_FRAMES) return false;
    const busyUs = this.#clock.nowUs() - this.#busySinceUs;
    if (busyUs < this.#busyUs) return false;
    const audioUs = ((position - channel.busyFrom) / channel.sampleRate) * US_PER_SECOND;
    return audioUs < FASTER_THAN_LIVE * busyUs;
  }
}

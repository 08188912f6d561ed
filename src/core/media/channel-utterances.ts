import type { Channel, FrameView, StreamInfo } from '../events.js';
import type { SpokenUtterance, UtteranceStart } from './live-utterance.js';
import type { Utterance, UtteranceAudioOptions, UtteranceEnd, UtteranceEvent } from './utterance.js';
import { type TapeBudget, UtteranceTape } from './utterance-tape.js';

/** Edges follow the frame that showed them, and lie at most so far back. */
const BACK_DATED_MS = 1_000;
/** An edge this close behind the last frame comes from the timer: packets have stopped, and there is no post-roll to wait for. */
const STOPPED_MS = 250;
/** Frames that are remembered in silence: more than a second of the shortest. */
const SILENT_FRAMES = 512;
const FIELDS = 4;
const FRAME = { START: 0, END: 1, MEAN_SQUARE: 2, PEAK: 3 } as const;
const NONE = -1;
const SILENCE_DBFS = -100;

/**
 * Called when an utterance, or a part of one, has begun. What it returns gets the audio while it is spoken; `Utterance.audio`
 * is empty then.
 */
export type UtteranceListener = (
  start: UtteranceStart,
  at: { readonly info: StreamInfo; readonly audioStartMs: number },
) => SpokenUtterance | undefined;

interface Ended {
  readonly from: number;
  readonly to: number;
  readonly end: UtteranceEnd;
  readonly part: number;
}

/** The utterances of one channel. Positions are in samples from the start of the stream. */
export class ChannelUtterances {
  readonly info: StreamInfo;
  readonly #channel: Channel;
  readonly #give: (utterance: Utterance) => void;
  readonly #min: number;
  readonly #max: number;
  readonly #preRoll: number;
  readonly #postRoll: number;
  readonly #backDated: number;
  readonly #stopped: number;
  readonly #tape: UtteranceTape | undefined;
  readonly #onStart: UtteranceListener | undefined;
  /** Gets the audio of what is being spoken, up to `#spokenTo` so far. */
  #spoken: SpokenUtterance | undefined;
  #spokenTo = 0;
  /** Start, end, mean square (−1 of a lost one) and peak of the latest frames. */
  readonly #frames: number[] = [];
  #from = NONE;
  #part = 1;
  /** Waits for its post-roll. */
  #ended: Ended | undefined;
  /** Where the audio of the last utterance ended. */
  #givenTo = 0;

  constructor(
    info: StreamInfo,
    channel: Channel,
    options: Required<UtteranceAudioOptions>,
    budget: TapeBudget | undefined,
    give: (utterance: Utterance) => void,
    onStart?: UtteranceListener,
  ) {
    const samples = (milliseconds: number) => Math.round((milliseconds * info.sampleRate) / 1000);
    this.info = info;
    this.#channel = channel;
    this.#give = give;
    this.#min = samples(options.minMs);
    this.#max = samples(options.maxMs);
    this.#preRoll = samples(options.preRollMs);
    this.#postRoll = budget === undefined ? 0 : samples(options.postRollMs);
    this.#backDated = samples(BACK_DATED_MS);
    this.#stopped = samples(STOPPED_MS);
    this.#onStart = onStart;
    this.#tape = budget && new UtteranceTape(budget);
  }

  frame(frame: FrameView): void {
    const { positionSamples: start, sampleCount, meanSquare, peak, lost } = frame;
    const end = start + sampleCount;
    this.#frames.push(start, end, lost ? -1 : meanSquare, lost ? 0 : peak);
    if (this.#tape?.append(frame, this.#backDated) === false) this.#outOfMemory();
    this.#passOn();
    if (this.#ended !== undefined && end >= this.#ended.to + this.#postRoll) this.#giveEnded(end);
    if (this.#from !== NONE) {
      while (end - this.#from >= this.#max) this.#split();
    } else if (this.#ended === undefined) {
      this.#tape?.keepLast(this.#preRoll + this.#backDated);
      if (this.#frames.length > 2 * SILENT_FRAMES * FIELDS) this.#frames.splice(0, SILENT_FRAMES * FIELDS);
    }
  }

  begin(position: number): void {
    if (this.#from !== NONE) return;
    this.#giveEnded(position);
    this.#from = position;
    this.#part = 1;
    this.#started();
  }

  end(position: number, end: UtteranceEnd): void {
    if (this.#from === NONE) {
      if (end !== 'silence') this.#giveEnded(Number.POSITIVE_INFINITY);
      return;
    }
    const from = this.#from;
    this.#from = NONE;
    if (position <= from || (this.#part === 1 && position - from < this.#min)) {
      this.#endSpoken(undefined);
      return;
    }
    this.#ended = { from, to: position, end, part: this.#part };
    const { length } = this.#frames;
    const latest = length === 0 ? position : (this.#frames[length - FIELDS + FRAME.END] as number);
    const isComplete = latest >= position + this.#postRoll || latest < position + this.#stopped;
    if (end !== 'silence' || isComplete) this.#giveEnded(latest);
  }

  /** The stream has ended. */
  close(): void {
    const latest = this.#frames[this.#frames.length - FIELDS + FRAME.END] ?? 0;
    this.end(latest, 'streamEnded');
    this.#giveEnded(latest);
    this.#tape?.release();
  }

  #outOfMemory(): void {
    const end = this.#tape?.end ?? 0;
    if (this.#from !== NONE) this.end(end, 'noMemory');
    this.#giveEnded(end);
    this.#tape?.release();
  }

  /** Ends a part behind the quietest frame of the last third of its longest time. */
  #split(): void {
    const earliest = this.#from + (this.#max * 2) / 3;
    const latest = this.#from + this.#max;
    let at = latest;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#frames.length; i += FIELDS) {
      const end = this.#frames[i + FRAME.END] as number;
      const level = Math.max(0, this.#frames[i + FRAME.MEAN_SQUARE] as number);
      if (end >= earliest && end <= latest && level < least) {
        least = level;
        at = end;
      }
    }
    const part = this.#part;
    this.#ended = { from: this.#from, to: at, end: 'maxLength', part };
    this.#giveEnded(at);
    this.#from = at;
    this.#part = part + 1;
    this.#tape?.keepLast(this.#tape.end - at);
    this.#started();
  }

  #started(): void {
    const { interactionId, sampleRate } = this.info;
    const toMs = (samples: number) => (samples * 1000) / sampleRate;
    const audioFrom = this.#audioFrom(this.#from, this.#part);
    const start = { interactionId, channel: this.#channel, startMs: toMs(this.#from), part: this.#part };
    this.#spoken = this.#onStart?.(start, { info: this.info, audioStartMs: toMs(audioFrom) });
    this.#spokenTo = audioFrom;
    this.#passOn();
  }

  #passOn(): void {
    const tape = this.#tape;
    if (this.#spoken === undefined || tape === undefined || tape.end <= this.#spokenTo) return;
    this.#spoken.append(tape.copy(this.#spokenTo, tape.end));
    this.#spokenTo = tape.end;
  }

  #endSpoken(event: UtteranceEvent | undefined): void {
    this.#spoken?.end(event);
    this.#spoken = undefined;
  }

  /** The onset may lie before the end of the post-roll that has been given, since its edge comes later. */
  #audioFrom(from: number, part: number): number {
    const withPreRoll = part === 1 ? Math.min(from, Math.max(from - this.#preRoll, this.#givenTo)) : from;
    return Math.max(withPreRoll, this.#tape?.start ?? 0);
  }

  /** Gives what has ended, with audio up to `available` at most. */
  #giveEnded(available: number): void {
    const ended = this.#ended;
    if (ended === undefined) return;
    this.#ended = undefined;
    const { from, to, end, part } = ended;
    const { sampleRate, interactionId } = this.info;
    const audioFrom = this.#audioFrom(from, part);
    const audioTo = end === 'silence' ? Math.min(to + this.#postRoll, Math.max(to, available)) : to;
    const toMs = (samples: number) => (samples * 1000) / sampleRate;
    const audio = (this.#spoken === undefined ? this.#tape?.copy(audioFrom, audioTo) : undefined) ?? Buffer.alloc(0);
    this.#givenTo = audioTo;
    const levels = this.#levels(from, to);
    this.#forget(to);
    const event = {
      ...{ interactionId, channel: this.#channel, startMs: toMs(from), endMs: toMs(to), durationMs: toMs(to - from) },
      ...levels,
      end,
      part,
    };
    this.#endSpoken(event);
    this.#give({ ...event, info: this.info, audio, sampleRate, audioStartMs: toMs(audioFrom) });
  }

  #levels(from: number, to: number): { readonly rmsDbfs: number; readonly peakDbfs: number } {
    let energy = 0;
    let samples = 0;
    let peak = 0;
    for (let i = 0; i < this.#frames.length; i += FIELDS) {
      const start = this.#frames[i + FRAME.START] as number;
      const end = this.#frames[i + FRAME.END] as number;
      const meanSquare = this.#frames[i + FRAME.MEAN_SQUARE] as number;
      const within = Math.min(end, to) - Math.max(start, from);
      if (within <= 0 || meanSquare < 0) continue;
      energy += meanSquare * within;
      samples += within;
      peak = Math.max(peak, this.#frames[i + FRAME.PEAK] as number);
    }
    const dbfs = (square: number) => Math.max(SILENCE_DBFS, 10 * Math.log10(square));
    return { rmsDbfs: dbfs(samples === 0 ? 0 : energy / samples), peakDbfs: dbfs((peak / 32_768) ** 2) };
  }

  #forget(before: number): void {
    let keep = 0;
    while (keep < this.#frames.length && (this.#frames[keep + FRAME.END] as number) <= before) keep += FIELDS;
    this.#frames.splice(0, keep);
  }
}

import type { FrameView, PcmSelection, SpeechRoll, StreamInfo } from '../events.js';

/** Which silent frames belong to the speech beside them. */
export interface RollOptions {
  /**
   * Silent frames of this many milliseconds before speech begins are delivered too, with `roll: 'pre'`, in front of the
   * first frame with speech: a detector notices speech only when its first sound has gone by. 0 to 2,000; default 200.
   */
  readonly preRollMs?: number;
  /** Silent frames of this many milliseconds after speech has ended are delivered too, with `roll: 'post'`. 0 to 2,000; default 0. */
  readonly postRollMs?: number;
}

export interface SpeechChunkOptions extends RollOptions {
  /** All silent frames as well; then there is no roll. */
  readonly includeSilent?: boolean;
}

const DEFAULT_PRE_ROLL_MS = 200;
const MAX_ROLL_MS = 2_000;

/**
 * Selects the frames of speech among those of all streams, with the silent ones around it that `preRollMs` and
 * `postRollMs` add. The frames before speech are kept on the shards (shard/roll/speech-roll.ts), so that most silent frames
 * never come to this thread with their samples.
 */
export class SpeechChunks {
  readonly #roll: SpeechRoll;
  readonly #includeSilent: boolean;
  readonly #give: (frame: FrameView, roll?: 'pre' | 'post') => void;
  /** End of the last frame with speech in samples, by channel; with a post-roll only. */
  readonly #speechEnds: number[] = [];

  /**
   * @param give takes each frame that is selected, and its part of the roll; valid until it returns, as in sinks.
   * @throws RangeError for a pre-roll or post-roll out of range.
   */
  constructor(options: SpeechChunkOptions, give: (frame: FrameView, roll?: 'pre' | 'post') => void) {
    const { includeSilent = false, preRollMs = DEFAULT_PRE_ROLL_MS, postRollMs = 0 } = options;
    checkRange('preRollMs', preRollMs);
    checkRange('postRollMs', postRollMs);
    this.#roll = includeSilent ? { preRollMs: 0, postRollMs: 0 } : { preRollMs, postRollMs };
    this.#includeSilent = includeSilent;
    this.#give = give;
  }

  /** Which frames take() needs the samples of, besides those of the roll. */
  get selection(): PcmSelection {
    return this.#includeSilent ? 'all' : 'speech';
  }

  get roll(): SpeechRoll {
    return this.#roll;
  }

  take(frame: FrameView): void {
    if (!frame.isSilent) {
      if (this.#roll.postRollMs > 0) this.#speechEnds[channelOf(frame)] = frame.positionSamples + frame.sampleCount;
      if (frame.hasPcm) this.#give(frame);
    } else if (this.#includeSilent) {
      if (frame.hasPcm) this.#give(frame);
    } else if (this.#roll.postRollMs > 0 && frame.hasPcm && this.#isPostRoll(frame)) {
      this.#give(frame, 'post');
    }
  }

  /** The silent frame lies before speech at `speechSamples`; it may lie further back than the pre-roll. */
  takePreRoll(frame: FrameView, speechSamples: number): void {
    const { info, positionSamples, sampleCount } = frame;
    const from = speechSamples - (this.#roll.preRollMs * info.sampleRate) / 1000;
    if (positionSamples + sampleCount <= from || this.#isPostRoll(frame)) return;
    this.#give(frame, 'pre');
  }

  streamEnded({ stream }: StreamInfo): void {
    if (this.#roll.postRollMs === 0) return;
    delete this.#speechEnds[2 * stream];
    delete this.#speechEnds[2 * stream + 1];
  }

  #isPostRoll(frame: FrameView): boolean {
    const speechEnd = this.#speechEnds[channelOf(frame)];
    if (speechEnd === undefined) return false;
    return frame.positionSamples < speechEnd + (this.#roll.postRollMs * frame.info.sampleRate) / 1000;
  }
}

function channelOf({ info, channel }: FrameView): number {
  return 2 * info.stream + channel;
}

function checkRange(name: string, milliseconds: number): void {
  if (milliseconds >= 0 && milliseconds <= MAX_ROLL_MS) return;
  throw new RangeError(`${name} is a number of milliseconds from 0 to ${MAX_ROLL_MS}; it is ${milliseconds}.`);
}

import type { Channel, FrameView, MarkedSpan, SilenceEdge, StreamInfo } from '../events.js';
import { ChannelUtterances, type UtteranceListener } from './channel-utterances.js';
import type { Utterance, UtteranceAudioOptions } from './utterance.js';
import { TapeBudget } from './utterance-tape.js';

/** Cuts utterances out of the frames and edges of all streams. Utterances of one channel come in order. */
export class Utterances {
  readonly #options: Required<UtteranceAudioOptions>;
  readonly #budget: TapeBudget | undefined;
  readonly #give: (utterance: Utterance) => void;
  readonly #onStart: UtteranceListener | undefined;
  readonly #channels: (ChannelUtterances | undefined)[] = [];

  /** Without audio, `audio` is empty and utterances come as soon as they have ended. @throws RangeError */
  constructor(
    options: UtteranceAudioOptions,
    withAudio: boolean,
    give: (utterance: Utterance) => void,
    onStart?: UtteranceListener,
  ) {
    this.#options = {
      minMs: inRange('minMs', options.minMs ?? 100, 0, 10_000),
      maxMs: inRange('maxMs', options.maxMs ?? 30_000, 1_000, 600_000),
      preRollMs: inRange('preRollMs', options.preRollMs ?? 200, 0, 2_000),
      postRollMs: inRange('postRollMs', options.postRollMs ?? 200, 0, 2_000),
      maxBufferedMegabytes: inRange('maxBufferedMegabytes', options.maxBufferedMegabytes ?? 256, 1, 4_096),
    };
    this.#budget = withAudio ? new TapeBudget(this.#options.maxBufferedMegabytes * 1_000_000) : undefined;
    this.#give = give;
    this.#onStart = onStart;
  }

  frame(frame: FrameView): void {
    this.#of(frame.info, frame.channel).frame(frame);
  }

  silenceEdge({ info, channel, silent, positionSamples }: SilenceEdge): void {
    const utterances = this.#of(info, channel);
    if (silent) utterances.end(positionSamples, 'silence');
    else utterances.begin(positionSamples);
  }

  markedSpan({ info, channel, startSamples }: MarkedSpan): void {
    this.#of(info, channel).end(startSamples, 'noAudio');
  }

  streamEnded({ stream }: StreamInfo): void {
    for (const at of [2 * stream, 2 * stream + 1]) {
      this.#channels[at]?.close();
      this.#channels[at] = undefined;
    }
  }

  #of(info: StreamInfo, channel: Channel): ChannelUtterances {
    const at = 2 * info.stream + channel;
    const known = this.#channels[at];
    if (known?.info === info) return known;
    known?.close();
    const made = new ChannelUtterances(info, channel, this.#options, this.#budget, this.#give, this.#onStart);
    this.#channels[at] = made;
    return made;
  }
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw new RangeError(`${name} is a number from ${min} to ${max}; it is ${value}.`);
}

import type { Clock } from '../../core/clock.js';
import type {
  AuditEntry,
  Channel,
  FrameSink,
  FrameView,
  OneWayAudio,
  OneWayAudioEnded,
  StreamInfo,
} from '../../core/events.js';
import { US_PER_SECOND } from '../../core/units.js';

/** Digital silence: no sample above this. A-law has no zero, its smallest values are ±8. */
const DIGITAL_PEAK = 8;
/** A channel with no frame for this long gets no packets. */
const NO_PACKETS_US = US_PER_SECOND;

const VALUE = {
  /** Of each channel: its latest frame from a packet, the latest that was not digital silence, samples of speech so far. */
  FRAME_US: 0,
  SIGNAL_US: 1,
  SPEECH_SAMPLES: 2,
  PER_CHANNEL: 3,
} as const;
const VALUES = 2 * VALUE.PER_CHANNEL;

interface Watched {
  readonly info: StreamInfo;
  /** By channel: the other one's samples of speech when this one had a signal. */
  readonly since: [number, number];
  /** What was reported of it, until it has a signal. */
  readonly reported: [OneWayAudio | undefined, OneWayAudio | undefined];
}

/** What it tells its owner. */
export interface OneWayAudioDependencies {
  readonly clock: Clock;
  /** How long the other side has to have spoken, in seconds; 0: never reported. */
  readonly afterSeconds: number;
  /** A channel of a paused call has no signal by decision. */
  isPaused(interactionId: string): boolean;
  onBegin(event: OneWayAudio): void;
  onEnd(event: OneWayAudioEnded): void;
}

/**
 * Finds calls of which one side sends nothing: a channel that gets no packets (a dead leg) or nothing but digital
 * silence (one-way audio) while the other one speaks. Only the time in which the other one speaks counts: nobody has to
 * answer while both are silent, on hold, or while it rings, which is a tone for a second in five. A signal of any level
 * ends it, and the next occurrence is another one; so does the end of the stream. Calls with one channel are left out.
 */
export class OneWayAudioWatch implements FrameSink {
  readonly #dependencies: OneWayAudioDependencies;
  readonly #watched = new Map<number, Watched>();
  readonly #values: Float64Array;
  #lookedUs = 0;
  /** Occurrences so far. */
  occurrences = 0;
  #current = 0;

  constructor(maxStreams: number, dependencies: OneWayAudioDependencies) {
    this.#dependencies = dependencies;
    this.#values = new Float64Array(maxStreams * VALUES);
  }

  /** Channels without a signal at the moment. */
  get current(): number {
    return this.#current;
  }

  takesFramesOf({ channels }: StreamInfo): boolean {
    return channels === 2 && this.#dependencies.afterSeconds > 0;
  }

  streamOpened(info: StreamInfo): void {
    if (!this.takesFramesOf(info)) return;
    const at = info.stream * VALUES;
    this.#values.fill(this.#dependencies.clock.nowUs(), at, at + VALUES);
    this.#values[at + VALUE.SPEECH_SAMPLES] = 0;
    this.#values[at + VALUE.PER_CHANNEL + VALUE.SPEECH_SAMPLES] = 0;
    this.#watched.set(info.stream, { info, since: [0, 0], reported: [undefined, undefined] });
  }

  frame(frame: FrameView): void {
    // What was made up is no sign of the sender.
    if (frame.concealed) return;
    const values = this.#values;
    const at = frame.info.stream * VALUES + frame.channel * VALUE.PER_CHANNEL;
    const nowUs = frame.deliveredUs;
    values[at + VALUE.FRAME_US] = nowUs;
    if (frame.peak > DIGITAL_PEAK) values[at + VALUE.SIGNAL_US] = nowUs;
    if (!frame.isSilent) {
      values[at + VALUE.SPEECH_SAMPLES] = (values[at + VALUE.SPEECH_SAMPLES] as number) + frame.sampleCount;
    }
  }

  streamEnded({ stream }: StreamInfo): void {
    const watched = this.#watched.get(stream);
    if (watched === undefined) return;
    this.#watched.delete(stream);
    for (const channel of [0, 1] as const) this.#end(watched, channel, 'streamEnded');
  }

  /** Call it about once a second. */
  look(nowUs: number): void {
    for (const watched of this.#watched.values()) {
      const isPaused = this.#dependencies.isPaused(watched.info.interactionId);
      for (const channel of [0, 1] as const) this.#look(watched, channel, nowUs, isPaused);
    }
    this.#lookedUs = nowUs;
  }

  #look(watched: Watched, channel: Channel, nowUs: number, isPaused: boolean): void {
    const { stream, sampleRate } = watched.info;
    const own = stream * VALUES + channel * VALUE.PER_CHANNEL;
    const other = stream * VALUES + (channel ^ 1) * VALUE.PER_CHANNEL;
    const hasSignal = (this.#values[own + VALUE.SIGNAL_US] as number) > this.#lookedUs;
    const spoken = this.#values[other + VALUE.SPEECH_SAMPLES] as number;
    if (hasSignal || isPaused) watched.since[channel] = spoken;
    if (hasSignal) this.#end(watched, channel, 'signal');
    const seconds = (spoken - watched.since[channel]) / sampleRate;
    if (watched.reported[channel] !== undefined || seconds < this.#dependencies.afterSeconds) return;
    const event = this.#event(watched, channel, nowUs);
    watched.reported[channel] = event;
    this.occurrences++;
    this.#current++;
    this.#dependencies.onBegin(event);
  }

  #end(watched: Watched, channel: Channel, reason: OneWayAudioEnded['reason']): void {
    const event = watched.reported[channel];
    if (event === undefined) return;
    watched.reported[channel] = undefined;
    this.#current--;
    this.#dependencies.onEnd({ ...event, reason });
  }

  #event({ info }: Watched, channel: Channel, nowUs: number): OneWayAudio {
    const own = info.stream * VALUES + channel * VALUE.PER_CHANNEL;
    const hasPackets = nowUs - (this.#values[own + VALUE.FRAME_US] as number) < NO_PACKETS_US;
    return { info, channel, cause: hasPackets ? 'digitalSilence' : 'noPackets' };
  }
}

export function oneWayEntry(event: OneWayAudio | OneWayAudioEnded): AuditEntry {
  const { info, channel, cause } = event;
  const isEnd = 'reason' in event;
  return {
    source: 'node',
    action: isEnd ? 'one_way_audio_ended' : 'one_way_audio',
    interactionId: info.interactionId,
    fields: { channel, reason: isEnd ? event.reason : cause },
  };
}

import type { NetworkImpairments } from '../network/impairments.js';
import { ImpairmentPlan, NO_IMPAIRMENTS } from '../network/impairments.js';
import { SeededRandom } from '../network/random.js';
import { type CodecChoice, codingOf, formatOf, LoopLibrary } from '../sound/loops.js';
import { loadClips } from '../sound/speech.js';
import { loadTrace, TraceTrack } from '../sound/trace.js';
import { drawSequence, drawTimestamp, findLoopStart, PACKET_US, SpeechTrack } from '../sound/track.js';
import { Interaction } from './interaction.js';

export interface CallFactoryOptions {
  readonly interactions: number;
  readonly codec: CodecChoice;
  readonly channels: 1 | 2;
  /** Length of each call; Infinity is possible. */
  readonly seconds: number;
  readonly seed: number;
  readonly impairments: NetworkImpairments;
  readonly tracePath?: string | undefined;
  readonly keepPackets: boolean;
  readonly codecInPackets: boolean;
  /** Calls are ended by the call scheduler and may have secure pauses. */
  readonly planned: boolean;
}

/** The calls of one simulator, and how long they last at most. */
export interface CallSet {
  readonly interactions: Interaction[];
  readonly durationSeconds: number;
}

/** What a random number is for. Each use has a sequence of its own. */
const DRAW = { ID: 0, NUMBERS: 1, PLACE: 2, IMPAIRMENTS: 3 } as const;
/** Spreads any number of interactions evenly over the 20 ms of a packet: the golden ratio's low-discrepancy sequence. */
const GOLDEN = 0.618_033_988_749_895;

/** Makes the calls. The seed and its own number decide everything about each. */
export function createCalls(options: CallFactoryOptions): CallSet {
  return options.tracePath === undefined ? createSpeechCalls(options) : createTraceCalls(options, options.tracePath);
}

function common(options: CallFactoryOptions, number: number) {
  return {
    id: new SeededRandom(options.seed, number, DRAW.ID).uuid(),
    phaseUs: ((number * GOLDEN) % 1) * PACKET_US,
    keepPackets: options.keepPackets,
    codecInPackets: options.codecInPackets,
  };
}

function createTraceCalls(options: CallFactoryOptions, path: string): CallSet {
  const trace = loadTrace(path);
  const interactions = Array.from(
    { length: options.interactions },
    (_, number) =>
      new Interaction({ ...common(options, number), format: trace.format, tracks: [new TraceTrack(trace)] }),
  );
  return { interactions, durationSeconds: (trace.packets.at(-1)?.arrivalUs ?? 0) / 1e6 };
}

let sharedLibrary: LoopLibrary | undefined;

function createSpeechCalls(options: CallFactoryOptions): CallSet {
  // Shared by all simulators of a process, because encoding Opus takes a good part of a second a clip.
  sharedLibrary ??= new LoopLibrary(loadClips());
  const library = sharedLibrary;
  const isImpaired = Object.entries(NO_IMPAIRMENTS).some(
    ([name, none]) =>
      name !== 'maxDelayMs' && name !== 'burst' && options.impairments[name as keyof NetworkImpairments] !== none,
  );
  const speaker = (number: number): Interaction => {
    const coding = codingOf(options.codec, number);
    const format = formatOf(coding, options.channels);
    const numbers = new SeededRandom(options.seed, number, DRAW.NUMBERS);
    // Both channels of a call share the clock of its timestamps, but count their packets apart.
    const firstTimestamp = drawTimestamp(numbers, number % 3 === 1, format.clockRate);
    const tracks = Array.from({ length: options.channels }, (_, channel) => {
      const place = new SeededRandom(options.seed, number, DRAW.PLACE, channel);
      // Clips shift against codecs from round to round, so that every codec is used with every voice.
      const clip = (number + Math.floor(number / library.clipCount) + channel) % library.clipCount;
      const loop = library.loop(clip, coding);
      const plan = isImpaired
        ? new ImpairmentPlan(options.impairments, new SeededRandom(options.seed, number, DRAW.IMPAIRMENTS, channel))
        : undefined;
      const firstSequence = drawSequence(numbers, number % 4 === 0);
      const numbering = { firstSequence, firstTimestamp };
      return new SpeechTrack(
        loop,
        findLoopStart(
          loop,
          place.below(loop.payloads.length),
          options.planned ? Infinity : Math.round(options.seconds * 50),
        ),
        numbering,
        format.clockRate,
        options.planned ? Infinity : options.seconds,
        plan,
        options.planned ? library.marking(coding) : undefined,
      );
    });
    return new Interaction({ ...common(options, number), format, tracks });
  };
  const interactions = Array.from({ length: options.interactions }, (_, number) => speaker(number));
  return { interactions, durationSeconds: options.seconds };
}
